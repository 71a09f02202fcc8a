"""Functions, crons and the clock in the project's file."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from defer_client.retry import RetryPolicy
from defer_emulator.clock import ManualClock
from defer_emulator.domain.functions import Parameter, RegisteredFunction
from defer_emulator.store.store import Store
from tests.unit.store.world import MINUTE, SECOND, World, spec


def known(world: World, name: str) -> RegisteredFunction:
    return next(one for one in world.store.functions() if one.spec.name == name)


def test_a_function_is_remembered_with_all_its_options(world: World) -> None:
    send = spec(
        "send",
        retry=RetryPolicy(max_attempts=3),
        concurrency=2,
        max_concurrency_action="cancel",
        parameters=(Parameter(name="to", kind="keyword_only", required=False, default="'ü'"),),
        doc="Sends.",
    )
    world.register(send, spec("add"))
    assert [one.spec.name for one in world.store.functions()] == ["add", "send"]
    assert (known(world, "send").spec, known(world, "send").status) == (send, "ready")


def test_a_functions_id_is_stable_and_that_of_its_executions(world: World) -> None:
    execution = world.enqueue("send")
    world.register(spec("send"))
    assert known(world, "send").id == execution.function_id
    world.register(spec("send", concurrency=1))
    assert known(world, "send").id == execution.function_id


def test_a_broken_file_keeps_its_last_options_and_a_missing_one_is_removed(world: World) -> None:
    world.register(spec("add", concurrency=3), spec("send"))
    world.register(broken={"add": "defer/add.py:3: SyntaxError"})
    assert (known(world, "add").status, known(world, "add").spec.concurrency) == ("broken", 3)
    assert known(world, "add").problem == "defer/add.py:3: SyntaxError"
    assert (known(world, "send").status, known(world, "send").problem) == ("removed", None)
    world.register(spec("add"), spec("send"))
    assert {one.status for one in world.store.functions()} == {"ready"}
    assert known(world, "add").problem is None


def test_a_file_that_never_imported_is_known_as_broken(world: World) -> None:
    world.register(broken={"new": "defer/new.py:1: ImportError"})
    assert (known(world, "new").status, known(world, "new").cron_after) == ("broken", None)


def test_a_pause_outlives_a_reload(world: World) -> None:
    world.register(spec("add"), spec("send"))
    world.call(world.operations.pause("add"))
    world.register(spec("add", concurrency=1), spec("send"))
    assert (known(world, "add").paused, known(world, "send").paused) == (True, False)


def test_a_cron_counts_from_when_it_was_first_seen_or_changed(world: World) -> None:
    first = world.store.now()
    world.register(spec("tick", cron="0 8 * * *"), spec("add"))
    assert (known(world, "tick").cron_after, known(world, "add").cron_after) == (first, None)
    world.clock.advance(timedelta(hours=1))
    world.register(spec("tick", cron="0 8 * * *", concurrency=1))
    assert known(world, "tick").cron_after == first
    world.register(spec("tick", cron="0 9 * * *"))
    assert known(world, "tick").cron_after == world.store.now()


def test_a_cron_whose_file_is_gone_for_a_moment_loses_no_minute(world: World) -> None:
    tick = spec("tick", cron="* * * * *")
    world.register(tick)
    first = world.store.now()
    world.register()
    world.clock.advance(timedelta(seconds=1))
    world.register(tick)
    assert known(world, "tick").cron_after == first
    world.register()
    world.clock.advance(timedelta(days=3))
    world.register(tick)
    assert known(world, "tick").cron_after == world.store.now() - MINUTE - 1, "60 s are not too late"


def test_seen_minutes_never_count_again(world: World) -> None:
    world.register(spec("tick", cron="* * * * *"))
    later = world.store.now() + 5 * MINUTE
    with world.store.write() as tx:
        tx.cron_seen("tick", later)
        tx.cron_seen("tick", later - MINUTE)
    assert known(world, "tick").cron_after == later


def test_a_minute_of_a_cron_fires_once_in_each_epoch(world: World) -> None:
    minute = world.store.now()
    with world.store.write() as tx:
        change = tx.fire_cron("tick", minute)
        assert change is not None and change.scheduled_at == minute
        assert tx.fire_cron("tick", minute) is None
        assert tx.fire_cron("tock", minute) is not None
        tx.set_clock(offset=-10 * MINUTE, frozen_at=None)
        assert tx.fire_cron("tick", minute) is not None


def test_the_clock_runs_with_an_offset_and_stands_still_when_frozen(world: World) -> None:
    real = world.clock.real()
    with world.store.write() as tx:
        tx.set_clock(offset=MINUTE, frozen_at=None)
        assert (tx.now, tx.epoch) == (real + MINUTE, 0)
    world.clock.advance(timedelta(seconds=1))
    assert world.store.now() == real + MINUTE + SECOND
    assert world.store.emulated_delay(world.store.now() + 2 * SECOND) == 2.0
    assert world.store.emulated_delay(0) == 0.0
    with world.store.write() as tx:
        tx.set_clock(offset=MINUTE, frozen_at=tx.now)
    frozen = world.store.now()
    world.clock.advance(timedelta(hours=1))
    assert world.store.now() == frozen
    assert world.store.emulated_delay(frozen + 1) is None
    assert world.store.emulated_delay(frozen) == 0.0
    status = world.call(world.operations.clock())
    assert (status.mode, status.offset) == ("frozen", timedelta(minutes=1) - timedelta(hours=1))


def test_a_clock_that_is_moved_back_begins_an_epoch_in_which_crons_count_anew(world: World) -> None:
    with world.store.write() as tx:
        tx.set_clock(offset=60 * MINUTE, frozen_at=None)
    world.register(spec("tick", cron="* * * * *"))
    with world.store.write() as tx:
        tx.set_clock(offset=0, frozen_at=None)
        assert tx.epoch == 1
    assert known(world, "tick").cron_after == world.clock.real()


def test_a_function_that_was_looked_up_is_never_an_old_one(tmp_path: Path) -> None:
    (tmp_path / ".defer").mkdir()
    mine, others = Store.open(tmp_path), Store.open(tmp_path)
    assert mine.function("send") is None
    for number, writer in enumerate((mine, others, mine, others), start=1):
        with writer.write() as tx:
            tx.register([spec("send", concurrency=number)], {})
        for paused in (True, False):
            with writer.write() as tx:
                tx.pause("send" if number < 3 else None, paused=paused)
            assert (found := mine.function("send")) is not None
            assert (found.spec.concurrency, found.paused) == (number, paused)


def test_a_function_that_was_looked_up_knows_what_its_cron_has_seen() -> None:
    store = Store.in_memory(ManualClock())
    with store.write() as tx:
        tx.set_clock(offset=60 * MINUTE, frozen_at=None)
        tx.register([spec("tick", cron="* * * * *")], {})
    for change in (
        lambda tx: tx.cron_seen("tick", tx.now + MINUTE),
        lambda tx: tx.set_clock(offset=0, frozen_at=None),
    ):
        before = store.function("tick")
        with store.write() as tx:
            change(tx)
        assert store.function("tick") == store.functions()[0] != before


def test_functions_of_two_projects_have_different_ids() -> None:
    one, other = Store.in_memory(ManualClock()), Store.in_memory(ManualClock())
    for store in (one, other):
        with store.write() as tx:
            tx.register([spec("add")], {})
    assert one.functions()[0].id != other.functions()[0].id
