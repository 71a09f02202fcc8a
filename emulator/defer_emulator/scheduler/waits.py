"""Who waits for whom, and who holds a place of `max_concurrency`.

An execution that waits for another is *parked*: it holds no place. When the last of its waits is
answered it takes the next free place, before anything new starts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Waiter:
    pending: dict[int, str] = field(default_factory=dict)  # request → the id it waits for


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An answer that can be sent now."""

    sequence: int
    request: int
    execution_id: str


class Waits:
    """Pure bookkeeping: knows nothing of stores and processes."""

    def __init__(self) -> None:
        self._waiters: dict[int, _Waiter] = {}
        self._by_execution: dict[str, set[tuple[int, int]]] = {}
        self._resuming: deque[Answer] = deque()

    @property
    def awaited(self) -> frozenset[str]:
        """Ids that somebody waits for and that have not ended, as far as is known."""
        return frozenset(self._by_execution)

    def add(self, sequence: int, request: int, execution_id: str) -> None:
        self._waiters.setdefault(sequence, _Waiter()).pending[request] = execution_id
        self._by_execution.setdefault(execution_id, set()).add((sequence, request))

    @property
    def parked(self) -> Collection[int]:
        """The executions that wait."""
        return self._waiters.keys()

    def is_parked(self, sequence: int) -> bool:
        return sequence in self._waiters

    def awaited_by(self, sequence: int) -> list[str]:
        """What a parked execution waits for and has not ended."""
        waiter = self._waiters.get(sequence)
        return [one for one in waiter.pending.values() if one in self._by_execution] if waiter else []

    def ended(self, execution_id: str) -> list[Answer]:
        """The answers that need no place: their waiters go on waiting for others."""
        answers: list[Answer] = []
        for sequence, request in sorted(self._by_execution.pop(execution_id, ())):
            waiter = self._waiters[sequence]
            answer = Answer(sequence=sequence, request=request, execution_id=execution_id)
            if len(waiter.pending) == 1:
                self._resuming.append(answer)
            else:
                del waiter.pending[request]
                answers.append(answer)
        return answers

    def resume(self, places: int) -> list[Answer]:
        """The answers whose waiters take one of the free places, in the order in which they got ready."""
        answers: list[Answer] = []
        while self._resuming and len(answers) < places:
            answer = self._resuming.popleft()
            if self._forget(answer.sequence, answer.request):
                answers.append(answer)
        return answers

    def cancel(self, sequence: int, request: int) -> None:
        """That wait is over without an answer: the execution runs on."""
        self._forget(sequence, request)

    def drop(self, sequence: int) -> None:
        """That execution is over, with all its waits."""
        waiter = self._waiters.get(sequence)
        for request in list(waiter.pending) if waiter else ():
            self._forget(sequence, request)

    def _forget(self, sequence: int, request: int) -> bool:
        waiter = self._waiters.get(sequence)
        if waiter is None or request not in waiter.pending:
            return False
        execution_id = waiter.pending.pop(request)
        if not waiter.pending:
            del self._waiters[sequence]
        waiting = self._by_execution.get(execution_id)
        if waiting is not None:
            waiting.discard((sequence, request))
            if not waiting:
                del self._by_execution[execution_id]
        return True
