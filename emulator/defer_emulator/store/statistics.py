"""The numbers of a whole project, kept up with its file.

What has ended never changes again, so each row is read once: the newest first when a project is opened, and
from then on what was written since. Every write is stamped with a growing revision, which is indexed. What
was added up is kept in the file now and then: who opens it later reads the rest only.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from sqlite3 import Connection
from threading import RLock
from typing import Generic, NamedTuple, TypeVar

from defer_client.models import State
from defer_emulator.clock import to_datetime
from defer_emulator.domain.fingerprints import fingerprint
from defer_emulator.domain.insight import (
    Activity,
    Bucket,
    ErrorGroup,
    FunctionStatistics,
    LastResult,
    QueueDepth,
    Statistics,
)
from defer_emulator.domain.tally import Activities, Ended, Group, Row, Tally, percentiles
from defer_emulator.store.queries import SQL
from defer_emulator.store.rows import dumps, failure_of, text_of
from defer_emulator.store.store import Store

T = TypeVar("T")
Position = tuple[int, int]  # revision and sequence

CHUNK = 1_000  # rows of one read: an open one lets the write-ahead log grow
KEEP_AFTER = 5_000  # rows
_BEYOND = 2**62  # every sequence
_FEW = 50_000  # rows: so many are read anew without a thought
_CHEAP = 0.005  # seconds: what costs less is asked each time
_REST = 20  # what costs more is asked again after so many times its cost
_SHORTLY = 0.03  # seconds
_RECOUNT = 120.0  # seconds between two times to begin anew, because something was deleted


class StatisticsReader:
    """Statistics of a project's file, for all threads of a process. Nothing is read before `catch_up`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._root = "" if store.root is None else str(store.root)
        self._turn = RLock()
        self._states = _Remembered[dict[str, int]]()
        self._pending = _Remembered[list[_Pending]]()
        self._tally = Tally(self._root)
        self._newest: Position = (-1, _BEYOND)  # up to which it was read
        self._oldest: Position | None = None  # and from which on; None: from the beginning
        self._revision = -1  # of the file, when nothing new was left to read
        self._unkept = 0  # rows
        self._begun = time.monotonic()
        self._look_again = 0.0  # for what was deleted; monotonic
        self._some_missing = False

    @property
    def store(self) -> Store:
        """The file, by a connection for long reads."""
        return self._store

    @property
    def is_complete(self) -> bool:
        """Whether everything was read once."""
        return self._revision >= 0 and self._oldest is None

    # --- reading ------------------------------------------------------------------------------

    def catch_up(self, patience: float | None = None) -> bool:
        """Read what was written since the last time, then what was there before, for about `patience`
        seconds. Returns whether nothing is left."""
        deadline = None if patience is None else time.monotonic() + patience
        while self._read_chunk():
            if deadline is not None and time.monotonic() >= deadline:
                return False
        return True

    def _read_chunk(self) -> bool:
        """Returns whether there is more."""
        with self._turn, self._store.database.read() as connection:
            revision = _revision(connection)
            if revision < self._revision or self._newest[0] < 0:  # nothing was read, or of another file
                self._begin(connection, revision)
            rows = _rows(connection, "written_after", self._newest)
            if rows:
                self._newest = rows[-1][:2]
                self._tally.add(rows, older=False)
            else:
                self._revision = revision
                if self._oldest is not None:
                    rows = _rows(connection, "written_before", self._oldest)
                    self._oldest = rows[-1][:2] if rows else None
                    self._tally.add(rows, older=True)
            self._unkept += len(rows)
            return bool(rows)

    def _begin(self, connection: Connection, revision: int, *, anew: bool = False) -> None:
        """From what was kept in the file, or, `anew`, from nothing."""
        self._begun, self._revision, self._unkept = time.monotonic(), revision, 0
        self._tally, self._newest = Tally(self._root), (revision, _BEYOND)
        self._oldest = self._newest
        kept = None if anew else connection.execute(SQL["tally"]).fetchone()
        if kept is not None and kept["revision"] <= revision:
            tally = Tally.from_json(self._root, json.loads(kept["content"]))
            if tally is not None:
                self._tally, self._oldest = tally, None
                self._newest = kept["revision"], kept["sequence"]

    def keep(self) -> None:
        """Write into the file what was added up, if that is worth it."""
        with self._turn:
            if not self.is_complete or self._unkept < KEEP_AFTER:
                return
            values = (*self._newest, text_of(dumps(self._tally.to_json())))
            self._unkept = 0
        with self._store.write() as tx:
            tx.keep_tally(*values)

    # --- numbers ------------------------------------------------------------------------------

    def statistics(self, length: int | None, buckets: int) -> Statistics:
        """As far as it was read. `length` of the window is in µs; None: everything."""
        now = self._store.now()
        with self._turn, self._store.database.read() as connection:
            running = [(row[0], row[1], row[2]) for row in connection.execute(SQL["running_since"])]
            pending = self._pending.get(lambda: _pending(connection, now))
            stored = self._stored(connection, pending, running)
            ids = _ids(connection, [last[1] for last in self._tally.last.values()])
            registered = {row["name"] for row in connection.execute(SQL["functions"])}
            activities = self._tally.activities(now, length, buckets, [(one[0], one[2]) for one in running])
            queues = _queues(pending, self._tally.retrying_after(now))
            names = registered | self._tally.functions() | queues.keys() | {one[0] for one in running}
            functions = {
                name: self._function(name, activities, queues, running, ids) for name in sorted(names)
            }
        return Statistics(
            now=to_datetime(now),
            since=to_datetime(activities.start),
            bucket_width=timedelta(microseconds=activities.width),
            is_complete=self.is_complete,
            counts={state: stored.get(state.value, 0) for state in State},
            activity=_activity(activities, ""),
            queue=_total(queues.values()),
            places_taken=len(running),
            functions=functions,
        )

    def _stored(
        self, connection: Connection, pending: Sequence[_Pending], running: Sequence[tuple[str, str, int]]
    ) -> Mapping[str, int]:
        """How many are in each state. What was added up is compared with the number of rows, which is cheap:
        where they differ, rows were deleted."""
        revision = _revision(connection)
        if self.is_complete and self._revision == revision:
            counts = Counter(state for _, state, _ in running)
            counts["created"] = sum(one.due + one.later for one in pending)
            for (_, state), count in self._tally.counts.items():
                counts[state] += count
            if not self._are_some_missing(connection, counts.total()):
                return counts
            if counts.total() < _FEW or time.monotonic() - self._begun > _RECOUNT:
                self._begin(connection, revision, anew=True)
                self.catch_up(_SHORTLY)
        return self._states.get(lambda: {row[0]: row[1] for row in connection.execute(SQL["count_states"])})

    def _are_some_missing(self, connection: Connection, expected: int) -> bool:
        """Not looked at each time where that is expensive."""
        begun = time.monotonic()
        if begun >= self._look_again:
            stored: int = connection.execute(SQL["count_all"]).fetchone()[0]
            now = time.monotonic()
            self._look_again = now + _REST * (now - begun) if now - begun > _CHEAP else 0.0
            self._some_missing = stored != expected
        return self._some_missing

    def _function(
        self,
        name: str,
        activities: Activities,
        queues: Mapping[str, QueueDepth],
        running: Sequence[tuple[str, str, int]],
        ids: Mapping[int, str],
    ) -> FunctionStatistics:
        counts: Counter[State] = Counter(self._tally.counts_of(name))
        counts.update(State(state) for function, state, _ in running if function == name)
        queue = queues.get(name, QueueDepth())
        return FunctionStatistics(
            name=name,
            counts={**counts, **({State.CREATED: queue.total} if queue.total else {})},
            activity=_activity(activities, name),
            queue=queue,
            places_taken=sum(function == name for function, _, _ in running),
            last=_last_result(self._tally.last.get(name), ids),
        )

    # --- errors -------------------------------------------------------------------------------

    def error_groups(self) -> list[ErrorGroup]:
        """Those seen last first, as far as it was read."""
        with self._turn, self._store.database.read() as connection:
            groups = sorted(self._tally.groups.items(), key=lambda item: item[1].last_seen, reverse=True)
            ids = _ids(connection, [sequence for _, group in groups for sequence in group.latest])
        return [_error_group(key, group, ids) for key, group in groups]

    def executions_with_error(self, group: ErrorGroup, limit: int) -> list[str]:
        """The ids of those that failed by it, newest first."""
        found: list[str] = []
        before = _BEYOND
        while len(found) < min(limit, group.count):
            values = {"before": before, "functions": json.dumps(list(group.functions)), "limit": CHUNK}
            with self._store.database.read() as connection:
                rows = connection.execute(SQL["failures_of"], values).fetchall()
            found += [row["id"] for row in rows if self._fingerprint(row["failure"]) == group.fingerprint]
            if len(rows) < CHUNK:
                break
            before = rows[-1]["sequence"]
        return found[:limit]

    def _fingerprint(self, text: str) -> str:
        failure = failure_of(text)
        return "" if failure is None else fingerprint(failure, self._root)


class _Remembered(Generic[T]):
    """An answer that is given again for a while, if it was expensive."""

    def __init__(self) -> None:
        self._until = 0.0
        self._value: T | None = None

    def get(self, ask: Callable[[], T]) -> T:
        begun = time.monotonic()
        if self._value is None or begun >= self._until:
            self._value = ask()
            now = time.monotonic()
            self._until = now + _REST * (now - begun) if now - begun > _CHEAP else 0.0
        return self._value


class _Pending(NamedTuple):
    function: str
    due: int
    later: int


def _pending(connection: Connection, now: int) -> list[_Pending]:
    return [_Pending(*row) for row in connection.execute(SQL["count_pending"], {"now": now})]


def _queues(pending: Iterable[_Pending], retrying: Mapping[str, int]) -> dict[str, QueueDepth]:
    found = {}
    for one in pending:
        waiting = min(one.later, retrying.get(one.function, 0))
        found[one.function] = QueueDepth(due=one.due, delayed=one.later - waiting, retrying=waiting)
    return found


def _total(queues: Collection[QueueDepth]) -> QueueDepth:
    return QueueDepth(
        due=sum(one.due for one in queues),
        delayed=sum(one.delayed for one in queues),
        retrying=sum(one.retrying for one in queues),
    )


def _activity(activities: Activities, name: str) -> Activity:
    buckets, samples = activities.buckets(name), activities.samples.get(name, [])
    totals: Counter[State] = Counter()
    for bucket in buckets:
        totals.update(bucket)
    return Activity(
        counts={state: totals[state] for state in State if state.is_final and totals[state]},
        queue_time=percentiles([sample[1] for sample in samples]),
        run_time=percentiles([sample[2] for sample in samples]),
        buckets=[
            Bucket(start=to_datetime(activities.start + place * activities.width), counts=bucket)
            for place, bucket in enumerate(buckets)
        ],
    )


def _last_result(last: Ended | None, ids: Mapping[int, str]) -> LastResult | None:
    """None too for one that was deleted."""
    if last is None or last[1] not in ids:
        return None
    finished_at, sequence, state, run = last
    return LastResult(
        id=ids[sequence],
        state=State(state),
        finished_at=to_datetime(finished_at),
        run_time=None if run is None else run / 1_000_000,
    )


def _rows(connection: Connection, query: str, position: Position) -> list[Row]:
    cursor = connection.cursor()
    cursor.row_factory = None  # plain tuples cost half
    values = {"revision": position[0], "sequence": position[1], "limit": CHUNK}
    return cursor.execute(SQL[query], values).fetchall()


def _revision(connection: Connection) -> int:
    revision: int = connection.execute(SQL["project"]).fetchone()["revision"]
    return revision


def _ids(connection: Connection, sequences: Iterable[int]) -> dict[int, str]:
    """Those that still exist."""
    rows = connection.execute(SQL["ids_of"], (json.dumps(list(sequences)),))
    return {row["sequence"]: row["id"] for row in rows}


def _error_group(key: str, group: Group, ids: Mapping[int, str]) -> ErrorGroup:
    return ErrorGroup(
        fingerprint=key,
        name=group.name,
        message=group.message,
        code=group.code,
        place=group.place,
        count=group.functions.total(),
        functions=dict(group.functions.most_common()),
        first_seen=to_datetime(group.first_seen),
        last_seen=to_datetime(group.last_seen),
        latest=[ids[sequence] for sequence in group.latest if sequence in ids],
    )
