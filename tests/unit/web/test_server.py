from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.responses import Response

from defer_emulator.web import server as web_server
from defer_emulator.web.app import WebApp
from defer_emulator.web.errors import json_response
from defer_emulator.web.requests import MAX_BODY, Request
from defer_emulator.web.security import Gate
from defer_emulator.web.server import PortTaken, Server, bind
from defer_emulator.web.settings import WebSettings

pytestmark = pytest.mark.anyio

Handler = Callable[[Request], Awaitable[Response]]
HEAD = b"Host: localhost\r\n"


async def hello(request: Request) -> Response:
    return json_response({"read": len(await request.body())})


@asynccontextmanager
async def serving(handler: Handler = hello) -> AsyncIterator[Server]:
    gate = Gate(WebSettings(project="shop", version="1"), lambda token: None)
    app = WebApp(gate, {"/": {"GET": handler, "PUT": handler}}, close=lambda: None)
    server = Server(app, bind("127.0.0.1", 0))
    await server.start()
    try:
        yield server
    finally:
        await server.close()


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(server: Server) -> Connection:
    return await asyncio.open_connection("127.0.0.1", server.port)


async def exchange(connection: Connection, raw: bytes) -> tuple[int, dict[str, object]]:
    """Send `raw`; the status and the body of the next answer."""
    reader, writer = connection
    if raw:
        writer.write(raw)
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode().lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    return int(head.split()[1]), json.loads(await reader.readexactly(length))


async def is_closed(connection: Connection) -> bool:
    try:
        return await asyncio.wait_for(connection[0].read(), 10) == b""
    except ConnectionError:
        return True


def test_an_explicit_port_that_is_taken_is_an_error() -> None:
    with bind("127.0.0.1", 0) as first, pytest.raises(PortTaken, match="taken") as caught:
        bind("127.0.0.1", first.getsockname()[1])
    assert "--port" in caught.value.hint


def test_the_default_port_moves_to_the_next_free_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with bind("127.0.0.1", 0) as first:
        taken = first.getsockname()[1]
        monkeypatch.setattr(web_server, "DEFAULT_PORT", taken)
        with bind("127.0.0.1") as second:
            assert taken < second.getsockname()[1] < taken + 100


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("192.0.2.1", 0), ("no.such.invalid", 0)])
def test_an_impossible_address_is_an_error(host: str, port: int) -> None:
    with pytest.raises(PortTaken):
        bind(host, port)


def test_localhost_and_bracketed_addresses_can_be_listened_on() -> None:
    for host in ("localhost", "[::1]"):
        with bind(host, 0) as listener:
            assert listener.getsockname()[1] > 0


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("localhost", "http://127.0.0.1:"),
        ("0.0.0.0", "http://127.0.0.1:"),
        ("::1", "http://[::1]:"),
        ("::", "http://[::1]:"),
    ],
)
def test_the_url_is_one_that_can_be_called(host: str, url: str) -> None:
    with bind(host, 0) as listener:
        app = WebApp(None, {}, close=lambda: None)  # type: ignore[arg-type]
        assert Server(app, listener).url == f"{url}{listener.getsockname()[1]}"


async def test_it_answers_over_a_connection_that_is_kept() -> None:
    async with serving() as server:
        connection = await connect(server)
        for size in (0, 5):
            raw = b"PUT / HTTP/1.1\r\n" + HEAD + b"Content-Length: %d\r\n\r\n" % size + b"x" * size
            assert await exchange(connection, raw) == (200, {"read": size})
        assert server.url == f"http://127.0.0.1:{server.port}"


async def test_a_body_over_the_limit_gets_its_answer_however_it_is_sent() -> None:
    async with serving() as server:
        whole = b"PUT / HTTP/1.1\r\n" + HEAD + b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1)
        status, body = await exchange(await connect(server), whole + b"x" * (MAX_BODY + 1))
        assert (status, body["error"]) == (413, "too_large")
        chunk = b"%x\r\n" % 2**20 + b"x" * 2**20 + b"\r\n"
        chunked = (
            b"PUT / HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 9 + b"0\r\n\r\n"
        )
        assert (await exchange(await connect(server), chunked))[0] == 413


async def test_a_hopelessly_large_body_is_refused_before_it_is_sent() -> None:
    async with serving() as server:
        head = b"PUT / HTTP/1.1\r\n" + HEAD + b"Content-Length: 99999999999\r\n\r\n"
        assert (await exchange(await connect(server), head))[0] == 413


async def test_a_client_that_asks_whether_to_send_its_body_is_told_to() -> None:
    async with serving() as server:
        connection = await connect(server)
        for size in (5, 7):
            head = b"PUT / HTTP/1.1\r\n" + HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % size
            connection[1].write(head)
            interim = await asyncio.wait_for(connection[0].readuntil(b"\r\n\r\n"), 10)
            assert interim.startswith(b"HTTP/1.1 100 ")
            assert await exchange(connection, b"x" * size) == (200, {"read": size})


async def test_exactly_the_limit_is_read() -> None:
    async with serving() as server:
        raw = b"PUT / HTTP/1.1\r\n" + HEAD + b"Content-Length: %d\r\n\r\n" % MAX_BODY + b"x" * MAX_BODY
        assert await exchange(await connect(server), raw) == (200, {"read": MAX_BODY})


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_told_so_in_json(raw: bytes) -> None:
    async with serving() as server:
        connection = await connect(server)
        status, body = await exchange(connection, raw)
        assert (status, body["error"]) == (400, "bad_request")
        assert await is_closed(connection)


async def test_an_endless_head_is_cut_off() -> None:
    async with serving() as server:
        connection = await connect(server)
        status, body = await exchange(connection, b"GET / HTTP/1.1\r\nX: " + b"x" * 300_000)
        assert (status, body["error"]) == (431, "too_large")


async def test_a_head_that_is_too_large_is_refused_though_it_comes_at_once() -> None:
    async with serving() as server:
        head = b"GET / HTTP/1.1\r\n" + HEAD + b"X: %s\r\n\r\n"
        assert (await exchange(await connect(server), head % (b"x" * 60_000)))[0] == 200
        connection = await connect(server)
        status, body = await exchange(connection, head % (b"x" * 70_000))
        assert (status, body["error"]) == (431, "too_large")
        assert await is_closed(connection)


@pytest.mark.parametrize("sent", [b"GET / HT", b"PUT / HTTP/1.1\r\n" + HEAD + b"Content-Length: 9\r\n\r\nx"])
async def test_a_client_that_stops_in_the_middle_is_not_waited_for(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_server, "REQUEST_TIME", 0.05)
    async with serving() as server:
        connection = await connect(server)
        assert (await exchange(connection, sent))[0] == 408
        assert await is_closed(connection)


async def test_a_client_that_stops_sending_after_its_request_gets_the_answer() -> None:
    async with serving() as server:
        connection = await connect(server)
        connection[1].write(b"GET / HTTP/1.1\r\n" + HEAD + b"\r\n")
        connection[1].write_eof()
        assert (await exchange(connection, b""))[0] == 200
        assert await is_closed(connection)


async def test_a_client_that_stops_sending_within_its_request_is_hung_up_on() -> None:
    async with serving() as server:
        connection = await connect(server)
        connection[1].write(b"PUT / HTTP/1.1\r\n" + HEAD + b"Content-Length: 9\r\n\r\nx")
        connection[1].write_eof()
        assert await is_closed(connection)
        assert (await exchange(await connect(server), b"GET / HTTP/1.1\r\n" + HEAD + b"\r\n"))[0] == 200


async def test_a_handler_learns_that_its_client_has_gone() -> None:
    gone = asyncio.Event()

    async def waiting(request: Request) -> Response:
        await request.body()
        await request.gone()
        gone.set()
        return json_response(None)

    async with serving(waiting) as server:
        _, writer = await connect(server)
        writer.write(b"GET / HTTP/1.1\r\n" + HEAD + b"\r\n")
        writer.close()
        await asyncio.wait_for(gone.wait(), 10)


async def test_beyond_the_bound_the_oldest_idle_connection_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web_server, "MAX_CONNECTIONS", 3)
    async with serving() as server:
        request = b"GET / HTTP/1.1\r\n" + HEAD + b"\r\n"
        connections = [await connect(server) for _ in range(3)]
        for connection in (connections[1], connections[0], connections[2]):
            await exchange(connection, request)
        newest = await connect(server)
        assert (await exchange(newest, request))[0] == 200
        assert await is_closed(connections[1])
        assert (await exchange(connections[0], request))[0] == 200


async def test_beyond_the_bound_with_none_idle_the_newest_is_turned_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web_server, "MAX_CONNECTIONS", 1)
    started, release = asyncio.Event(), asyncio.Event()

    async def slow(request: Request) -> Response:
        started.set()
        await release.wait()
        return await hello(request)

    async with serving(slow) as server:
        request = b"GET / HTTP/1.1\r\n" + HEAD + b"\r\n"
        first = asyncio.ensure_future(exchange(await connect(server), request))
        await started.wait()
        status, body = await exchange(await connect(server), b"")
        assert (status, body["error"]) == (503, "internal")
        release.set()
        assert (await first)[0] == 200


async def test_it_closes_within_a_second_whatever_clients_do() -> None:
    started = asyncio.Event()

    async def endless(request: Request) -> Response:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with serving(endless) as server:
        connections = [await connect(server) for _ in range(3)]
        connections[1][1].write(b"GET / HT")
        connections[2][1].write(b"GET / HTTP/1.1\r\n" + HEAD + b"\r\n")
        await started.wait()
        before = time.monotonic()
        await server.close()
        assert time.monotonic() - before < 1.0
        for connection in connections:
            assert await is_closed(connection)


async def test_closing_twice_or_before_the_start_is_harmless() -> None:
    async with serving() as server:
        await server.close()
    unstarted = Server(WebApp(None, {}, close=lambda: None), bind("127.0.0.1", 0))  # type: ignore[arg-type]
    await unstarted.close()
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", unstarted.port)):
        pass
