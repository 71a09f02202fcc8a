"""Each due minute fires exactly once, whatever happens around it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from defer_client.models import Execution, ExecutionFilters, Page
from defer_client.sync import run
from defer_emulator.notify.events import CronMissed
from tests.unit.scheduler.conftest import START, Bench


def fired(bench: Bench) -> list[Execution]:
    """All executions that there are, oldest first."""
    page = run(bench.backend.list_executions(Page(first=1000), ExecutionFilters()), immediate=True)
    return list(reversed(page.data))


def minutes(bench: Bench) -> list[str]:
    return [f"{one.scheduled_at:%H:%M}" for one in fired(bench)]


def missed(bench: Bench) -> list[int]:
    return [event.count for event in bench.bus.events if isinstance(event, CronMissed)]


def test_a_cron_is_first_due_in_the_first_minute_after_it_was_seen(bench: Bench) -> None:
    bench.function("tick", cron="* * * * *")  # at 12:00:30
    bench.wait(seconds=29)
    assert fired(bench) == [], "no execution exists before its minute"
    bench.wait(seconds=1)
    assert minutes(bench) == ["12:01"]


def test_an_execution_of_a_cron_is_due_at_its_minute_however_late_the_tick(bench: Bench) -> None:
    bench.function("tick", cron="* * * * *")
    bench.wait(seconds=30 + 55)
    assert minutes(bench) == ["12:01"]
    assert fired(bench)[0].scheduled_at == START.replace(minute=1, second=0)
    assert fired(bench)[0].executed_by is None


def test_ten_saves_in_a_due_second_fire_it_once(bench: Bench) -> None:
    bench.function("tick", cron="* * * * *")
    bench.wait(seconds=29)
    for _ in range(10):
        bench.wait(milliseconds=200)
        bench.load()
    assert minutes(bench) == ["12:01"]


def test_a_file_that_disappears_for_a_moment_while_it_is_saved_costs_no_minute(bench: Bench) -> None:
    bench.function("tick", cron="* * * * *")
    spec = bench.specs.pop("tick")
    bench.wait(seconds=29)
    bench.load()
    bench.wait(seconds=2)
    bench.specs["tick"] = spec
    bench.load()
    assert minutes(bench) == ["12:01"]
    bench.load()
    bench.wait(seconds=5)
    assert minutes(bench) == ["12:01"]


def test_a_removed_cron_that_comes_back_after_hours_replays_nothing(bench: Bench) -> None:
    bench.function("tick", cron="* * * * *")
    spec = bench.specs.pop("tick")
    bench.load()
    bench.wait(hours=3)
    bench.specs["tick"] = spec
    bench.load()
    assert len(fired(bench)) <= 1
    assert missed(bench) == []


def test_a_renamed_file_is_a_new_cron_and_the_old_one_is_silent(bench: Bench) -> None:
    bench.function("tick", cron="* * * * *")
    bench.wait(seconds=30)
    spec = bench.specs.pop("tick")
    bench.function("tock", cron=spec.cron)
    assert [one.function_name for one in fired(bench)] == ["tick"], "the new one counts from now on"
    bench.wait(minutes=1)
    assert [one.function_name for one in fired(bench)] == ["tick", "tock"]


def test_a_file_that_moves_to_another_folder_keeps_its_schedule(bench: Bench) -> None:
    bench.function("tick", cron="* * * * *")
    bench.wait(seconds=29)
    bench.spec("tick", file="defer/mails/tick.py", module="defer.mails.tick")
    bench.wait(seconds=1)
    assert minutes(bench) == ["12:01"]
    bench.spec("tick", file="defer/tick.py", module="defer.tick")
    assert minutes(bench) == ["12:01"]


def test_a_changed_expression_fires_no_minute_before_the_change(bench: Bench) -> None:
    bench.function("tick", cron="0 * * * *")
    bench.wait(minutes=30)  # 12:30:30
    bench.spec("tick", cron="*/10 * * * *")
    assert minutes(bench) == []
    bench.wait(minutes=10)
    assert minutes(bench) == ["12:40"]


def test_an_expression_that_is_changed_and_changed_back_within_its_minute_fires_once(bench: Bench) -> None:
    bench.function("tick", cron="* * * * *")
    bench.wait(seconds=30)
    bench.spec("tick", cron="*/2 * * * *")
    bench.spec("tick", cron="* * * * *")
    bench.wait(seconds=20)
    assert minutes(bench) == ["12:01"]


def test_a_changed_option_that_is_not_the_expression_costs_no_minute(bench: Bench) -> None:
    bench.function("tick", cron="* * * * *")
    bench.wait(seconds=29)
    bench.spec("tick", concurrency=3)
    bench.wait(seconds=1)
    assert minutes(bench) == ["12:01"]


def test_a_broken_cron_queues_its_minutes_and_runs_them_when_it_is_mended(bench: Bench) -> None:
    bench.function("tick", cron="* * * * *")
    bench.breaks("tick", "defer/tick.py:1: SyntaxError")
    bench.wait(seconds=30)
    bench.wait(minutes=1)
    assert minutes(bench) == ["12:01", "12:02"]
    assert bench.pool.started == []
    bench.broken.clear()
    bench.load()
    assert bench.pool.started == ["tick", "tick"]


@pytest.mark.parametrize("name", ["tick", None])
def test_a_paused_cron_skips_its_minutes_and_says_nothing(bench: Bench, name: str | None) -> None:
    bench.function("tick", cron="* * * * *")
    run(bench.operations.pause(name), immediate=True)
    bench.wait(minutes=5)
    run(bench.operations.resume(name), immediate=True)
    bench.do()
    assert (fired(bench), missed(bench)) == ([], [])
    bench.wait(minutes=1)
    assert minutes(bench) == ["12:06"]


def test_a_cron_of_the_leap_day_waits_for_the_next_one(bench: Bench) -> None:
    bench.function("tick", cron="0 0 29 2 *")
    leap = datetime(2028, 2, 29, tzinfo=timezone.utc)
    bench.clock.advance(leap - START - timedelta(seconds=1))
    bench.do()
    assert fired(bench) == []
    bench.wait(seconds=1)
    assert [one.scheduled_at for one in fired(bench)] == [leap]


def test_a_machine_clock_that_jumps_forward_skips_and_says_so(bench: Bench) -> None:
    bench.function("tick", cron="* * * * *")
    bench.wait(hours=2)  # 14:00:30
    assert minutes(bench) == ["14:00"], "missed by 30 s only"
    assert missed(bench) == [119]
    bench.do()
    assert missed(bench) == [119], "said once"
    kept = run(bench.operations.missed_crons(), immediate=True)
    assert [(one.function, one.count) for one in kept] == [("tick", 119)]


def test_a_machine_clock_that_jumps_back_fires_no_minute_twice(bench: Bench) -> None:
    bench.function("tick", cron="* * * * *")
    bench.wait(minutes=1, seconds=30)
    before = minutes(bench)
    bench.wait(minutes=-2)
    bench.load()
    bench.wait(minutes=1)
    assert minutes(bench) == before
    bench.wait(minutes=2)
    assert minutes(bench) == [*before, "12:03"]


def test_a_restart_in_the_due_second_fires_once(bench: Bench) -> None:
    bench.function("tick", cron="* * * * *")
    bench.wait(seconds=29)
    bench.crash()
    bench.wait(seconds=1)
    bench.start()
    bench.crash()
    bench.start()
    assert minutes(bench) == ["12:01"]


def test_a_restart_within_a_minute_of_a_due_one_still_fires_it(bench: Bench) -> None:
    bench.function("tick", cron="0 13 * * *")
    bench.crash()
    bench.clock.advance(timedelta(hours=1))  # 13:00:30
    bench.start()
    assert minutes(bench) == ["13:00"]
    assert missed(bench) == []


def test_a_cron_that_a_person_runs_does_not_take_its_minute(bench: Bench) -> None:
    from defer_client.models import Call

    bench.function("tick", cron="* * * * *")
    run(bench.backend.enqueue(Call(function_name="tick"), allow_cron=True), immediate=True)
    bench.wait(seconds=30)
    assert minutes(bench) == ["12:00", "12:01"]


def test_two_crons_that_are_due_at_once_both_fire(bench: Bench) -> None:
    bench.function("tick", cron="1 12 * * *")
    bench.function("tock", cron="* * * * *")
    bench.wait(seconds=30)
    assert sorted(one.function_name for one in fired(bench)) == ["tick", "tock"]
