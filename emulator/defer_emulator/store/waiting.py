"""Waiting for the ends of executions, in an event loop. The only module here that needs asyncio."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from defer_client.errors import StateFileError
from defer_client.models import Outcome
from defer_emulator.store.store import Store

QUICK, SLOW = 0.005, 0.025  # seconds between two looks
_QUICK_FOR = 1.0  # seconds after the latest wait began
_SAY_AFTER = 2.0  # seconds without an emulator

_said = False  # once in a process, until something ends


class Watcher:
    """One poll for all waits of an event loop, for as long as there are any.

    `is_served` says whether an emulator is alive.
    """

    def __init__(self, store: Store, is_served: Callable[[], bool]) -> None:
        self._store = store
        self._is_served = is_served
        self._waiting: dict[str, list[asyncio.Future[Outcome]]] = {}
        self._quick_until = 0.0
        self._poller: asyncio.Task[None] | None = None

    async def wait(self, execution_id: str, timeout: float | None) -> Outcome:
        """The outcome of an execution that had not ended just now. Raises `TimeoutError`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        self._waiting.setdefault(execution_id, []).append(future)
        self._quick_until = loop.time() + _QUICK_FOR
        if self._poller is None:
            self._poller = loop.create_task(self._poll())
        try:
            return await asyncio.wait_for(future, timeout)
        except asyncio.TimeoutError:
            raise TimeoutError from None  # another class before Python 3.11
        finally:
            self._forget(execution_id, future)

    def _forget(self, execution_id: str, future: asyncio.Future[Outcome]) -> None:
        others = self._waiting.get(execution_id, [])
        if future in others:
            others.remove(future)
            if not others:
                del self._waiting[execution_id]

    async def _poll(self) -> None:
        loop = asyncio.get_running_loop()
        look_for_emulator = loop.time() + _SAY_AFTER
        seen = -1
        try:
            while self._waiting:
                revision = self._store.revision()
                if revision != seen:
                    seen = revision
                    self._deliver()
                if loop.time() >= look_for_emulator:
                    look_for_emulator += _SAY_AFTER
                    self._say_if_nobody_runs()
                await asyncio.sleep(QUICK if loop.time() < self._quick_until else SLOW)
        except StateFileError as error:
            for future in [future for futures in self._waiting.values() for future in futures]:
                if not future.done():
                    future.set_exception(error)
        finally:
            self._poller = None

    def _deliver(self) -> None:
        global _said
        for execution_id, outcome in self._store.outcomes(self._waiting).items():
            _said = False
            for future in self._waiting.pop(execution_id):
                if not future.done():
                    future.set_result(outcome)

    def _say_if_nobody_runs(self) -> None:
        global _said
        if not _said and sys.stderr is not None and not self._is_served():
            _said = True
            sys.stderr.write(
                f"defer: waiting for {len(self._waiting)} execution(s), but no emulator runs in"
                f" {self._store.root}: start it with `defer dev`\n"
            )
