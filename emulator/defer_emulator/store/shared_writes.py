"""Small writes that come at the same time share a transaction: its beginning and its end cost the most."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from defer_client.errors import DeferError
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

        An action that raises a `DeferError` must have written nothing. Whatever one raises, the others are
        committed. Raises what it raises, and `StateFileError`.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._write_all)
        done: asyncio.Future[T] = loop.create_future()
        self._waiting.append((action, done))
        return await done

    def _write_all(self) -> None:
        asked, self._waiting = self._waiting, []
        while asked:
            answers: list[tuple[Any, Exception | None]] = []
            is_open = False
            try:
                with self._store.write() as tx:
                    is_open = True
                    for action, _ in asked:
                        try:
                            answers.append((action(tx), None))
                        except DeferError as error:
                            answers.append((None, error))
            except Exception as error:  # nothing is written
                if is_open and len(answers) < len(asked):
                    # It has come from an action: the others try again without it.
                    _answer(asked.pop(len(answers))[1], None, error)
                    continue
                answers = [(None, error)] * len(asked)
            for (_, done), (value, problem) in zip(asked, answers, strict=True):
                _answer(done, value, problem)
            return


def _answer(done: asyncio.Future[Any], value: Any, problem: Exception | None) -> None:
    if done.cancelled():  # it is written, and nobody waits for it any more
        return
    if problem is None:
        done.set_result(value)
    else:
        done.set_exception(problem)
