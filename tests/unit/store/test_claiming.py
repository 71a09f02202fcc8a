"""What starts, in which order, and what limits do."""

from __future__ import annotations

from datetime import timedelta

from defer_client.models import State
from defer_emulator.domain.functions import BrokenFunction
from defer_emulator.store.claiming import BACKLOG, Candidate, choose
from defer_emulator.store.transaction import DISCARDED_AT_ONCE
from tests.unit.store.world import SECOND, World, limits

SOON = timedelta(seconds=10)


def test_what_is_due_starts_in_order_of_due_time_then_of_creation(world: World) -> None:
    late = world.enqueue("add", delay=timedelta(seconds=2))
    first = world.enqueue("send")
    second = world.enqueue("add")
    world.clock.advance(SOON)
    assert world.started() == [first.id, second.id, late.id]


def test_a_delayed_execution_waits_until_due(world: World) -> None:
    delayed = world.enqueue(delay=SOON)
    claim = world.claim()
    assert claim.started == []
    assert claim.next_due == world.store.now() + 10 * SECOND
    world.clock.advance(SOON)
    assert world.started() == [delayed.id]


def test_a_start_makes_an_attempt_and_a_claimed_execution_is_not_claimed_again(world: World) -> None:
    execution = world.enqueue("add", 1, 2)
    (running,) = world.claim().started
    assert (running.id, running.attempt, running.state) == (execution.id, 1, State.STARTED)
    assert running.arguments == '{"positional":[1,2],"keyword":{}}'
    assert world.claim().started == []
    assert world.get(f"{execution.id}.1").state is State.STARTED


def test_no_more_start_than_there_are_places_and_the_rest_is_backlog(world: World) -> None:
    for _ in range(5):
        world.enqueue()
    claim = world.claim(places=2)
    assert (len(claim.started), claim.backlog) == (2, 3)
    assert world.claim(places=0).backlog == 3
    assert world.claim(places=3).backlog == 0


def test_the_backlog_is_counted_up_to_a_bound(world: World) -> None:
    for _ in range(BACKLOG + 10):
        world.enqueue()
    assert world.claim(places=0).backlog == BACKLOG


def test_what_waits_for_its_functions_limit_is_no_backlog(world: World) -> None:
    world.functions["job"] = limits(2)
    for _ in range(5):
        world.enqueue()
    claim = world.claim()
    assert (len(claim.started), claim.backlog) == (2, 0)
    assert world.started() == []
    world.end(claim.started[0])
    assert len(world.started()) == 1


def test_what_is_to_be_discarded_never_starts_however_much_it_is(world: World) -> None:
    doomed = [world.enqueue(discard_after=timedelta(seconds=5)) for _ in range(DISCARDED_AT_ONCE + 1)]
    wanted = world.enqueue()
    world.clock.advance(SOON)
    for started in ([], [wanted.id]):
        with world.store.write() as tx:
            tx.discard_due()
            assert [running.id for running in tx.claim(world.functions, 100, 1).started] == started
    assert set(world.states(*doomed)) == {"discarded"}


def test_an_execution_that_is_being_aborted_holds_its_place(world: World) -> None:
    world.functions["job"] = limits(1)
    first, second = world.enqueue(), world.enqueue()
    (running,) = world.claim().started
    world.call(world.backend.cancel_execution(first.id, force=True))
    assert world.started() == []
    world.end(running, State.ABORTED)
    assert world.started() == [second.id]


def test_functions_that_are_not_given_or_paused_do_not_start(world: World) -> None:
    world.register()
    other = world.enqueue("unknown")
    world.enqueue("add")
    with world.store.write() as tx:
        tx.register([], {"add": BrokenFunction(reason="defer/add.py:1: no")})
        tx.pause("add", paused=True)
    claim = world.claim()
    assert (claim.started, claim.backlog, claim.next_due) == ([], 0, None)
    world.functions["unknown"] = limits()
    assert world.started() == [other.id]


def test_nothing_starts_while_everything_is_paused(world: World) -> None:
    world.enqueue()
    world.call(world.operations.pause())
    assert world.started() == []
    world.call(world.operations.resume())
    assert len(world.started()) == 1


def test_children_of_waiting_executions_start_first_the_deepest_first(world: World) -> None:
    root = world.enqueue("add")
    world.claim()
    older = world.enqueue("send")
    child = world.enqueue("send", parent=root, awaited=True)
    assert world.started() == [child.id, older.id]
    unawaited = world.enqueue("job", parent=child)
    sibling = world.enqueue("job", parent=root, awaited=True)
    grandchild = world.enqueue("add", parent=child, awaited=True)
    assert world.started() == [grandchild.id, sibling.id, unawaited.id]


def test_a_function_with_one_place_is_first_in_first_out_whoever_waits(world: World) -> None:
    world.functions["job"] = limits(1)
    root = world.enqueue("add")
    world.claim()
    first = world.enqueue("job")
    awaited = world.enqueue("job", parent=root, awaited=True)
    (running,) = world.claim().started
    assert running.id == first.id
    world.end(running)
    assert world.started() == [awaited.id]


def test_one_that_waits_for_its_retry_blocks_nobody(world: World) -> None:
    world.functions["job"] = limits(1)
    first, second = world.enqueue(), world.enqueue()
    (running,) = world.claim().started
    world.end(running, State.CREATED, failure=None, due=world.store.now() + 10 * SECOND)
    (other,) = world.claim().started
    assert other.id == second.id
    world.end(other)
    world.clock.advance(SOON)
    assert world.started() == [first.id]


def test_beyond_a_limit_whose_action_is_cancel_the_oldest_are_kept(world: World) -> None:
    world.functions["job"] = limits(2, "cancel")
    executions = [world.enqueue() for _ in range(4)]
    delayed = world.enqueue(delay=SOON)
    claim = world.claim()
    assert [one.id for one in claim.cancelled] == [executions[2].id, executions[3].id]
    assert world.states(*executions) == ["started", "started", "cancelled", "cancelled"]
    assert world.states(delayed) == ["created"]


def test_a_limit_that_is_not_reached_cancels_nothing(world: World) -> None:
    world.functions["job"] = limits(2, "cancel")
    executions = [world.enqueue() for _ in range(4)]
    assert world.claim(places=1).cancelled == []
    assert world.states(*executions) == ["started", "created", "created", "created"]


def test_a_retry_is_not_cancelled_by_a_limit(world: World) -> None:
    world.functions["job"] = limits(1, "cancel")
    retried = world.enqueue()
    (running,) = world.claim().started
    world.end(running, State.CREATED, due=world.store.now() + 10 * SECOND)
    later = world.enqueue()
    world.claim()
    world.clock.advance(SOON)
    assert world.claim().cancelled == []
    assert world.states(retried, later) == ["created", "started"]


def test_the_choice_takes_priority_then_age_within_every_limit() -> None:
    def one(function: str, priority: int, due: int, sequence: int) -> Candidate:
        return Candidate(function, priority, due, sequence)

    candidates = [
        one("a", 0, 1, 1),
        one("a", 0, 2, 2),
        one("b", 2, 9, 3),
        one("c", 0, 3, 4),
        one("c", 5, 4, 5),
    ]
    chosen = choose(candidates, {"a": 1, "b": None, "c": 1}, 10, fifo={"c"})
    assert [candidate.sequence for candidate in chosen] == [3, 1, 4]
    assert [
        candidate.sequence for candidate in choose(candidates, {"a": 1, "b": None, "c": 1}, 1, fifo=set())
    ] == [5]
