"""Small writes that come at the same time share a transaction: its beginning and its end cost the most."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from defer_emulator.store.store import Store
from defer_emulator.store.transaction import Transaction

T = TypeVar("T")


class SharedWrites:
    """For a process that answers many at once, in one event loop. All that is asked for in one turn of the
    loop is written, in that order, at the end of the turn."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[tuple[Callable[[Transaction], Any], asyncio.Future[Any]]] = []

    async def write(self, action: Callable[[Transaction], T]) -> T:
        """What the action returns, once it is committed.

        An action that raises must have written nothing: those of the others are committed. Raises what it
        raises, and `StateFileError`.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._write_all)
        done: asyncio.Future[T] = loop.create_future()
        self._waiting.append((action, done))
        return await done

    def _write_all(self) -> None:
        asked, self._waiting = self._waiting, []
        answers: list[tuple[asyncio.Future[Any], Any, Exception | None]] = []
        try:
            with self._store.write() as tx:
                for action, done in asked:
                    try:
                        answers.append((done, action(tx), None))
                    except Exception as error:
                        answers.append((done, None, error))
        except Exception as error:  # nothing is written
            answers = [(done, None, error) for _, done in asked]
        for done, value, problem in answers:
            if done.cancelled():  # it is written, and nobody waits for it any more
                continue
            if problem is None:
                done.set_result(value)
            else:
                done.set_exception(problem)
