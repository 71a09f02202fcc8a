"""What leaves the file when, and that the file becomes smaller."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from defer_client.errors import ExecutionNotFound
from defer_client.models import Call, Execution, State
from defer_emulator.clock import ManualClock
from defer_emulator.config import Retention
from defer_emulator.domain.faults import Faults
from defer_emulator.domain.work import LogChunk
from defer_emulator.operations.retention import Clearing, described, prepare, shrink
from defer_emulator.store import shrinking
from defer_emulator.store.retention import NO_REVISION, Limit, Pruned, contents_size, preview, prune
from defer_emulator.store.store import Store
from tests.unit.store.world import MINUTE, World, spec

DAY = Retention(age=timedelta(days=1))


def clear(world: World, retention: Retention = DAY, revision: int = NO_REVISION) -> Pruned:
    """What was deleted; it was foretold exactly, but for its size."""
    clearing = Clearing(world.store, retention, revision)
    foretold, total = clearing.preview(), Pruned()
    for step in clearing.steps():
        total += step
    assert (total.executions, total.attempts, total.lines) == (
        foretold.executions,
        foretold.attempts,
        foretold.lines,
    )
    return total


def is_there(world: World, execution: Execution) -> bool:
    try:
        world.get(execution)
    except ExecutionNotFound:
        return False
    return True


def rows(world: World, table: str) -> int:
    count: int = world.store.database.select(f"SELECT count(*) FROM {table}")[0][0]
    return count


def later(world: World, days: float = 2) -> Execution:
    """Time passes, and something new is called."""
    world.clock.advance(timedelta(days=days))
    return world.enqueue("add")


def test_what_ended_long_ago_goes_with_all_that_belongs_to_it(world: World) -> None:
    execution = world.enqueue(metadata={"team": "growth", "user": "7"})
    (running,) = world.claim().started
    with world.store.write() as tx:
        tx.append_logs(
            LogChunk(sequence=running.sequence, attempt=1, time=tx.now, stream="stdout", message=f"line {n}")
            for n in range(250)
        )
    world.end(running)
    new = later(world)
    assert clear(world) == Pruned(executions=1, attempts=1, lines=250)
    assert [is_there(world, one) for one in (execution, new)] == [False, True]
    assert [rows(world, table) for table in ("attempts", "logs", "metadata")] == [0, 0, 0]


def test_what_ended_a_short_while_ago_stays(world: World) -> None:
    execution = world.enqueue()
    world.run(execution)
    later(world, days=0.9)
    assert clear(world).executions == 0


@pytest.mark.parametrize("state", [State.SUCCEED, State.FAILED])
def test_the_age_counts_from_the_end(world: World, state: State) -> None:
    execution = world.enqueue()
    (running,) = world.claim().started
    world.clock.advance(timedelta(days=5))
    world.end(running, state)
    world.enqueue("add")
    assert clear(world).executions == 0
    world.clock.advance(timedelta(days=1, seconds=1))
    assert clear(world).executions == 1
    assert not is_there(world, execution)


def test_what_waits_or_runs_stays_however_old_it_is(world: World) -> None:
    waits = world.enqueue(delay=timedelta(days=30))
    runs = world.enqueue()
    assert world.started() == [runs.id]
    later(world)
    assert clear(world).executions == 0
    assert world.states(waits, runs) == ["created", "started"]


def test_cancelled_and_discarded_ones_go_too(world: World) -> None:
    cancelled = world.enqueue(delay=timedelta(days=1))
    world.call(world.backend.cancel_execution(cancelled.id))
    world.enqueue(delay=timedelta(days=1), discard_after=timedelta(seconds=1))
    world.clock.advance(timedelta(seconds=2))
    with world.store.write() as tx:
        tx.discard_due()
    later(world)
    assert clear(world).executions == 2


def test_children_stay_as_long_as_their_root_runs(world: World) -> None:
    root = world.enqueue()
    (running,) = world.claim().started
    child = world.enqueue("add", parent=root)
    grandchild = world.enqueue("send", parent=child)
    world.run(child, grandchild)
    later(world)
    assert clear(world).executions == 0
    world.end(running)
    later(world)
    assert clear(world).executions == 3
    assert not is_there(world, grandchild)


def test_a_root_stays_as_long_as_something_below_it_waits(world: World) -> None:
    root = world.enqueue()
    world.run(root)
    child = world.enqueue("add", parent=root)
    world.run(child)
    waits = world.enqueue("send", parent=child, delay=timedelta(days=30))
    later(world)
    assert clear(world).executions == 0
    assert world.states(root, child, waits) == ["succeed", "succeed", "created"]


def test_what_was_started_by_one_that_is_gone_is_a_root_itself(world: World) -> None:
    root = world.enqueue()
    world.run(root)
    later(world)
    clear(world)
    orphan = world.enqueue(parent=root)
    world.run(orphan)
    later(world)
    clear(world)
    assert not is_there(world, orphan)


def test_the_newest_execution_stays_with_its_tree_so_that_no_number_is_given_twice(world: World) -> None:
    old, root = world.enqueue(), world.enqueue()
    world.run(old, root)
    child = world.enqueue("add", parent=root)
    world.run(child)
    world.clock.advance(timedelta(days=2))
    assert clear(world).executions == 1
    assert [is_there(world, one) for one in (old, root, child)] == [False, True, True]
    assert world.enqueue().id[-8:] not in {one.id[-8:] for one in (old, root, child)}


def test_nothing_that_was_written_after_a_revision_goes(world: World) -> None:
    first = world.enqueue()
    world.run(first)
    seen = world.store.revision()
    second = world.enqueue()
    world.run(second)
    later(world)
    assert clear(world, revision=seen).executions == 1
    assert is_there(world, second)


def test_a_rerun_in_the_middle_saves_its_parent(world: World) -> None:
    root = world.enqueue()
    world.run(root)
    child = world.enqueue("add", parent=root)
    world.run(child)
    later(world)
    steps = Clearing(world.store, DAY).steps()
    again = world.call(world.backend.rerun_execution(child.id))
    for _ in steps:
        pass
    assert again.executed_by == root.id
    assert is_there(world, root)


def test_ages_follow_the_emulated_clock(world: World) -> None:
    execution = world.enqueue()
    world.run(execution)
    with world.store.write() as tx:
        tx.set_clock(offset=round(timedelta(days=3).total_seconds() * 1_000_000), frozen_at=None)
    world.enqueue()
    assert clear(world).executions == 1


def test_of_a_size_the_oldest_go_until_it_is_reached(world: World) -> None:
    prepare(world.store)
    empty = contents_size(world.store)
    executions = [world.enqueue("job", "x" * 5_000) for _ in range(40)]
    world.run(*executions)
    goal = empty + 100_000
    assert contents_size(world.store) > goal
    pruned = clear_by_size(world, goal)
    left = [one for one in executions if is_there(world, one)]
    assert pruned.executions > 10
    assert left == executions[-len(left) :]
    assert contents_size(world.store) <= goal < contents_size(world.store) + 150_000  # a step


def clear_by_size(world: World, size: int) -> Pruned:
    total = Pruned()
    for step in Clearing(world.store, Retention(size=size)).steps():
        total += step
    return total


def test_what_is_foretold_of_a_size_is_about_right(world: World) -> None:
    executions = [world.enqueue("job", "x" * 3_000) for _ in range(30)]
    world.run(*executions)
    before, limit = contents_size(world.store), Limit(before=world.store.now() + 1)
    foretold = preview(world.store, limit)
    for _ in prune(world.store, limit):
        pass
    freed = before - contents_size(world.store)
    assert foretold.executions == 29
    assert foretold.size == pytest.approx(freed, rel=0.5)


def test_crons_forget_minutes_that_cannot_come_again(world: World) -> None:
    world.register(spec("tick", cron="* * * * *"))
    with world.store.write() as tx:
        tx.fire_cron("tick", tx.now // MINUTE * MINUTE)
    later(world)
    clear(world)
    assert rows(world, "cron_fires") == 0


def test_the_faults_of_an_execution_go_with_it(world: World) -> None:
    call = Call(function_name="job")
    execution = world.call(world.backend.enqueue(call, faults=Faults(slow=1.0)))
    world.run(execution)
    later(world)
    clear(world)
    assert rows(world, "faults") == 0


# --- the file -----------------------------------------------------------------------------------


def test_a_file_becomes_smaller_step_by_step_once_it_is_prepared(world: World) -> None:
    assert not shrinking.is_shrinkable(world.store)
    assert prepare(world.store) > 0
    assert prepare(world.store) == 0
    executions = [world.enqueue("job", "x" * 5_000) for _ in range(60)]
    world.run(*executions)
    later(world)
    with world.store.write():
        pass
    shrinking.give_back(world.store)
    full = shrinking.file_size(world.store)
    clear(world)
    steps = sum(1 for _ in shrink(world.store))
    assert steps > 1
    assert shrinking.free_size(world.store) == 0
    assert shrinking.file_size(world.store) < full / 2


def test_a_file_that_is_not_prepared_is_rewritten_when_nobody_else_uses_it(world: World) -> None:
    executions = [world.enqueue("job", "x" * 5_000) for _ in range(60)]
    world.run(*executions)
    later(world)
    clear(world)
    assert shrinking.free_size(world.store) > 100_000
    assert list(shrink(world.store)) == []
    assert shrinking.free_size(world.store) == 0
    assert not shrinking.is_shrinkable(world.store)


def test_the_log_is_given_back_as_soon_as_nobody_reads_it_any_more(world: World, tmp_path: Path) -> None:
    world.run(*(world.enqueue("job", "x" * 5_000) for _ in range(60)))
    later(world)
    clear(world)
    application = World(Store.open(tmp_path, clock=ManualClock()), world.clock)
    steps = shrink(world.store)
    with application.store.database.read():
        for _ in range(3):
            next(steps)
        assert shrinking.file_size(world.store) > 300_000
    assert list(steps) == []
    assert shrinking.file_size(world.store) < 300_000
    application.store.close()


def test_others_go_on_writing_while_the_file_is_made_smaller(world: World, tmp_path: Path) -> None:
    prepare(world.store)
    executions = [world.enqueue("job", "x" * 5_000) for _ in range(60)]
    world.run(*executions)
    later(world)
    clear(world)
    application = World(Store.open(tmp_path, clock=ManualClock()), world.clock)
    made = [application.enqueue() for _ in shrink(world.store)]
    assert made
    assert [str(world.get(one).state) for one in made] == ["created"] * len(made)
    application.store.close()


def test_a_person_is_told_what_is_kept() -> None:
    assert described(DAY, rewritten=0) == "finished executions are kept for 1d"
    assert described(Retention(size=500_000_000), rewritten=0) == (
        "finished executions are kept until the file has 500.0 MB"
    )
    assert "1.0 MB" in described(DAY, rewritten=1_000_000)
