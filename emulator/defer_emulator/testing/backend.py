"""The backend of an application under test."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

from defer_client.errors import BackendError, ResultTimeout
from defer_client.models import Call, Execution, Outcome
from defer_emulator.backend import LocalBackend
from defer_emulator.domain.faults import Faults
from defer_emulator.domain.ids import short_id
from defer_emulator.store.store import Store
from defer_emulator.testing.driving import Driver, in_event_loop

_PATIENCE = 2.0  # seconds that another task of the test has for moving the clock


class TestingBackend(LocalBackend):
    """Calls go into the store of the emulator; who waits for an execution lets all run that is due.

    `is_busy` says whether something still runs that may lead to its end, `explain` why it does not.
    """

    __test__ = False  # not a test, whatever its name

    def __init__(
        self,
        store: Store,
        driver: Driver,
        *,
        wake: Callable[[], None],
        is_busy: Callable[[], bool],
        explain: Callable[[Execution], str],
    ) -> None:
        super().__init__(store, wake=wake)
        self._pid = os.getpid()
        self._driver = driver
        self._is_busy = is_busy
        self._explain = explain

    @property
    def waits_in_place(self) -> bool:
        """Whether `wait` runs to its end in this thread, without an event loop."""
        return not in_event_loop()

    async def enqueue(
        self, call: Call, *, allow_cron: bool = False, faults: Faults | None = None
    ) -> Execution:
        """As `LocalBackend.enqueue`. Raises `BackendError` in a process that the test has forked."""
        if os.getpid() != self._pid:
            raise BackendError(
                "the emulator of a test takes no calls of another process",
                hint="call it in the test's own process",
            )
        return await super().enqueue(call, allow_cron=allow_cron, faults=faults)

    async def wait(self, execution_id: str, timeout: float | None = None) -> Outcome:
        """Raises `ExecutionNotFound`, `ResultTimeout`; `AssertionError` for what only time can end."""
        execution = self._store.get_outcome(execution_id)[1].execution
        if not execution.state.is_final:
            in_place = self.waits_in_place
            is_over = self._is_over(execution, timeout, patience=0.0 if in_place else _PATIENCE)
            if in_place:
                self._driver.reach(is_over, is_wait=True)
            else:
                await self._reached(is_over, execution, timeout)
        return self._store.get_outcome(execution_id)[1]

    async def _reached(
        self, is_over: Callable[[], bool], execution: Execution, timeout: float | None
    ) -> None:
        try:
            await asyncio.wait_for(self._driver.reached(is_over, is_wait=True), timeout)
        except asyncio.TimeoutError:
            raise _not_ended(execution, timeout) from None

    def _is_over(self, execution: Execution, timeout: float | None, *, patience: float) -> Callable[[], bool]:
        begun = time.monotonic()
        stuck_since: float | None = None

        def is_over() -> bool:
            nonlocal stuck_since
            if self._store.get(execution.id).state.is_final:
                return True
            now = time.monotonic()
            if timeout is not None and now >= begun + timeout:
                raise _not_ended(execution, timeout)
            if self._is_busy() or not self._driver.only_waits:
                stuck_since = None
            else:
                stuck_since = stuck_since or now
                if now >= stuck_since + patience and timeout is None:
                    raise AssertionError(self._explain(self._store.get(execution.id)))
            return False

        return is_over


def _not_ended(execution: Execution, timeout: float | None) -> ResultTimeout:
    return ResultTimeout(
        f"{execution.function_name} ({short_id(execution.id)}) has not ended within {timeout:g} s;"
        " it goes on",
        hint="move the clock of the emulator, should it wait for its time",
    )
