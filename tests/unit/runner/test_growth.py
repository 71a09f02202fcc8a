from __future__ import annotations

import pytest

from defer_emulator.runner.growth import AT_ONCE, BUSY, workers_to_start


def started(**given: int) -> int:
    usual = {"wanted": 0, "warm": 2, "idle": 0, "starting": 0, "total": 0, "most": 1_000, "long": 0}
    return workers_to_start(**{**usual, **given})


def test_warm_workers_are_kept() -> None:
    assert started() == 2
    assert started(idle=1, total=1) == 1
    assert started(idle=1, starting=1, total=2) == 0


def test_flood_of_short_jobs_is_run_by_few_workers() -> None:
    assert started(wanted=1_000, total=BUSY) == 0
    assert started(wanted=1_000, total=BUSY + 1, long=1) == 0


def test_flood_of_long_jobs_grows_as_quickly_as_processes_start() -> None:
    assert started(wanted=1_000, total=BUSY, long=BUSY) == AT_ONCE
    assert started(wanted=1_000, total=60, long=60) == AT_ONCE
    assert started(wanted=1_000, total=60, long=60, starting=AT_ONCE) == 0


@pytest.mark.parametrize(("wanted", "idle", "starting", "count"), [(1, 1, 0, 0), (3, 1, 1, 1), (1, 0, 1, 0)])
def test_no_more_than_wanted(wanted: int, idle: int, starting: int, count: int) -> None:
    assert started(wanted=wanted, warm=0, idle=idle, starting=starting, total=idle + starting) == count


def test_never_more_than_allowed() -> None:
    assert started(wanted=50, total=9, long=9, most=10) == 1
    assert started(wanted=50, total=10, long=10, most=10) == 0
