"""The HTTP API of a real `defer dev`: hostile and odd input, many connections, calls from inside."""

from __future__ import annotations

import asyncio
import json
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.projects import Dev, TempProject, eventually

pytestmark = pytest.mark.acceptance

EXECUTIONS = "/public/v2/executions"
UNKNOWN = f"{EXECUTIONS}/01890000-0000-7000-8000-000000000000"
MIB = 2**20

# Any arguments fit, so that generated ones reach what lies behind the check.
SEND_MAIL = "async def send_mail(*args, **kwargs):\n    return [list(args), kwargs]"
STARTS = """
    import subprocess, sys
    from defer_client import defer
    @defer
    def starts(*command: str) -> str:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
"""
BY_CLIENT = """
from defer.send_mail import send_mail
print(send_mail.enqueue("by the client").id)
"""
BY_HTTP = """
import json, os, urllib.request
body = json.dumps({"function_name": "sendMail"}).encode()
request = urllib.request.Request(os.environ["DEFER_ENDPOINT"] + "/public/v2/executions", body, method="PUT")
request.add_header("Authorization", "Bearer " + os.environ["DEFER_TOKEN"])
print(json.load(urllib.request.urlopen(request))["data"]["id"])
"""


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    functions = {"send_mail": SEND_MAIL, "starts": STARTS}
    project = TempProject(tmp_path_factory.mktemp("http") / "shop", functions)
    with project.dev("--port", "0") as dev:
        yield dev.ready()
        assert dev.process.poll() is None, dev.output


@pytest.fixture
def client(dev: Dev) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=dev.url, trust_env=False, timeout=60) as client:
        yield client
        assert client.get("/health").status_code == 200, "it still answers"
    assert "Traceback" not in dev.output


def refused(answer: httpx.Response, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error", "message"}
    assert "Traceback" not in body["message"] and 'File "' not in body["message"]
    message: str = body["message"]
    return message


def enqueue(client: httpx.Client, function: str = "send_mail", *arguments: Any) -> str:
    body = {"function_name": function, "function_arguments": arguments}
    answer = client.put(EXECUTIONS, json=body)
    assert answer.status_code == 201, answer.text
    execution_id: str = answer.json()["data"]["id"]
    return execution_id


def result(client: httpx.Client, execution_id: str) -> Any:
    answer = client.get(f"{EXECUTIONS}/{execution_id}/results", params={"wait": 30})
    assert answer.status_code == 200, answer.text
    return answer.json()


# --- bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"null",
        b"[]",
        b'"x"',
        b"NaN",
        b"\0",
        b'{"function_name": "send_mail"} {}',
        b'{"function_name": "send_mail", "function_arguments": [NaN]}',
        b'{"function_name": "send_mail", "function_arguments": [Infinity]}',
        b'{"function_name": "send_mail", "function_arguments": ["\\ud800"]}',
        b'{"function_name": "send_mail", "function_arguments": [' + b"[" * 100_000,
        b'{"function_name": "send_mail", "function_arguments": [' + b"[" * 900 + b"]" * 900 + b"]}",
        b'{"function_name": "send_mail", "function_arguments": [' + b"1" * 5_000 + b"]}",
    ],
)
def test_broken_json_is_a_400(client: httpx.Client, body: bytes) -> None:
    refused(client.put(EXECUTIONS, content=body))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("function_name", 5),
        ("function_name", ""),
        ("function_name", "../../etc/passwd"),
        ("function_name", "os.system"),
        ("function_name", "send\0mail"),
        ("function_name", "é" * 10_000),
        ("function_arguments", {"a": 1}),
        ("function_arguments", "x"),
        ("function_keyword_arguments", [1]),
        ("schedule_for", True),
        ("schedule_for", []),
        ("schedule_for", ""),
        ("schedule_for", "tomorrow"),
        ("schedule_for", "0000-00-00T00:00:00Z"),
        ("schedule_for", "2026-02-30T00:00:00Z"),
        ("schedule_for", "9999-12-31T23:59:59.999999Z"),
        ("schedule_for", "0001-01-01T00:00:00+23:59"),
        ("schedule_for", "275760-09-13T00:00:00Z"),
        ("schedule_for", "2026-01-01T00:00:00+99:99"),
        ("schedule_for", -1),
        ("schedule_for", 1e300),
        ("discard_after", "yesterday"),
        ("discard_after", 10**30),
        ("metadata", []),
        ("metadata", {"key": 1}),
        ("metadata", {"key": None}),
        ("metadata", {"": "value"}),
        ("metadata", {"key": ""}),
        ("metadata", {"k" * 257: "value"}),
        ("metadata", {"key": "v" * 257}),
        ("metadata", {"schlüssel": "value"}),
        ("metadata", {"key": "größe"}),
        ("metadata", {"key": "tab\t"}),
        ("metadata", {f"key{number}": "value" for number in range(26)}),
        ("awaited", "yes"),
        ("retries", 3),
    ],
)
def test_a_wrong_field_of_a_call_is_named(client: httpx.Client, field: str, value: object) -> None:
    answer = client.put(EXECUTIONS, json={"function_name": "send_mail", field: value})
    expected = "function" if field == "function_name" else field
    assert expected in refused(answer)


def test_metadata_at_its_limits_is_taken(client: httpx.Client) -> None:
    metadata = {f"{number:02}" + "k" * 254: " ~" * 128 for number in range(25)}
    answer = client.put(EXECUTIONS, json={"function_name": "send_mail", "metadata": metadata})
    assert answer.json()["data"]["metadata"] == metadata


@pytest.mark.parametrize(
    "path", ["/../../etc/passwd", "/static/../app.py", "/static/%2e%2e/app.py", "//x", "/%00"]
)
def test_no_path_leads_to_a_file(dev: Dev, path: str) -> None:
    raw = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert asyncio.run(exchange(dev, raw.encode())).startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize("path", [f"{UNKNOWN}", f"{EXECUTIONS}/%00", f"{EXECUTIONS}/{'x' * 20_000}"])
def test_no_execution_of_that_id_is_a_404(client: httpx.Client, path: str) -> None:
    refused(client.get(path), 404)
    for part in ("results", "arguments", "logs", "attempts"):
        refused(client.get(f"{path}/{part}"), 404)
    for part in ("attempts", "cancellation", "reruns"):
        refused(client.post(f"{path}/{part}"), 404)
    refused(client.patch(f"{path}/schedule"), 404)


@pytest.mark.parametrize("how", ["announced", "chunked"])
def test_a_body_of_50_mb_is_a_413(client: httpx.Client, how: str) -> None:
    chunk = b" " * MIB
    content = chunk * 50 if how == "announced" else (chunk for _ in range(50))
    assert "8 MiB" in refused(client.put(EXECUTIONS, content=content), 413)


def test_a_foreign_page_gets_nothing(client: httpx.Client) -> None:
    refused(client.get("/", headers={"Host": "evil.example"}), 403)
    refused(client.post(EXECUTIONS, headers={"Origin": "https://evil.example"}), 403)
    form = {"Origin": "null", "Content-Type": "text/plain"}
    refused(client.put(EXECUTIONS, content=b'{"function_name": "send_mail"}', headers=form), 403)


# --- odd connections ------------------------------------------------------------------------


async def exchange(dev: Dev, raw: bytes, *, then_eof: bool = False) -> bytes:
    """All that the server says to `raw` until it hangs up."""
    url = urlsplit(dev.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(raw)
    if then_eof:
        writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return answer


def test_a_half_closed_connection_gets_its_answer(dev: Dev) -> None:
    body = b'{"function_name": "send_mail"}'
    head = b"PUT %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (
        EXECUTIONS.encode(),
        len(body),
    )
    assert asyncio.run(exchange(dev, head + body, then_eof=True)).startswith(b"HTTP/1.1 201")
    assert asyncio.run(exchange(dev, head + body[:5], then_eof=True)) == b""


def test_a_slow_client_is_served_and_holds_nobody_up(dev: Dev, client: httpx.Client) -> None:
    url = urlsplit(dev.url)
    raw = (
        b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
        % EXECUTIONS.encode()
    )
    with socket.create_connection((url.hostname, url.port), timeout=20) as slow:
        for byte in raw:
            slow.sendall(bytes([byte]))
            if byte == ord("\n"):
                assert client.get("/health").status_code == 200
        assert slow.recv(12) == b"HTTP/1.1 200"


def test_a_client_that_does_not_read_holds_nobody_up(dev: Dev, client: httpx.Client) -> None:
    for _ in range(20):
        enqueue(client, "send_mail", "x" * 100)
    url = urlsplit(dev.url)
    request = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % EXECUTIONS.encode()
    with socket.create_connection((url.hostname, url.port)) as deaf:
        deaf.setblocking(False)
        sent = 0
        while sent < 5_000:
            try:
                deaf.send(request)
            except BlockingIOError:
                break
            sent += 1
        assert client.get("/health").status_code == 200


def test_a_thousand_idle_connections_leave_room_for_one_that_asks(dev: Dev, client: httpx.Client) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4_096)), hard))
    url = urlsplit(dev.url)
    with ExitStack() as stack:
        for _ in range(1_000):
            stack.enter_context(socket.create_connection((url.hostname, url.port), timeout=20))
        for _ in range(20):
            execution_id = enqueue(client, "send_mail", 1)
        assert result(client, execution_id) == [[1], {}]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_connections_that_are_cut_leave_no_poll_behind(dev: Dev, client: httpx.Client) -> None:
    waiting = client.put(EXECUTIONS, json={"function_name": "send_mail", "schedule_for": 3_600}).json()[
        "data"
    ]["id"]
    descriptors = Path(f"/proc/{dev.pid}/fd")
    before = len(list(descriptors.iterdir()))
    hasty = httpx.Timeout(60, read=0.01)
    for _ in range(50):
        with pytest.raises(httpx.ReadTimeout):
            client.get(f"{EXECUTIONS}/{waiting}/results", params={"wait": 60}, timeout=hasty)
    eventually(lambda: len(list(descriptors.iterdir())) <= before + 5, "the connections are closed")


# --- from inside ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-c", BY_CLIENT],
        [sys.executable, "-c", BY_HTTP],
        [str(Path(sys.executable).with_name("defer")), "run", "send_mail"],
    ],
    ids=["the Python client", "any HTTP client", "the command line"],
)
def test_what_a_started_program_calls_is_a_child(client: httpx.Client, command: list[str]) -> None:
    parent = enqueue(client, "starts", *command)
    child = result(client, parent)
    data = client.get(f"{EXECUTIONS}/{child}").json()["data"]
    assert (data["executed_by"], data["function_name"]) == (parent, "send_mail")


def test_commands_that_need_the_file_work_inside_an_execution(client: httpx.Client) -> None:
    defer = str(Path(sys.executable).with_name("defer"))
    listed = result(client, enqueue(client, "starts", defer, "functions", "--output", "json"))
    assert [function["name"] for function in json.loads(listed)["data"]] == ["send_mail", "starts"]


# --- as described ---------------------------------------------------------------------------


def test_every_answer_is_as_openapi_describes_it(dev: Dev, tmp_path: Path) -> None:
    """Generated requests, right and wrong ones, alone and in sequences; no answer may be undocumented."""
    command = [str(Path(sys.executable).with_name("schemathesis")), "--no-color", "run"]
    options = [
        "--checks=all",
        # A schema cannot say which functions there are, or that a page is `first` or `last`.
        "--exclude-checks=positive_data_acceptance",
        "--max-examples=20",
        "--generation-deterministic",
        "--continue-on-failure",
        "--workers=2",
    ]
    assert shutil.which(command[0])
    done = subprocess.run(
        [*command, f"{dev.url}/openapi.json", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in dev.output
