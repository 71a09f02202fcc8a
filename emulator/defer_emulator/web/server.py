"""A server inside the emulator's event loop: uvicorn, with limits for odd clients and a quick end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from defer_client.errors import DeferError
from defer_emulator.web.app import WebApp
from defer_emulator.web.errors import ErrorName, json_bytes

DEFAULT_PORT = 3337
PORTS_TRIED = 100  # from the default one on

MAX_CONNECTIONS = 1_000
MAX_HEAD = 64 * 1024  # bytes of a request's first line and headers
REQUEST_TIME = 60.0  # seconds in which a request must have arrived, body included
IDLE_TIME = 75  # seconds; clients give an idle connection up sooner, so that none is closed under a request
LINGER_TIME = 1.0  # seconds between an error of the protocol and the end of the connection
CLOSE_TIME = 0.5  # seconds for what is still being answered when the server stops


# Who listens everywhere is reached from here by the loopback address.
_REACHED_AT = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


class PortTaken(DeferError):
    """Nothing can listen at that address: another program does, or the system forbids it."""

    code = "port_taken"


def bind(host: str, port: int | None = None) -> socket.socket:
    """A listening socket. Without a port: 3337, or the next one that is free. Port 0 is any free one.

    Raises `PortTaken`.
    """
    last = DEFAULT_PORT + PORTS_TRIED
    for candidate in [port] if port is not None else range(DEFAULT_PORT, last):
        try:
            return _listen(host, candidate)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise PortTaken(
                    f"cannot listen at {host}:{candidate}: {error.strerror or error}",
                    hint="choose another --host or --port",
                ) from None
        except OverflowError:
            raise PortTaken(f"{candidate} is not a port: ports go from 0 to 65535") from None
    taken = (
        f"port {port} of {host} is"
        if port is not None
        else f"the ports {DEFAULT_PORT} to {last - 1} of {host} are"
    )
    raise PortTaken(
        f"{taken} taken by another program",
        hint="stop that program, or choose another port with --port (0: any free one)",
    )


def _listen(host: str, port: int) -> socket.socket:
    # Without the port, which `getaddrinfo` would wrap around at 65536.
    family, kind, protocol, _, address = socket.getaddrinfo(
        host.strip("[]") or "0.0.0.0", None, type=socket.SOCK_STREAM
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address[0], port, *address[2:]))
        # From here on the port is ours alone: two that only bind would both succeed.
        listener.listen(256)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def address_of(listener: socket.socket) -> str:
    """Where a browser on this machine finds it."""
    host, port = listener.getsockname()[:2]
    return f"http://{_REACHED_AT.get(host, f'[{host}]' if ':' in host else host)}:{port}"


class Server:
    """Serves the application on a listening socket, in the running event loop, without signal handlers.

    >>> server = Server(app, bind("127.0.0.1"))  # doctest: +SKIP
    >>> await server.start()  # doctest: +SKIP
    >>> server.url  # doctest: +SKIP
    'http://127.0.0.1:3337'
    >>> await server.close()  # doctest: +SKIP
    """

    def __init__(self, app: WebApp, listener: socket.socket) -> None:
        self._app = app
        self._listener = listener
        self.port = listener.getsockname()[1]
        self.url = address_of(listener)
        self._server = _Server(
            uvicorn.Config(
                app,
                http=_Protocol,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level="critical",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=256,
                timeout_keep_alive=IDLE_TIME,
                timeout_graceful_shutdown=1,
            )
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when it answers."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        ready = asyncio.ensure_future(self._server.ready.wait())
        await asyncio.wait((self._task, ready), return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            await self._task  # raises what went wrong

    async def close(self) -> None:
        """Stop listening, answer what waits, end every connection. Takes less than a second."""
        if self._task is None:
            self._listener.close()
            return
        self._app.close()
        self._server.stop()
        done, _ = await asyncio.wait({self._task}, timeout=CLOSE_TIME)
        if not done:
            for connection in tuple(self._server.server_state.connections):
                connection.transport.abort()
            for request in tuple(self._server.server_state.tasks):
                request.cancel()
        await self._task


class _Server(uvicorn.Server):
    """uvicorn's server as a guest: signals stay the emulator's, and an idle one wakes once a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        self.should_exit = True
        self._stopping.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # it writes the Date header
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 1.0)


class _Protocol(HttpToolsProtocol):
    """One connection: bounded in its head, in the time it may take, and in its number."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._head = 0  # bytes of a head that is not complete
        self._in_head = False
        self._in_message = False
        self._is_long = False  # whether what has arrived is more than a head may be
        self._refused = False
        self.idle_since = self.loop.time()

    @property
    def is_idle(self) -> bool:
        return self.cycle is None or bool(self.cycle.response_complete)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_request()
        limit = min(MAX_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        if len(self.connections) > limit:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._met_deadline()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._is_long = self._head + len(data) > MAX_HEAD
        super().data_received(data)
        if self._refused or self.transport.is_closing():
            return
        if self._in_message and self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_TIME, self._too_slow)
        if self._in_head:
            self._head += len(data)
            if self._head > MAX_HEAD:
                self._refuse_head()
        elif self.is_idle and self.timeout_keep_alive_task is None:
            self._expect_request()

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that only stops sending still gets its answer; who waits for it to go away is told."""
        if self.is_idle or self.cycle.more_body:
            return False
        self.cycle.keep_alive = False
        self.cycle.message_event.set()
        return True

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._in_message, self._head = True, True, 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._is_long and _size(self.url, self.headers) > MAX_HEAD:
            self._refuse_head()
            raise ValueError("nothing of this request is read any more")  # it ends the parser
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            self.cycle.transport = _Joining(self.transport, self.loop)  # type: ignore[assignment]

    def on_message_complete(self) -> None:
        self._in_message = False
        self._met_deadline()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self.idle_since = self.loop.time()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        if not self._refused:
            self._refuse(400, "bad_request", "this is not HTTP as the emulator understands it")

    def _refuse_head(self) -> None:
        self._refuse(431, "too_large", f"the headers are larger than {MAX_HEAD // 1024} KiB")

    def _refuse(self, status: int, error: ErrorName, message: str) -> None:
        """Answer in place of the application and hang up.

        What still arrives is thrown away for a moment: closing at once would reset the connection, and
        the client would never see the answer.
        """
        body = json_bytes({"error": error, "message": message})
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(
            body
        )
        self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.write_eof()
        self._refused = True
        if not self.is_idle:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._met_deadline()
        self._deadline = self.loop.call_later(LINGER_TIME, self.transport.abort)

    def _expect_request(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _met_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        if self.transport.is_closing():
            return
        if self._in_head or not self.cycle.response_started:
            self._refuse(408, "bad_request", f"the request did not arrive within {REQUEST_TIME:.0f} seconds")
        else:
            self.transport.close()

    def _make_room(self) -> None:
        """Hang up on the connection that has been idle for longest, else on this one."""
        others = (other for other in self.connections if isinstance(other, _Protocol) and other is not self)
        oldest = min((other for other in others if other.is_idle), key=_idle_since, default=None)
        if oldest is not None:
            oldest.transport.abort()
        else:
            self._refuse(503, "internal", "the emulator has too many connections: try again later")


_CONTINUE = b"HTTP/1.1 100 "  # goes out at once: the client waits for it before it sends the body


class _Joining:
    """What an answer is written to: its head waits for the body that follows at once, so that both are
    one packet and one system call."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head: bytes | None = None
        self._is_begun = False

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def write(self, data: bytes) -> None:
        if not self._is_begun and not data.startswith(_CONTINUE):
            self._is_begun, self._head = True, data
            self._loop.call_soon(self._flush)  # the body takes its time, or there is none
        elif self._head is not None:
            head, self._head = self._head, None
            self._transport.write(head + data)
        else:
            self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head is not None:
            self.write(b"")


def _size(url: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    return len(url) + sum(len(name) + len(value) + 4 for name, value in headers)


def _idle_since(connection: _Protocol) -> float:
    return connection.idle_since
