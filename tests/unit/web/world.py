"""A project with the API in front of it, without processes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx

from defer_client import wire
from defer_client.models import ErrorCode, Failure, State
from defer_emulator.backend import LocalBackend
from defer_emulator.clock import ManualClock, to_datetime
from defer_emulator.domain.functions import BrokenFunction, FunctionSpec, Parameter
from defer_emulator.domain.work import Completion, Limits
from defer_emulator.operations import LocalOperations
from defer_emulator.store.store import Store
from defer_emulator.web.app import WebApp, create_app
from defer_emulator.web.console.site import Start
from defer_emulator.web.settings import WebSettings

PREFIX = "/public/v2"


def function(name: str, *parameters: str, cron: str | None = None) -> FunctionSpec:
    """A parameter that ends with `=` is optional."""
    return FunctionSpec(
        name=name,
        module=f"defer.{name}",
        file=f"defer/{name}.py",
        line=3,
        kind="background" if cron is None else "cron",
        cron=cron,
        parameters=tuple(
            Parameter(
                name=parameter.rstrip("="),
                kind="positional_or_keyword",
                required=not parameter.endswith("="),
                default="None" if parameter.endswith("=") else None,
            )
            for parameter in parameters
        ),
    )


class World:
    """The API over a real store in memory, without a scheduler: the test starts and ends executions."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = Store.in_memory(self.clock)
        self.backend = LocalBackend(self.store, wake=lambda: None)
        self.operations = LocalOperations(self.store, wake=lambda: None)
        with self.store.write() as tx:
            functions = [function("send_mail", "to", "subject="), function("nightly", cron="0 3 * * *")]
            tx.register(functions, {"half_written": BrokenFunction(reason="SyntaxError: line 3")})

    def app(self, *, start: Start | None = None, **settings: Any) -> WebApp:
        return create_app(
            self.backend,
            self.operations,
            WebSettings(project="shop", version="1.2", **settings),
            parent_of=lambda token: token.partition(".")[0] if token.endswith(".secret") else None,
            backend_for=lambda parent: LocalBackend(self.store, parent=parent, wake=lambda: None),
            start=start,
        )

    def client(self, app: WebApp | None = None) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app or self.app())
        return httpx.AsyncClient(transport=transport, base_url="http://localhost:3337")

    def start(self, execution_id: str) -> None:
        """Start everything that is due, and with it that execution."""
        with self.store.write() as tx:
            started = tx.claim({"send_mail": Limits(concurrency=None, action="keep")}, 1_000, 1).started
        assert execution_id in [one.id for one in started]

    def end(self, execution_id: str, result: str | None = None, failure: Failure | None = None) -> None:
        state = State.SUCCEED if failure is None else State.FAILED
        with self.store.write() as tx:
            (running,) = (one for one in tx.running() if one.id == execution_id)
            completion = Completion(
                sequence=running.sequence, attempt=1, state=state, result=result, failure=failure
            )
            tx.settle([completion])

    def move_clock(self, by: timedelta) -> None:
        with self.store.write() as tx:
            tx.set_clock(offset=by // timedelta(microseconds=1), frozen_at=None)

    def later(self, delay: timedelta = timedelta()) -> str:
        """The emulated time after that delay, as answers show it."""
        return wire.time_to_json(to_datetime(self.store.now()) + delay)


FAILURE = Failure(
    name="ValueError", message="no luck", stack="Traceback…", code=ErrorCode.USER, module="builtins"
)
