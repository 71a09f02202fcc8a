"""Adding up what ended."""

from __future__ import annotations

import json
import random
from dataclasses import asdict
from datetime import timedelta

import pytest

from defer_client.models import ErrorCode, Failure, State
from defer_emulator.domain.tally import MINUTE, SAMPLES_OF_ONE, Row, Tally, percentiles

SECOND = 1_000_000  # µs
HOUR = 60 * MINUTE
NOW = 500_000 * HOUR + 30 * MINUTE

FAILURE = json.dumps(asdict(Failure(name="ValueError", message="no", stack="", code=ErrorCode.USER)))


def ended(
    sequence: int, at: int, function: str = "job", state: str = "succeed", queue: int = 0, run: int = SECOND
) -> Row:
    started = at - run
    failure = FAILURE if state == "failed" else None
    return (sequence, sequence, function, state, 1, started - queue, started, at, failure)


def waiting(sequence: int, due: int, attempt: int) -> Row:
    return (sequence, sequence, "job", "created", attempt, due, None, None, None)


def counts(tally: Tally, length: timedelta | None, name: str = "", buckets: int = 48) -> dict[State, int]:
    micros = None if length is None else length // timedelta(microseconds=1)
    total: dict[State, int] = {}
    for bucket in tally.activities(NOW, micros, buckets, []).buckets(name):
        for state, count in bucket.items():
            total[state] = total.get(state, 0) + count
    return total


def test_only_what_ended_in_the_window_counts() -> None:
    tally = Tally("")
    rows = [ended(1, NOW - 30 * SECOND), ended(2, NOW - 5 * HOUR), ended(3, NOW - 100 * HOUR)]
    tally.add(rows, older=False)
    assert [
        counts(tally, window).get(State.SUCCEED, 0)
        for window in (timedelta(hours=1), timedelta(hours=6), timedelta(days=7), None)
    ] == [1, 2, 3, 3]


def test_buckets_cover_the_window_without_gaps_and_do_not_move_with_the_time() -> None:
    tally = Tally("")
    tally.add([ended(1, NOW - HOUR)], older=False)
    one = tally.activities(NOW, 24 * HOUR, 48, [])
    later = tally.activities(NOW + 10 * SECOND, 24 * HOUR, 48, [])
    assert (one.start, one.width, one.size) == (later.start, later.width, later.size)
    assert one.width == 30 * MINUTE and one.size == 49
    assert one.start % one.width == 0 and one.start <= NOW - 24 * HOUR
    (place,) = [place for place, bucket in enumerate(one.buckets("job")) if bucket]
    assert one.start + place * one.width <= NOW - HOUR < one.start + (place + 1) * one.width


def test_what_runs_shows_where_it_was_started() -> None:
    found = Tally("").activities(NOW, HOUR, 60, [("job", NOW)])
    assert found.buckets("job")[-1] == {State.STARTED: 1} == found.buckets("")[-1]
    assert found.buckets("other") == [{}] * found.size


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_reading_makes_no_difference(seed: int) -> None:
    chance = random.Random(seed)
    rows = [
        ended(
            number,
            NOW - chance.randrange(100 * HOUR),
            chance.choice("abc"),
            chance.choice(["succeed", "failed", "cancelled"]),
            run=chance.randrange(SECOND),
        )
        for number in range(300)
    ]
    rows.sort(key=lambda row: row[7] or 0)
    forwards, both = Tally("/x"), Tally("/x")
    forwards.add(rows, older=False)
    both.add(rows[200:], older=False)
    both.add(rows[100:200][::-1], older=True)
    both.add(rows[:100][::-1], older=True)
    for name in ("", "a", "b", "c"):
        for length in (HOUR, 24 * HOUR, None):
            one, other = (tally.activities(NOW, length, 48, []) for tally in (forwards, both))
            assert one.buckets(name) == other.buckets(name)
            assert sorted(one.samples.get(name, [])) == sorted(other.samples.get(name, []))
    assert forwards.counts == both.counts and forwards.last == both.last
    assert {key: group.functions for key, group in forwards.groups.items()} == {
        key: group.functions for key, group in both.groups.items()
    }


def test_what_is_kept_and_read_again_is_the_same() -> None:
    tally = Tally("/x")
    tally.add(
        [
            *(ended(number, NOW - number * MINUTE, state="failed") for number in range(50)),
            waiting(99, NOW, 2),
        ],
        older=False,
    )
    again = Tally.from_json("/x", json.loads(json.dumps(tally.to_json())))
    assert again is not None
    assert again.to_json() == tally.to_json()
    assert again.activities(NOW, None, 48, []) == tally.activities(NOW, None, 48, [])
    tally.add([ended(200, NOW)], older=False)
    again.add([ended(200, NOW)], older=False)
    assert again.to_json() == tally.to_json()


def test_what_another_version_kept_is_not_read() -> None:
    assert Tally.from_json("/x", {**Tally("/x").to_json(), "version": 0}) is None


def test_one_that_waits_for_a_retry_counts_until_it_is_due_or_over() -> None:
    tally = Tally("")
    tally.add(
        [waiting(1, NOW + SECOND, 1), waiting(2, NOW + SECOND, 1), waiting(3, NOW + SECOND, 0)], older=False
    )
    assert tally.retrying_after(NOW) == {"job": 2}
    assert tally.retrying_after(NOW + SECOND) == {}
    row = ended(1, NOW + 2 * SECOND)
    tally.add([(*row[:4], 2, *row[5:])], older=False)
    assert tally.retrying_after(NOW) == {"job": 1}


def test_percentiles_are_those_of_the_latest_runs() -> None:
    tally = Tally("")
    old = [ended(number, NOW - HOUR + number, run=100 * SECOND) for number in range(SAMPLES_OF_ONE)]
    new = [ended(number, NOW - MINUTE + number, run=SECOND) for number in range(SAMPLES_OF_ONE)]
    tally.add([*old, *new], older=False)
    samples = tally.activities(NOW, None, 48, []).samples
    assert {run for _, _, run in samples["job"]} == {SECOND}
    assert {run for _, _, run in samples[""]} == {SECOND, 100 * SECOND}


@pytest.mark.parametrize(
    ("count", "p50", "p90", "p99"),
    [(1, 1, 1, 1), (2, 1, 2, 2), (10, 5, 9, 10), (100, 50, 90, 99), (1_000, 500, 900, 990)],
)
def test_percentiles_take_the_nearest_rank(count: int, p50: int, p90: int, p99: int) -> None:
    found = percentiles([second * SECOND for second in range(count, 0, -1)])
    assert found is not None
    assert (found.count, found.p50, found.p90, found.p99, found.highest) == (count, p50, p90, p99, count)


def test_without_durations_there_are_no_percentiles_and_negative_ones_are_none_at_all() -> None:
    assert percentiles([]) is None
    found = percentiles([-5 * SECOND])
    assert found is not None and found.p50 == found.highest == 0


def test_a_failure_that_nobody_of_ours_wrote_spoils_nothing() -> None:
    tally = Tally("")
    rows = [ended(number, NOW, state="failed") for number in range(4)]
    texts = ("{}", "[]", "not JSON", FAILURE)
    tally.add([(*row[:8], text) for row, text in zip(rows, texts, strict=True)], older=False)
    assert tally.counts["job", "failed"] == 4
    assert [group.functions.total() for group in tally.groups.values()] == [1]
