"""When crons fire."""

from __future__ import annotations

from defer_emulator.domain.functions import FunctionSpec, FunctionStatus, RegisteredFunction
from defer_emulator.scheduler.crons import CronTable

MINUTE = 60_000_000
HOUR = 60 * MINUTE


def cron(
    expression: str = "* * * * *",
    *,
    after: int = 0,
    paused: bool = False,
    status: FunctionStatus = "ready",
) -> RegisteredFunction:
    spec = FunctionSpec(
        name="tick", module="defer.tick", file="defer/tick.py", line=1, kind="cron", cron=expression
    )
    return RegisteredFunction(
        id="id", spec=spec, status=status, problem=None, paused=paused, cron_after=after
    )


def table(function: RegisteredFunction) -> CronTable:
    crons = CronTable()
    crons.update([function])
    return crons


def test_a_cron_fires_from_the_first_minute_after_it_was_seen() -> None:
    crons = table(cron(after=MINUTE))
    assert crons.take_due(MINUTE) == []
    assert crons.next_due() == 2 * MINUTE
    (due,) = crons.take_due(2 * MINUTE)
    assert due.minutes == (2 * MINUTE,)
    assert due.missed == 0


def test_each_minute_is_taken_once() -> None:
    crons = table(cron())
    assert len(crons.take_due(MINUTE)) == 1
    assert crons.take_due(MINUTE) == []
    assert crons.take_due(MINUTE + 59_999_999) == []


def test_a_minute_that_is_at_most_60_seconds_late_still_fires() -> None:
    (due,) = table(cron("@hourly")).take_due(HOUR + MINUTE)
    assert due.minutes == (HOUR,)


def test_a_minute_missed_by_more_than_60_seconds_is_counted_and_skipped() -> None:
    crons = table(cron("@hourly"))
    (due,) = crons.take_due(HOUR + MINUTE + 1)
    assert due.minutes == ()
    assert (due.missed, due.first_missed) == (1, HOUR)
    assert crons.next_due() == 2 * HOUR


def test_a_long_absence_fires_only_what_is_due_now() -> None:
    crons = table(cron("@hourly"))
    (due,) = crons.take_due(100 * HOUR)
    assert due.minutes == (100 * HOUR,)
    assert due.missed == 99
    assert due.seen == 100 * HOUR
    assert crons.next_due() == 101 * HOUR


def test_a_year_of_missed_minutes_is_counted_at_once() -> None:
    (due,) = table(cron()).take_due(365 * 24 * HOUR)
    assert due.missed == 365 * 24 * 60 - 2
    assert due.minutes == (365 * 24 * HOUR - MINUTE, 365 * 24 * HOUR)


def test_a_paused_cron_skips_its_minutes_for_good() -> None:
    crons = table(cron(paused=True))
    (due,) = crons.take_due(5 * MINUTE)
    assert (due.minutes, due.missed, due.seen) == ((), 0, 5 * MINUTE)


def test_a_cron_whose_file_is_gone_does_not_fire() -> None:
    assert table(cron(status="removed")).next_due() is None


def test_a_cron_whose_file_does_not_import_keeps_its_schedule() -> None:
    assert table(cron(status="broken")).next_due() == MINUTE
