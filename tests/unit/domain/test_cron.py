from __future__ import annotations

import re
from datetime import datetime, timezone
from itertools import pairwise

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from defer_emulator.domain.cron import DAY, MINUTE, count_between, next_after, upcoming, validate


def us(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=timezone.utc).timestamp()) * 1_000_000  # type: ignore[arg-type,misc]


def text(moment: int | None) -> str:
    assert moment is not None
    return datetime.fromtimestamp(moment / 1_000_000, timezone.utc).strftime("%a %Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 8 * * MON", "Mon 2026-01-05 08:00"),
        ("0 8 * * mon", "Mon 2026-01-05 08:00"),
        ("5 0 * * *", "Fri 2026-01-02 00:05"),
        ("*/15 * * * *", "Thu 2026-01-01 12:45"),
        ("0 0 1 JUL *", "Wed 2026-07-01 00:00"),
        ("0 0 * * 7", "Sun 2026-01-04 00:00"),
        ("0 0 * * FRI-MON", "Fri 2026-01-02 00:00"),
        ("5-5 * * * *", "Thu 2026-01-01 13:05"),
        ("  0\t8 * *   MON\n", "Mon 2026-01-05 08:00"),
        ("@hourly", "Thu 2026-01-01 13:00"),
        ("@daily", "Fri 2026-01-02 00:00"),
        ("@midnight", "Fri 2026-01-02 00:00"),
        ("@weekly", "Sun 2026-01-04 00:00"),
        ("@monthly", "Sun 2026-02-01 00:00"),
        ("@YEARLY", "Fri 2027-01-01 00:00"),
        ("@annually", "Fri 2027-01-01 00:00"),
    ],
)
def test_the_next_minute_is_found(expression: str, expected: str) -> None:
    assert text(next_after(expression, us(2026, 1, 1, 12, 30))) == expected


def test_the_next_minute_is_strictly_after_the_moment() -> None:
    due = us(2026, 1, 5, 8)
    assert next_after("0 8 * * MON", due - 1) == due
    assert next_after("0 8 * * MON", due) == us(2026, 1, 12, 8)


def test_a_moment_within_a_minute_waits_for_the_next_full_one() -> None:
    assert next_after("* * * * *", us(2026, 1, 1) + 1) == us(2026, 1, 1, 0, 1)


def test_day_of_month_and_day_of_week_are_alternatives() -> None:
    days = [text(moment)[:14] for moment in upcoming("0 0 13 * FRI", us(2026, 1, 1), 4)]
    assert days == ["Fri 2026-01-02", "Fri 2026-01-09", "Tue 2026-01-13", "Fri 2026-01-16"]


def test_leap_days_are_found_over_a_century_without_one() -> None:
    assert text(next_after("0 0 29 2 *", us(2097, 1, 1))) == "Fri 2104-02-29 00:00"


def test_the_end_of_the_calendar_is_no_error() -> None:
    assert next_after("0 0 1 1 *", us(9999, 6, 1)) is None
    assert upcoming("0 0 1 1 *", us(9998, 6, 1), 5) == [us(9999, 1, 1)]


@pytest.mark.parametrize("expression", ["0 0 30 2 *", "0 0 31 2,4 *", "0 0 31 jun,sep,nov *"])
def test_an_expression_that_never_fires_is_refused(expression: str) -> None:
    assert validate(expression) == "it never fires: no such day in these months"
    with pytest.raises(ValueError, match="never fires"):
        next_after(expression, 0)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "has 0 fields"),
        ("0 8 * *", "has 4 fields: a cron expression has 5"),
        ("* * * * * *", "has 6 fields: a cron expression has 5"),
        ("0 8 * * MON 2026 1", "has 7 fields"),
        ("61 * * * *", "minute '61' .*out of range"),
        ("0 24 * * *", "hour '24' .*out of range"),
        ("0 0 0 * *", "day of month '0' .*out of range"),
        ("0 0 1 13 *", "month '13' .*out of range"),
        ("0 0 * * 8", "day of week '8' .*out of range"),
        ("*/0 * * * *", "minute .* step"),
        ("-1 * * * *", "negative"),
        ("1,,2 * * * *", "minute '1,,2'"),
        ("1- * * * *", "minute '1-'"),
        ("0 8 * * MONDAY", "'MONDAY' is unknown, the names are MON"),
        ("0 8 * MON *", "month 'MON' is wrong: 'MON' is unknown, the names are JAN"),
        ("H * * * *", "'H' is unknown, only numbers"),
        ("R(0-10) * * * *", "not part of cron"),
        ("0 0 L * *", "'L' is unknown"),
        ("0 0 15W * *", "'W' is unknown"),
        ("0 0 * * MON#2", "'#' is not part of cron"),
        ("0 0 ? * *", "not part of cron"),
        ("１ * * * *", "not part of cron"),
        ("@reboot", "'@reboot' is unknown"),
    ],
)
def test_a_bad_expression_says_what_is_wrong(expression: str, reason: str) -> None:
    found = validate(expression)
    assert found is not None
    assert re.search(reason, found), found


def test_a_good_expression_has_no_reason_against_it() -> None:
    assert validate("*/5 9-17 1,15 JAN-JUN MON-FRI") is None


def test_fires_are_counted_with_the_last_minute_and_without_the_first() -> None:
    start = us(2026, 1, 1)
    assert count_between("* * * * *", start, start) == 0
    assert count_between("* * * * *", start, start + 10 * MINUTE) == 10
    assert count_between("* * * * *", start, start + 365 * DAY) == 365 * 1440
    assert count_between("0 8 * * MON", start, start + 365 * DAY) == 52
    assert count_between("0 8 * * MON", start + DAY, start) == 0


FIELD = [
    st.sampled_from(["*", "0", "59", "*/7", "5-20", "1,30", "10-40/10", "58/2"]),
    st.sampled_from(["*", "0", "23", "*/5", "9-17", "3,4", "22-23"]),
    st.sampled_from(["*", "1", "31", "*/2", "1-31", "28-30", "15,29"]),
    st.sampled_from(["*", "1", "2", "FEB-APR", "*/3", "DEC", "6,8"]),
    st.sampled_from(["*", "0", "7", "MON", "MON-FRI", "1,3", "*/2", "SAT-MON"]),
]


@settings(max_examples=150)
@given(st.tuples(*FIELD), st.datetimes(datetime(1999, 1, 1), datetime(2060, 1, 1)))
def test_moments_agree_with_croniter(fields: tuple[str, ...], start: datetime) -> None:
    expression = " ".join(fields)
    if validate(expression) is not None:
        return
    start = start.replace(tzinfo=timezone.utc)
    after = int(start.timestamp() * 1_000_000)
    reference = croniter(expression, start)
    moments = upcoming(expression, after, 5)
    expected = [int(reference.get_next(float)) * 1_000_000 for _ in range(5)]
    assert moments == expected
    assert all(earlier < later for earlier, later in pairwise(moments))
    assert count_between(expression, after, moments[-1]) == 5
    assert count_between(expression, after, moments[-1] - 1) == 4
