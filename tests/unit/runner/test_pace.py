"""When a pool is flooded with short jobs."""

from __future__ import annotations

from defer_emulator.runner.pace import MANY, SHORT, WINDOW, Pace


def after(*ends: tuple[float, float]) -> Pace:
    """Jobs that ended at those moments, having run for so long."""
    pace = Pace()
    for now, seconds in ends:
        pace.ended(now, seconds)
    return pace


def short_jobs(count: int, within: float = WINDOW / 2) -> list[tuple[float, float]]:
    return [(number * within / count, SHORT / 2) for number in range(count)]


def test_many_short_jobs_in_a_moment_are_a_flood() -> None:
    assert after(*short_jobs(MANY)).is_flood(WINDOW / 2)


def test_a_few_are_none() -> None:
    assert not after(*short_jobs(MANY - 1)).is_flood(WINDOW / 2)


def test_many_that_took_their_time_to_come_are_none() -> None:
    assert not after(*short_jobs(MANY, within=10 * WINDOW)).is_flood(10 * WINDOW)


def test_it_is_over_a_moment_after_the_last_one() -> None:
    assert not after(*short_jobs(MANY)).is_flood(2 * WINDOW)


def test_one_long_job_ends_it() -> None:
    assert not after(*short_jobs(2 * MANY), (WINDOW / 2, 2 * SHORT)).is_flood(WINDOW / 2)


def test_one_that_is_still_running_ends_it_too() -> None:
    pace = after(*short_jobs(MANY))
    pace.slow_down()
    assert not pace.is_flood(WINDOW / 2)
