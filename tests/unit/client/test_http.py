from __future__ import annotations

import asyncio
import base64
import json
import socket
import time
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

import httpx
import pytest

from defer_client import (
    Arguments,
    BackendError,
    Call,
    Conflict,
    CronInvocationError,
    DeadlockError,
    ErrorCode,
    ExecutionAbortingAlreadyInProgress,
    ExecutionFilters,
    ExecutionNotCancellable,
    ExecutionNotFound,
    ExecutionNotReschedulable,
    Failure,
    Interval,
    InvalidRequest,
    LogLine,
    NoBackendError,
    Page,
    PageInfo,
    PageOf,
    ResultNotAvailable,
    ResultNotAvailableYet,
    ResultTimeout,
    State,
    Unauthorized,
    UnknownFunction,
    wire,
)
from defer_client.http import HttpBackend
from defer_client.models import Attempt
from tests.unit.client.fakes import NOON, execution

R = TypeVar("R")
Answer = httpx.Response | Exception


class Server:
    """Answers with what the test lines up, the last one again and again; remembers the requests."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.content or b"null") for request in self.requests]

    def asks(self, ask: Callable[[HttpBackend], Coroutine[Any, Any, R]], **options: Any) -> R:
        """The answer of a backend that speaks to this server."""

        async def main() -> R:
            return await ask(
                HttpBackend("http://emulator:3337", transport=httpx.MockTransport(self), **options)
            )

        return asyncio.run(main())


def data(**changes: Any) -> httpx.Response:
    return httpx.Response(200, json={"data": wire.execution_to_json(execution(**changes))})


def refusal(status: int, error: str = "x", name: str = "") -> httpx.Response:
    headers = {"Defer-Error": name} if name else {}
    return httpx.Response(status, json={"error": error, "message": "because"}, headers=headers)


# --- requests ---------------------------------------------------------------------------------


def test_enqueue_puts_the_call() -> None:
    server = Server(data())
    call = Call(
        function_name="add",
        arguments=Arguments(positional=[1, "ü"], keyword={"b": None}),
        delay=timedelta(minutes=2),
        discard_after=datetime(2026, 1, 31, 8, tzinfo=timezone.utc),
        metadata={"a": "b"},
        awaited=True,
    )
    assert server.asks(lambda backend: backend.enqueue(call)) == execution()
    (request,) = server.requests
    assert (request.method, request.url.path) == ("PUT", "/public/v2/executions")
    assert server.bodies == [
        {
            "function_name": "add",
            "function_arguments": [1, "ü"],
            "function_keyword_arguments": {"b": None},
            "schedule_for": 120.0,
            "discard_after": "2026-01-31T08:00:00.000000Z",
            "metadata": {"a": "b"},
            "awaited": True,
        }
    ]
    assert request.headers["defer-clock"] == "emulated"


def test_the_token_and_the_executions_token_travel_in_headers() -> None:
    server = Server(data())
    server.asks(lambda backend: backend.get_execution("x"), token="s3cret", execution_token="id.secret")
    headers = server.requests[0].headers
    assert base64.b64decode(headers["authorization"].removeprefix("Basic ")) == b":s3cret"
    assert headers["defer-execution-token"] == "id.secret"


def test_without_a_token_nothing_is_authorized() -> None:
    server = Server(data())
    server.asks(lambda backend: backend.get_execution("x"))
    assert "authorization" not in server.requests[0].headers


def test_ids_are_quoted_in_paths() -> None:
    server = Server(data())
    server.asks(lambda backend: backend.get_execution("../a b?c"))
    assert server.requests[0].url.raw_path == b"/public/v2/executions/..%2Fa%20b%3Fc"


def test_lists_are_posted_and_read() -> None:
    page = PageOf(
        data=[execution()],
        page_info=PageInfo(has_next_page=True, has_prev_page=False, start_cursor="s", end_cursor="e"),
    )
    server = Server(httpx.Response(200, json=wire.page_of_to_json(page)))
    filters = ExecutionFilters(states=[State.FAILED], started_at=Interval(start=NOON))
    assert server.asks(lambda backend: backend.list_executions(Page(first=5), filters)) == page
    (body,) = server.bodies
    assert (server.requests[0].method, body["page"], body["filters"]["states"]) == (
        "POST",
        {"first": 5},
        ["failed"],
    )


def test_reschedule_patches_a_duration_a_moment_or_now() -> None:
    server = Server(data())
    for when in (timedelta(seconds=90), NOON, None):
        server.asks(lambda backend, when=when: backend.reschedule_execution("x", when))  # type: ignore[misc]
    assert [body["schedule_for"] for body in server.bodies] == [90.0, "2026-01-31T12:00:00.000000Z", None]
    assert {request.method for request in server.requests} == {"PATCH"}


def test_cancel_and_rerun_are_posted() -> None:
    server = Server(data())
    server.asks(lambda backend: backend.cancel_execution("x", force=True))
    server.asks(lambda backend: backend.rerun_execution("x"))
    assert [request.url.path for request in server.requests] == [
        "/public/v2/executions/x/cancellation",
        "/public/v2/executions/x/reruns",
    ]
    assert server.bodies == [{"force": True}, {}]


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    ("sent", "arguments"),
    [
        ([1, 2], Arguments(positional=[1, 2])),
        ({"positional": [1], "keyword": {"b": 2}}, Arguments(positional=[1], keyword={"b": 2})),
    ],
)
def test_arguments_are_read_in_both_forms(sent: Any, arguments: Arguments, wrapped: bool) -> None:
    server = Server(httpx.Response(200, json={"data": sent} if wrapped else sent))
    assert server.asks(lambda backend: backend.get_execution_arguments("x")) == arguments


def test_logs_and_the_clock_are_read() -> None:
    line = LogLine(time=NOON, attempt=1, stream="stdout", message="hello")
    logs = Server(httpx.Response(200, json={"data": [wire.log_line_to_json(line)]}))
    assert logs.asks(lambda backend: backend.get_execution_logs("x")) == [line]
    clock = Server(httpx.Response(200, json={"now": wire.time_to_json(NOON), "offset": 0}))
    assert clock.asks(lambda backend: backend.now()) == NOON


def test_an_attempt_is_read_as_one() -> None:
    fields = {name: getattr(execution(), name) for name in type(execution()).__dataclass_fields__}
    attempt = Attempt(**{**fields, "id": "x.1"}, generation=2)
    server = Server(httpx.Response(200, json={"data": wire.execution_to_json(attempt)}))
    assert server.asks(lambda backend: backend.get_execution("x.1")) == attempt


# --- results ----------------------------------------------------------------------------------


def test_a_result_is_given_or_why_there_is_none() -> None:
    assert Server(httpx.Response(200, content=b"null")).asks(lambda b: b.get_execution_result("x")) is None
    with pytest.raises(ResultNotAvailableYet):
        Server(httpx.Response(202)).asks(lambda b: b.get_execution_result("x"))
    with pytest.raises(ResultNotAvailable):
        Server(httpx.Response(204)).asks(lambda b: b.get_execution_result("x"))


def test_wait_polls_until_the_execution_has_ended() -> None:
    server = Server(
        httpx.Response(202), httpx.Response(202), httpx.Response(200, json=3), data(state=State.SUCCEED)
    )
    outcome = server.asks(lambda backend: backend.wait("x"))
    assert (outcome.result, outcome.execution.state) == (3, State.SUCCEED)
    assert all("wait=" in str(request.url) for request in server.requests[:3])


def test_wait_gives_up_after_its_timeout() -> None:
    with pytest.raises(ResultTimeout, match=r"0\.02 s"):
        Server(httpx.Response(202)).asks(lambda backend: backend.wait("x", 0.02))


def test_a_failure_is_told_by_the_latest_attempt() -> None:
    failure = Failure(
        name="ValueError",
        message="no",
        stack="",
        code=ErrorCode.USER,
        module="builtins",
        arguments=["no"],
    )
    fields = {name: getattr(execution(), name) for name in type(execution()).__dataclass_fields__}
    attempts = PageOf(
        data=[Attempt(**{**fields, "state": State.FAILED}, error=failure)],
        page_info=PageInfo(has_next_page=False, has_prev_page=False, start_cursor="", end_cursor=""),
    )
    server = Server(
        httpx.Response(200, json=wire.public_failure(failure)),
        data(state=State.FAILED),
        httpx.Response(200, json=wire.page_of_to_json(attempts)),
    )
    assert server.asks(lambda backend: backend.wait("x")).failure == failure


@pytest.mark.parametrize("state", [State.CANCELLED, State.ABORTED, State.DISCARDED])
def test_wait_tells_of_an_end_without_a_result(state: State) -> None:
    outcome = Server(httpx.Response(204), data(state=state)).asks(lambda backend: backend.wait("x"))
    assert (outcome.execution.state, outcome.result, outcome.failure) == (state, None, None)


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(400), InvalidRequest),
        (refusal(401), Unauthorized),
        (refusal(403), Unauthorized),
        (refusal(404), ExecutionNotFound),
        (refusal(409), Conflict),
        (refusal(413), InvalidRequest),
        (refusal(500), BackendError),
        (refusal(400, name="UnknownFunction"), UnknownFunction),
        (refusal(400, name="CronInvocationError"), CronInvocationError),
        (refusal(409, name="DeadlockError"), DeadlockError),
        (refusal(500, name="NoSuchName"), BackendError),
        (refusal(500, name="Execution"), BackendError),
    ],
)
def test_refusals_become_the_errors_they_were(answer: httpx.Response, error: type[Exception]) -> None:
    with pytest.raises(error, match="because") as caught:
        Server(answer).asks(lambda backend: backend.enqueue(Call(function_name="f")))
    assert type(caught.value) is error


def test_conflicts_are_named_after_what_was_asked() -> None:
    with pytest.raises(ExecutionNotCancellable):
        Server(refusal(409)).asks(lambda backend: backend.cancel_execution("x"))
    with pytest.raises(ExecutionAbortingAlreadyInProgress):
        Server(refusal(202)).asks(lambda backend: backend.cancel_execution("x", force=True))
    with pytest.raises(ExecutionNotReschedulable):
        Server(refusal(409)).asks(lambda backend: backend.reschedule_execution("x"))


def test_a_wrong_token_says_which_variable_to_set() -> None:
    with pytest.raises(Unauthorized, match="DEFER_TOKEN"):
        Server(refusal(401)).asks(lambda backend: backend.get_execution("x"))


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"data": {"id": 1}}),
        httpx.Response(200, json={"data": None}),
        httpx.Response(404, text="<html>"),
        httpx.Response(404, json={"detail": "no"}),
        httpx.Response(302, headers={"location": "/"}),
    ],
)
def test_an_answer_of_another_server_is_told_as_such(answer: httpx.Response) -> None:
    with pytest.raises(BackendError, match="DEFER_ENDPOINT"):
        Server(answer).asks(lambda backend: backend.get_execution("x"))


# --- connections ------------------------------------------------------------------------------


def test_reading_is_tried_again_when_the_connection_breaks() -> None:
    server = Server(httpx.RemoteProtocolError("gone"), httpx.ReadError("gone"), data())
    assert server.asks(lambda backend: backend.get_execution("x")) == execution()


def test_enqueueing_is_not_tried_again_when_it_may_have_happened() -> None:
    server = Server(httpx.ReadError("gone"), data())
    with pytest.raises(BackendError, match="may have been carried out or not"):
        server.asks(lambda backend: backend.enqueue(Call(function_name="f")))
    assert len(server.requests) == 1


def test_enqueueing_is_tried_again_when_there_was_no_connection() -> None:
    server = Server(httpx.ConnectError("refused"), data())
    server.asks(lambda backend: backend.enqueue(Call(function_name="f")))
    assert len(server.requests) == 2


def test_the_error_names_the_endpoint_where_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        backend = HttpBackend(f"http://127.0.0.1:{port}/")
        with pytest.raises(BackendError, match=f"nothing answers at http://127.0.0.1:{port} .*\n.*defer dev"):
            asyncio.run(backend.get_execution("x"))


def test_connections_are_kept_for_each_event_loop() -> None:
    accepted: list[object] = []

    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted.append(writer)
            while (await reader.readuntil(b"\r\n\r\n")).strip():
                body = data().content
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        backend = HttpBackend(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        for _ in range(3):
            assert await backend.get_execution("x") == execution()
        await backend.close()
        server.close()

    asyncio.run(main())
    assert len(accepted) == 1


@pytest.mark.parametrize("cleanly", [True, False])
def test_connections_end_with_their_event_loop(cleanly: bool) -> None:
    class Transport(httpx.MockTransport):
        async def aclose(self) -> None:
            closed.append(self)

    closed: list[object] = []
    transport = Transport(Server(data()))
    backend = HttpBackend("http://emulator:3337", transport=transport)
    for _ in range(3):
        if cleanly:
            asyncio.run(backend.get_execution("x"))
        else:
            loop = asyncio.new_event_loop()
            loop.run_until_complete(backend.get_execution("x"))
            loop.close()
    assert len(closed) == (3 if cleanly else 0)
    assert len(backend._kept) == (0 if cleanly else 1)


def test_outside_of_asyncio_the_error_says_what_to_do() -> None:
    with pytest.raises(BackendError, match=r"asyncio.*\n.*defer_client.sync"):
        HttpBackend("http://emulator:3337").get_execution("x").send(None)


def test_a_server_that_cannot_wait_is_not_asked_in_a_tight_loop() -> None:
    server = Server(httpx.Response(202))
    begin = time.monotonic()
    with pytest.raises(ResultTimeout):
        server.asks(lambda backend: backend.wait("x", 0.1))
    assert len(server.requests) <= 3
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    "wrong", ["", "localhost:3337", "127.0.0.1", "ftp://x", "http://", "http://[", "http://x:y", "no"]
)
def test_an_endpoint_must_be_an_address(wrong: str) -> None:
    with pytest.raises(NoBackendError, match="DEFER_ENDPOINT"):
        HttpBackend(wrong)
