"""Adds up what ended, row by row, so that counts, rates and percentiles of any window can be told at once.

Times are integers: microseconds since the epoch, on the emulated clock.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import chain

from defer_client import wire
from defer_client.models import ErrorCode, Json, State
from defer_emulator.domain.fingerprints import fingerprint, innermost_frame
from defer_emulator.domain.insight import Percentiles

VERSION = 1  # of `Tally.to_json`

MINUTE = 60_000_000  # µs
SAMPLES, SAMPLES_OF_ONE = 10_000, 1_000  # latest runs, from which percentiles are told
GROUPS = 1_000  # of errors
LATEST = 5  # executions that a group of errors names
_SHOWN = 300  # characters of a message
_STATES = {state.value: state for state in State}
_RAN = frozenset({"succeed", "failed", "aborted"})  # those that end by a run

NICE_WIDTHS = tuple(
    minutes * MINUTE
    for minutes in (1, 2, 5, 10, 20, 30, 60, 120, 180, 360, 720, 1_440, 2_880, 10_080, 40_320, 161_280)
)


Row = tuple[int, int, str, str, int, int, "int | None", "int | None", "str | None"]
"""An execution as it stands: revision, sequence, function, state, attempt, scheduled_at, started_at,
finished_at, and its failure (JSON) if it failed. A plain tuple: there are millions."""


Sample = tuple[int, int, int]
"""Of a run: when it ended, how long it waited, how long it took."""

Ended = tuple[int, int, str, "int | None"]
"""The execution of a function that ended last: when, its sequence, its state, and how long it ran."""


@dataclass(kw_only=True, slots=True)
class Group:
    """Executions that failed by the same error."""

    name: str
    message: str
    code: ErrorCode
    place: str | None
    first_seen: int
    last_seen: int
    functions: Counter[str] = field(default_factory=Counter)
    latest: list[int] = field(default_factory=list)  # sequences, newest first

    def to_json(self) -> dict[str, Json]:
        return {one.name: getattr(self, one.name) for one in fields(self)}


Key = tuple[str, str]  # function and state


class Level:
    """Counts of stretches of one width, for the newest `kept` of them."""

    def __init__(self, width: int, kept: int) -> None:
        self.width = width  # µs
        self.kept = kept
        self.slots: dict[int, Counter[Key]] = {}
        self._oldest = 0

    def add(self, minute: int, key: Key, count: int) -> None:
        slot = minute * MINUTE // self.width
        if slot < self._oldest:
            return
        counts = self.slots.get(slot)
        if counts is None:
            counts = self.slots[slot] = Counter()
            if len(self.slots) > self.kept * 1.1:
                self._forget()
        counts[key] += count

    def reaches(self, length: int, width: int) -> bool:
        """Whether a window of that length can be cut into buckets of that width."""
        return width % self.width == 0 and length + width <= self.kept * self.width

    def _forget(self) -> None:
        kept = sorted(self.slots)[-self.kept :]
        self._oldest = kept[0]
        self.slots = {slot: self.slots[slot] for slot in kept}


class Tally:
    """`root` is the project's: errors are told apart by places in its code."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.counts: Counter[Key] = Counter()  # all that ended
        self.retrying: dict[int, tuple[str, int]] = {}  # by sequence: function and due time
        self.last: dict[str, Ended] = {}
        self.groups: dict[str, Group] = {}
        self._levels = (Level(MINUTE, 500), Level(10 * MINUTE, 300), Level(60 * MINUTE, 10_000))
        self._samples: deque[Sample] = deque(maxlen=SAMPLES)
        self._samples_of: dict[str, deque[Sample]] = {}

    # --- what is read -------------------------------------------------------------------------

    def add(self, rows: Sequence[Row], *, older: bool) -> None:
        """Rows in the order in which they were written, each final one once; `older`: before all the
        others, newest first."""
        minutes: Counter[tuple[int, Key]] = Counter()
        samples: dict[str, list[Sample]] = {}
        for _, sequence, function, state, attempt, due, started_at, finished_at, failure in rows:
            if finished_at is None:
                self._take_waiting(sequence, function, state, attempt, due)
                continue
            minutes[finished_at // MINUTE, (function, state)] += 1
            if attempt > 1:
                self.retrying.pop(sequence, None)
            run = None
            if started_at is not None and state in _RAN:
                run = finished_at - started_at
                samples.setdefault(function, []).append((finished_at, started_at - due, run))
            last = self.last.get(function)
            if last is None or finished_at >= last[0]:
                self.last[function] = (finished_at, sequence, state, run)
            if failure is not None:
                self._take_failure(sequence, function, finished_at, failure)
        for (minute, key), count in minutes.items():
            self.counts[key] += count
            for level in self._levels:
                level.add(minute, key, count)
        for function, found in samples.items():
            own = self._samples_of.setdefault(function, deque(maxlen=SAMPLES_OF_ONE))
            _extend(own, found, SAMPLES_OF_ONE, older=older)
        _extend(self._samples, sorted(chain(*samples.values()), reverse=older), SAMPLES, older=older)

    def _take_waiting(self, sequence: int, function: str, state: str, attempt: int, due: int) -> None:
        if state == "created" and attempt > 0:
            self.retrying[sequence] = function, due
        else:
            self.retrying.pop(sequence, None)

    def _take_failure(self, sequence: int, function: str, finished_at: int, text: str) -> None:
        try:
            failure = wire.failure_from_json(json.loads(text))
        except (ValueError, KeyError, TypeError):
            return  # nothing of ours wrote that; all else can still be told
        key = fingerprint(failure, self._root)
        group = self.groups.get(key)
        if group is None:
            if len(self.groups) >= GROUPS:
                del self.groups[min(self.groups, key=lambda one: self.groups[one].last_seen)]
            group = self.groups[key] = Group(
                name=failure.name,
                message="",
                code=failure.code,
                place=None,
                first_seen=finished_at,
                last_seen=finished_at - 1,
            )
        if finished_at >= group.last_seen:
            frame = innermost_frame(failure.stack, self._root)
            group.message, group.place = failure.message[:_SHOWN], None if frame is None else str(frame)
            group.last_seen = finished_at
        group.first_seen = min(group.first_seen, finished_at)
        group.functions[function] += 1
        group.latest = sorted([sequence, *group.latest], reverse=True)[:LATEST]

    # --- what is kept -------------------------------------------------------------------------

    def to_json(self) -> Json:
        """All of it, for `from_json`."""
        return {
            "version": VERSION,
            "levels": [
                [[slot, *key, count] for slot, counts in level.slots.items() for key, count in counts.items()]
                for level in self._levels
            ],
            "counts": [[*key, count] for key, count in self.counts.items()],
            "retrying": [[sequence, *values] for sequence, values in self.retrying.items()],
            "last": self.last,
            "samples": list(self._samples),
            "samples_of": {name: list(samples) for name, samples in self._samples_of.items()},
            "groups": {key: group.to_json() for key, group in self.groups.items()},
        }

    @classmethod
    def from_json(cls, root: str, data: Json) -> Tally | None:
        """None for what another version of this program has kept."""
        if data["version"] != VERSION:
            return None
        tally = cls(root)
        for level, slots in zip(tally._levels, data["levels"], strict=True):
            for slot, function, state, count in slots:
                level.slots.setdefault(slot, Counter())[function, state] = count
        tally.counts.update({(function, state): count for function, state, count in data["counts"]})
        tally.retrying = {sequence: (function, due) for sequence, function, due in data["retrying"]}
        tally.last = {name: tuple(one) for name, one in data["last"].items()}
        tally._samples.extend(tuple(one) for one in data["samples"])
        for name, samples in data["samples_of"].items():
            tally._samples_of[name] = deque((tuple(one) for one in samples), maxlen=SAMPLES_OF_ONE)
        for key, group in data["groups"].items():
            functions, code = Counter(group["functions"]), ErrorCode(group["code"])
            tally.groups[key] = Group(**{**group, "functions": functions, "code": code})
        return tally

    # --- what is told -------------------------------------------------------------------------

    def functions(self) -> set[str]:
        """All that ever ended anything."""
        return {function for function, _ in self.counts}

    def counts_of(self, function: str) -> dict[State, int]:
        """All that ended, of a function."""
        found = {state: self.counts.get((function, state.value), 0) for state in State}
        return {state: count for state, count in found.items() if count}

    def retrying_after(self, now: int) -> Counter[str]:
        """How many of each function wait for a retry that is not due yet."""
        return Counter(function for function, due in self.retrying.values() if due > now)

    def activities(
        self, now: int, length: int | None, buckets: int, running: Iterable[tuple[str, int]]
    ) -> Activities:
        """What happened in the `length` before now (None: ever), cut into at most so many buckets, beside the
        one that has begun. `running`: functions and start times of what runs."""
        hours = self._levels[-1]
        if length is None:
            length = now - min(hours.slots, default=now // hours.width) * hours.width
        length = max(length, MINUTE)
        width = next((width for width in NICE_WIDTHS if width * buckets >= length), NICE_WIDTHS[-1])
        level = next((one for one in self._levels if one.reaches(length, width)), hours)
        width = max(width, level.width)
        start = (now - length) // width * width
        found = Activities(start=start, width=width, size=(now - start) // width + 1)
        for slot, counts in level.slots.items():
            found.add(slot * level.width, counts)
        for function, started_at in running:
            found.add(started_at, {(function, State.STARTED.value): 1})
        for name, samples in (("", self._samples), *self._samples_of.items()):
            found.samples[name] = [sample for sample in samples if sample[0] >= start]
        return found


@dataclass(kw_only=True, slots=True)
class Activities:
    """What happened in a stretch of time, of each function and, under "", of all."""

    start: int
    width: int  # µs, of a bucket
    size: int  # the number of buckets
    counts: dict[str, list[dict[State, int]]] = field(default_factory=dict)
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def add(self, moment: int, counts: Mapping[Key, int]) -> None:
        place = (moment - self.start) // self.width
        if 0 <= place < self.size:
            all_of_them = self._buckets("")[place]
            for (function, value), count in counts.items():
                state, own = _STATES[value], self._buckets(function)[place]
                own[state] = own.get(state, 0) + count
                all_of_them[state] = all_of_them.get(state, 0) + count

    def _buckets(self, name: str) -> list[dict[State, int]]:
        found = self.counts.get(name)
        if found is None:
            found = self.counts[name] = [{} for _ in range(self.size)]
        return found

    def buckets(self, name: str) -> Sequence[Mapping[State, int]]:
        return self.counts.get(name) or [{}] * self.size


def _extend(samples: deque[Sample], more: Sequence[Sample], limit: int, *, older: bool) -> None:
    if older:
        samples.extendleft(more[: max(0, limit - len(samples))])
    else:
        samples.extend(more)


def percentiles(durations: Sequence[int]) -> Percentiles | None:
    """Of durations in µs, by the nearest rank; None where there are none. A clock that was moved makes
    negative ones, which count as 0.

    >>> percentiles([3_000_000, 1_000_000, 2_000_000]).p50
    2.0
    """
    if not durations:
        return None
    ordered = sorted(durations)

    def at(percent: int) -> float:
        rank = -(-len(ordered) * percent // 100)
        return max(0, ordered[rank - 1]) / 1_000_000

    return Percentiles(
        count=len(ordered),
        p50=at(50),
        p90=at(90),
        p95=at(95),
        p99=at(99),
        highest=at(100),
    )
