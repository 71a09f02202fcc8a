"""What leaves the project's file: finished executions with all that belongs to them, oldest first.

A tree goes as a whole, once everything in it has ended, or not at all: nobody finds a parent without its
children, or children whose parent is gone. Its leaves go first, so a stop in between breaks no such promise.
Each step is a transaction of few milliseconds, so that nobody who writes waits for it.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from sqlite3 import Connection, Row

from defer_emulator.store.queries import SQL
from defer_emulator.store.store import Store

STEP = 0.001  # seconds that a transaction may take, about
ROOTS_AT_ONCE = 200  # that a read looks at
EXECUTIONS_AT_ONCE = 64  # that a step has at hand
CRON_FIRES_AT_ONCE = 1_000
LINES_AT_ONCE = 100  # of a log, between two looks at the time
EXECUTION_BYTES = 300  # that an execution takes beside its texts: its row and its places in the indexes
ATTEMPT_BYTES = 80
LINE_BYTES = 30
NO_REVISION = 2**62  # beyond every other


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """What may go: what ended before a moment, was not written later than a revision, and only until the
    contents of the file are small enough."""

    before: int  # µs on the emulated clock
    revision: int = NO_REVISION
    size: int | None = None  # bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Pruned:
    """How much has gone, or would."""

    executions: int = 0
    attempts: int = 0
    lines: int = 0  # of logs
    size: int = 0  # bytes, about

    def __add__(self, other: Pruned) -> Pruned:
        return Pruned(
            executions=self.executions + other.executions,
            attempts=self.attempts + other.attempts,
            lines=self.lines + other.lines,
            size=self.size + other.size,
        )


def preview(store: Store, limit: Limit) -> Pruned:
    """What `prune` would delete now."""
    total, contents = Pruned(), contents_size(store)
    for tree in _trees(store, limit):
        if limit.size is not None and contents - total.size <= limit.size:
            break
        for sequence in tree:
            for row in store.database.select(SQL["weight"], (sequence,)):
                total += _weight(row)
    return total


def prune(store: Store, limit: Limit) -> Iterator[Pruned]:
    """Delete it, a step each time that the iterator is asked to go on; how much each step deleted."""
    trees = _trees(store, limit)
    doomed: deque[int] = deque()
    while limit.size is None or contents_size(store) > limit.size:
        while len(doomed) < EXECUTIONS_AT_ONCE and (tree := next(trees, None)):
            doomed += tree
        if not doomed:
            break
        with store.database.write() as connection:
            connection.execute(SQL["begin"]).fetchall()
            deleted = _Step(connection, limit).delete(doomed)
        yield deleted
    if limit.size is None:
        with store.database.write() as connection:
            connection.execute(SQL["prune_cron_fires"], (limit.before, CRON_FIRES_AT_ONCE))


def contents_size(store: Store) -> int:
    """Bytes of the file that hold something."""
    pages, free, page_size = (
        store.database.select(f"PRAGMA {name}")[0][0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * page_size)


def _trees(store: Store, limit: Limit) -> Iterator[list[int]]:
    """The executions of each tree that can go, oldest tree first: the children before their parents."""
    place = {"created_at": -(2**62), "sequence": 0}
    while True:
        values = {"before": limit.before, "revision": limit.revision, "limit": ROOTS_AT_ONCE}
        page = store.database.select(SQL["finished_roots"], values | place)
        for row in page:
            if row["is_over"]:
                member = values | {"sequence": row["sequence"], "id": row["id"]}
                if not store.database.select(SQL["kept_of_tree"], member):
                    found = store.database.select(SQL["tree"], member)
                    yield sorted((one["sequence"] for one in found), reverse=True)
        if len(page) < ROOTS_AT_ONCE:
            return
        place = {"created_at": page[-1]["created_at"], "sequence": page[-1]["sequence"]}


def _weight(row: Row) -> Pruned:
    size = EXECUTION_BYTES + row["characters"] + ATTEMPT_BYTES * row["attempts"] + LINE_BYTES * row["lines"]
    return Pruned(executions=1, attempts=row["attempts"], lines=row["lines"], size=size)


class _Step:
    """One transaction."""

    def __init__(self, connection: Connection, limit: Limit) -> None:
        self._connection = connection
        self._limit = limit
        self._until = time.monotonic() + STEP
        self._pruned = Pruned()

    def delete(self, doomed: deque[int]) -> Pruned:
        """Take executions from the left until the time is over."""
        while doomed and time.monotonic() < self._until:
            metadata = self._prunable(doomed[0])
            if metadata is None or self._delete(doomed[0], metadata):
                doomed.popleft()
        return self._pruned

    def _prunable(self, sequence: int) -> dict[str, str] | None:
        """Its metadata; None when it must stay: something was started below it since."""
        values = {"sequence": sequence, "before": self._limit.before, "revision": self._limit.revision}
        for row in self._connection.execute(SQL["prunable"], values).fetchall():
            metadata: dict[str, str] = json.loads(row["metadata"])
            return metadata
        return None

    def _delete(self, sequence: int, metadata: dict[str, str]) -> bool:
        """Whether it is gone: a long log takes several steps."""
        execute = self._connection.execute
        while lines := execute(SQL["prune_logs"], (sequence, LINES_AT_ONCE)).rowcount:
            self._pruned += Pruned(lines=lines)
            if time.monotonic() >= self._until:
                return False
        attempts = execute(SQL["prune_attempts"], (sequence,)).rowcount
        for key, value in metadata.items():
            execute(SQL["prune_metadata"], (key, value, sequence))
        for query in ("prune_faults", "prune_foreground"):
            execute(SQL[query], (sequence,))
        execute(SQL["prune_execution"], (sequence,))
        self._pruned += Pruned(executions=1, attempts=attempts)
        return True
