"""How attempts end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from defer_client.errors import ResultNotAvailable, ResultNotAvailableYet
from defer_client.models import Attempt, ErrorCode, ExecutionFilters, Page, State
from defer_emulator.domain.work import Completion, LogChunk
from tests.unit.store.world import BOOM, SECOND, World, limits


def test_a_success_keeps_its_result(world: World) -> None:
    execution = world.enqueue()
    world.run(execution, result='{"a":[1,null]}')
    assert world.get(execution).state is State.SUCCEED
    assert world.call(world.backend.get_execution_result(execution.id)) == {"a": [1, None]}
    assert world.call(world.backend.get_execution_result(f"{execution.id}.1")) == {"a": [1, None]}


def test_a_failure_keeps_its_error(world: World) -> None:
    execution = world.enqueue()
    world.run(execution, state=State.FAILED)
    assert world.get(execution).error_code is ErrorCode.USER
    assert world.call(world.backend.get_execution_result(execution.id)) == {
        "name": "ValueError",
        "message": "boom",
        "stack": "Traceback ...",
        "code": "ER0003",
    }


def test_a_retry_is_created_again_and_its_attempt_has_failed(world: World) -> None:
    execution = world.enqueue()
    world.clock.advance(timedelta(seconds=1))
    (running,) = world.claim().started
    due = world.store.now() + 30 * SECOND
    (change,) = world.end(running, State.CREATED, failure=BOOM, due=due)
    assert (change.state, change.attempt, change.scheduled_at) == (State.CREATED, 1, due)
    found = world.get(execution)
    assert (found.state, found.attempt, found.error_code, found.finished_at) == (State.CREATED, 1, None, None)
    attempt = world.get(f"{execution.id}.1")
    assert isinstance(attempt, Attempt)
    assert (attempt.state, attempt.error) == (State.FAILED, BOOM)
    with pytest.raises(ResultNotAvailableYet):
        world.call(world.backend.get_execution_result(execution.id))
    assert world.call(world.backend.get_execution_result(f"{execution.id}.1"))["name"] == "ValueError"


def test_every_attempt_is_kept_with_its_own_times(world: World) -> None:
    execution = world.enqueue()
    (first,) = world.claim().started
    world.clock.advance(timedelta(seconds=5))
    world.end(first, State.CREATED, failure=BOOM, due=world.store.now() + 10 * SECOND)
    world.clock.advance(timedelta(seconds=10))
    (second,) = world.claim().started
    world.end(second)
    page = world.call(world.backend.list_execution_attempts(execution.id, Page(), ExecutionFilters()))
    latest, earliest = page.data
    assert [latest.id, earliest.id] == [f"{execution.id}.2", f"{execution.id}.1"]
    assert earliest.finished_at is not None and earliest.started_at is not None
    assert earliest.finished_at - earliest.started_at == timedelta(seconds=5)
    assert latest.created_at == earliest.finished_at
    assert latest.scheduled_at == earliest.finished_at + timedelta(seconds=10)
    assert (earliest.generation, latest.state) == (1, State.SUCCEED)


def test_any_end_of_what_is_being_aborted_is_aborted(world: World) -> None:
    execution = world.enqueue()
    (running,) = world.claim().started
    world.call(world.backend.cancel_execution(execution.id, force=True))
    assert world.get(f"{execution.id}.1").state is State.ABORTING
    world.end(running, State.SUCCEED)
    assert world.states(execution) == ["aborted"]
    assert world.get(f"{execution.id}.1").state is State.ABORTED
    with pytest.raises(ResultNotAvailable):
        world.call(world.backend.get_execution_result(execution.id))


def test_a_retry_of_what_is_being_aborted_does_not_come(world: World) -> None:
    execution = world.enqueue()
    (running,) = world.claim().started
    world.call(world.backend.cancel_execution(execution.id, force=True))
    world.end(running, State.CREATED, failure=BOOM, due=world.store.now())
    assert world.states(execution) == ["aborted"]
    assert world.started() == []


def test_an_end_of_an_attempt_that_does_not_run_is_ignored(world: World) -> None:
    execution = world.enqueue()
    (running,) = world.claim().started
    assert len(world.end(running)) == 1
    assert world.end(running, State.FAILED) == []
    assert world.settle(Completion(sequence=running.sequence, attempt=2, state=State.FAILED)) == []
    assert world.states(execution) == ["succeed"]


def test_two_ends_of_one_attempt_in_one_batch_count_once(world: World) -> None:
    world.enqueue()
    (running,) = world.claim().started
    end = Completion(sequence=running.sequence, attempt=1, state=State.SUCCEED, result="1")
    assert len(world.settle(end, end)) == 1


def test_a_clean_stop_puts_a_waiting_parent_back_without_an_attempt(world: World) -> None:
    execution = world.enqueue(discard_after=timedelta(seconds=5))
    (running,) = world.claim().started
    world.end(running, State.CREATED, due=world.store.now(), consumed=False)
    assert (world.get(execution).state, world.get(execution).attempt) == (State.CREATED, 0)
    page = world.call(world.backend.list_execution_attempts(execution.id, Page(), ExecutionFilters()))
    assert page.data == []
    world.clock.advance(timedelta(seconds=10))
    with world.store.write() as tx:
        assert tx.discard_due() == [], "it has been started before"
    (again,) = world.claim().started
    assert again.attempt == 1


def test_what_a_clean_stop_puts_back_keeps_its_place_in_the_order(world: World) -> None:
    world.functions["send"] = limits(1)
    first, second = world.enqueue("send"), world.enqueue("send")
    (running,) = world.claim().started
    world.clock.advance(timedelta(seconds=10))
    world.end(running, State.CREATED, due=world.store.now(), consumed=False)
    assert world.get(first).scheduled_at == first.scheduled_at
    assert world.started() == [first.id]
    assert world.states(second) == ["created"]


def test_logs_come_in_the_order_of_printing_and_by_attempt(world: World) -> None:
    execution = world.enqueue()
    (running,) = world.claim().started

    def line(message: str, attempt: int = 1) -> LogChunk:
        return LogChunk(
            sequence=running.sequence,
            attempt=attempt,
            time=world.store.now(),
            stream="stdout",
            message=message,
        )

    with world.store.write() as tx:
        tx.append_logs([line("one"), line("two")])
        tx.append_logs([line("three \udcff"), line("nul \0 ü", attempt=2)])
    with world.store.write() as tx:
        tx.append_logs([line("four")])
    world.end(running)
    logs = world.call(world.backend.get_execution_logs(execution.id))
    assert [log.message for log in logs] == ["one", "two", "three \\udcff", "nul \0 ü", "four"]
    first = world.call(world.backend.get_execution_logs(f"{execution.id}.1"))
    assert [log.message for log in first] == ["one", "two", "three \\udcff", "four"]


def test_what_a_result_says_is_kept_even_if_it_is_no_unicode(world: World) -> None:
    execution = world.enqueue()
    (running,) = world.claim().started
    failure = type(BOOM)(name="E", message="bad \udcff", stack="", code=ErrorCode.USER)
    world.end(running, State.FAILED, failure=failure)
    assert world.call(world.backend.get_execution_result(execution.id))["message"].startswith("bad ")


def test_what_is_due_for_discard_is_discarded_unless_it_was_started(world: World) -> None:
    waiting = world.enqueue("unknown", discard_after=timedelta(seconds=5))
    delayed = world.enqueue(delay=timedelta(days=1), discard_after=timedelta(seconds=5))
    started = world.enqueue(discard_after=timedelta(seconds=5))
    world.claim()
    with world.store.write() as tx:
        assert tx.next_discard() == tx.now + 5 * SECOND
        assert tx.discard_due() == []
    world.clock.advance(timedelta(seconds=5))
    with world.store.write() as tx:
        assert [change.id for change in tx.discard_due()] == [waiting.id, delayed.id]
        assert tx.next_discard() is None
    assert world.states(waiting, delayed, started) == ["discarded", "discarded", "started"]


def test_what_an_emulator_left_running_is_listed_oldest_first(world: World) -> None:
    first, second = world.enqueue("add"), world.enqueue("send")
    world.claim()
    world.call(world.backend.cancel_execution(second.id, force=True))
    with world.store.write() as tx:
        assert [(one.id, one.state) for one in tx.running()] == [
            (first.id, State.STARTED),
            (second.id, State.ABORTING),
        ]


def test_a_transaction_hears_what_others_wrote_and_not_itself(world: World) -> None:
    with world.store.write() as tx:
        before = tx.revision
    created = world.enqueue()
    other = world.enqueue()
    world.call(world.backend.cancel_execution(other.id))
    with world.store.write() as tx:
        tx.claim(world.functions, 10, 1)
        changes = tx.changes_since(before)
        last = tx.revision
    assert [(change.id, change.state) for change in changes] == [(other.id, State.CANCELLED)]
    with world.store.write() as tx:
        assert tx.changes_since(last) == []
    assert world.states(created) == ["started"]


def test_outcomes_are_given_of_what_has_ended_only(world: World) -> None:
    done, waiting = world.enqueue("add"), world.enqueue("unknown")
    world.run(done, result="[1]")
    outcomes = world.store.outcomes([done.id, waiting.id, "no id"])
    assert list(outcomes) == [done.id]
    assert outcomes[done.id].result == [1]


def test_an_exception_rolls_everything_back(world: World) -> None:
    execution = world.enqueue()
    with pytest.raises(ZeroDivisionError), world.store.write() as tx:
        tx.claim(world.functions, 10, 1)
        raise ZeroDivisionError
    assert world.states(execution) == ["created"]
    assert world.started() == [execution.id]
