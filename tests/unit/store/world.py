"""A project's file on a clock that stands still, and a hand that plays the scheduler."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from defer_client.models import Arguments, Call, ErrorCode, Execution, Failure, State
from defer_client.options import MaxConcurrencyAction
from defer_client.sync import run
from defer_emulator.backend import LocalBackend
from defer_emulator.clock import ManualClock
from defer_emulator.domain.functions import BrokenFunction, FunctionSpec
from defer_emulator.domain.work import Change, Claim, Completion, Limits, Running
from defer_emulator.operations import LocalOperations
from defer_emulator.store.store import Store

T = TypeVar("T")

SECOND = 1_000_000  # µs
MINUTE = 60 * SECOND

BOOM = Failure(name="ValueError", message="boom", stack="Traceback ...", code=ErrorCode.USER)


def spec(name: str, **options: Any) -> FunctionSpec:
    kind = "cron" if "cron" in options else "background"
    return FunctionSpec(
        name=name, module=f"defer.{name}", file=f"defer/{name}.py", line=1, kind=kind, **options
    )


def limits(concurrency: int | None = None, action: MaxConcurrencyAction = "keep") -> Limits:
    return Limits(concurrency=concurrency, action=action)


class World:
    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        self.wakes = 0
        self.backend = self.backend_of(None)
        self.operations = LocalOperations(store, wake=self._wake)
        self.functions = {name: limits() for name in ("add", "send", "job")}  # those that may run

    def _wake(self) -> None:
        self.wakes += 1

    def backend_of(self, parent: str | None) -> LocalBackend:
        return LocalBackend(self.store, parent=parent, wake=self._wake)

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The answer of a method that does not suspend."""
        return run(coroutine, immediate=True)

    # --- an application ---------------------------------------------------------------------

    def enqueue(
        self,
        function: str = "job",
        *arguments: Any,
        parent: Execution | None = None,
        delay: timedelta | datetime | None = None,
        discard_after: timedelta | datetime | None = None,
        metadata: dict[str, str] | None = None,
        awaited: bool = False,
    ) -> Execution:
        call = Call(
            function_name=function,
            arguments=Arguments(positional=arguments),
            delay=delay,
            discard_after=discard_after,
            metadata=metadata or {},
            awaited=awaited,
        )
        return self.call(self.backend_of(parent.id if parent else None).enqueue(call))

    def get(self, execution: Execution | str) -> Execution:
        return self.call(
            self.backend.get_execution(execution if isinstance(execution, str) else execution.id)
        )

    def states(self, *executions: Execution) -> list[str]:
        return [str(self.get(execution).state) for execution in executions]

    # --- the scheduler ----------------------------------------------------------------------

    def register(self, *functions: FunctionSpec, broken: dict[str, str] | None = None) -> None:
        with self.store.write() as tx:
            tx.register(
                functions, {name: BrokenFunction(reason=reason) for name, reason in (broken or {}).items()}
            )

    def claim(self, places: int = 100) -> Claim:
        with self.store.write() as tx:
            return tx.claim(self.functions, places, 1)

    def started(self, places: int = 100) -> list[str]:
        """The ids of what a claim starts."""
        return [running.id for running in self.claim(places).started]

    def settle(self, *completions: Completion) -> list[Change]:
        with self.store.write() as tx:
            return tx.settle(completions)

    def end(self, running: Running, state: State = State.SUCCEED, **values: Any) -> list[Change]:
        if state is State.FAILED:
            values = {"failure": BOOM, **values}
        if state is State.SUCCEED:
            values = {"result": "null", **values}
        return self.settle(
            Completion(sequence=running.sequence, attempt=running.attempt, state=state, **values)
        )

    def run(self, *executions: Execution, state: State = State.SUCCEED, **values: Any) -> None:
        """Start what is due, and end these."""
        running = {one.id: one for one in self.claim().started}
        for execution in executions:
            self.end(running[execution.id], state, **values)


def ids(executions: Iterable[Execution]) -> list[str]:
    return [execution.id for execution in executions]
