from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from defer_client.durations import parse_duration, parse_when
from defer_client.errors import InvalidDuration, InvalidOption

UTC = timezone.utc


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("1 day", timedelta(days=1)),
        ("2h30m", timedelta(hours=2, minutes=30)),
        ("2h 30m", timedelta(hours=2, minutes=30)),
        ("1 hour, 30 minutes", timedelta(hours=1, minutes=30)),
        ("500ms", timedelta(milliseconds=500)),
        ("1.5 weeks", timedelta(days=10.5)),
        ("1500 ns", timedelta(microseconds=2)),
        ("3µs", timedelta(microseconds=3)),
        ("3μs", timedelta(microseconds=3)),
        ("3us", timedelta(microseconds=3)),
        ("5 Minutes", timedelta(minutes=5)),
        ("5m", timedelta(minutes=5)),
        ("1M", timedelta(days=30.44)),
        ("1 month", timedelta(days=30.44)),
        ("2 years", timedelta(days=730.5)),
        (".5h", timedelta(minutes=30)),
        ("1.s", timedelta(seconds=1)),
        ("90", timedelta(seconds=90)),
        ("1.5", timedelta(seconds=1.5)),
        ("0s", timedelta(0)),
        ("0.000001s", timedelta(microseconds=1)),
        ("  1d  ", timedelta(days=1)),
    ],
)
def test_text_is_read_as_a_duration(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "names",
    [
        "ns nanosecond nanoseconds",
        "us µs microsecond microseconds",
        "ms millisecond milliseconds",
        "s sec second seconds",
        "m min minute minutes",
        "h hr hour hours",
        "d day days",
        "w week weeks",
        "month months",
        "y year years",
    ],
)
def test_all_names_of_a_unit_mean_the_same(names: str) -> None:
    first, *others = names.split()
    assert [parse_duration(f"700{name}") for name in others] == [parse_duration(f"700{first}")] * len(others)


def test_numbers_are_seconds_and_timedeltas_themselves() -> None:
    assert parse_duration(90) == parse_duration(90.0) == parse_duration(timedelta(seconds=90))


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        " ",
        "soon",
        "1 day ago",
        "h",
        "1h 30",
        "1..5h",
        "1,5h,",
        "-1h",
        "1e3s",
        "١h",
        "1h-30m",
        "+1h",
        "9" * 300,
    ],
)
def test_text_that_is_no_duration_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidDuration):
        parse_duration(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        True,
        [],
        "10000 years",
        -1,
        timedelta(-1),
        float("nan"),
        float("inf"),
        1e300,
        timedelta.max,
        b"1h",
    ],
)
def test_values_that_are_no_duration_are_refused(wrong: Any) -> None:
    with pytest.raises(InvalidDuration):
        parse_duration(wrong)


def test_an_unknown_unit_is_named_with_the_nearest_one() -> None:
    with pytest.raises(InvalidOption) as caught:
        parse_duration("3 wekks", "delay")
    assert "delay" in caught.value.message
    assert "'wekks'" in caught.value.message
    assert '"weeks"' in caught.value.hint


@pytest.mark.parametrize(
    ("given", "moment"),
    [
        (datetime(2026, 1, 31, 8), datetime(2026, 1, 31, 8, tzinfo=UTC)),
        (datetime(2026, 1, 31, 8, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 1, 31, 6, tzinfo=UTC)),
        ("2026-01-31T08:00:00Z", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        ("2026-01-31 08:00:00+02:00", datetime(2026, 1, 31, 6, tzinfo=UTC)),
        ("2026-01-31T08:00:00.5", datetime(2026, 1, 31, 8, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
    ],
)
def test_moments_come_back_in_utc(given: Any, moment: datetime) -> None:
    found = parse_when(given)
    assert found == moment
    assert isinstance(found, datetime)
    assert found.tzinfo is UTC


def test_a_when_may_be_a_duration() -> None:
    assert parse_when("2h") == timedelta(hours=2)


@pytest.mark.parametrize(
    "wrong",
    ["2026-13-01", "2026-01-31T99:00", "tomorrow", datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))],
)
def test_a_wrong_moment_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidDuration, match="delay"):
        parse_when(wrong, "delay")
