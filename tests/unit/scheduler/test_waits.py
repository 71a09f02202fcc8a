"""Parking: who holds a place while it waits, and who gets the next one."""

from __future__ import annotations

from defer_emulator.scheduler.waits import Answer, Waits


def test_an_execution_that_waits_holds_no_place_until_its_answer_is_taken() -> None:
    waits = Waits()
    waits.add(1, 10, "child")
    assert waits.is_parked(1)

    assert waits.ended("child") == []
    assert waits.is_parked(1), "its answer waits for a place"

    assert waits.resume(1) == [Answer(sequence=1, request=10, execution_id="child")]
    assert not waits.is_parked(1)


def test_no_free_place_leaves_the_waiter_parked() -> None:
    waits = Waits()
    waits.add(1, 10, "child")
    waits.ended("child")
    assert waits.resume(0) == []
    assert len(waits.parked) == 1


def test_waiters_resume_in_the_order_in_which_their_children_ended() -> None:
    waits = Waits()
    waits.add(1, 10, "a")
    waits.add(2, 20, "b")
    waits.ended("b")
    waits.ended("a")
    assert [answer.sequence for answer in waits.resume(5)] == [2, 1]


def test_a_waiter_of_several_needs_a_place_for_the_last_answer_only() -> None:
    waits = Waits()
    waits.add(1, 10, "a")
    waits.add(1, 11, "b")
    assert waits.ended("a") == [Answer(sequence=1, request=10, execution_id="a")]
    assert waits.is_parked(1)
    assert waits.ended("b") == []
    assert waits.resume(1) == [Answer(sequence=1, request=11, execution_id="b")]


def test_two_may_wait_for_one() -> None:
    waits = Waits()
    waits.add(1, 10, "child")
    waits.add(2, 20, "child")
    waits.ended("child")
    assert {answer.sequence for answer in waits.resume(5)} == {1, 2}


def test_a_cancelled_wait_ends_the_parking() -> None:
    waits = Waits()
    waits.add(1, 10, "child")
    waits.cancel(1, 10)
    assert not waits.is_parked(1)
    assert waits.ended("child") == []
    assert waits.resume(1) == []


def test_a_wait_cancelled_while_its_answer_was_ready_takes_no_place() -> None:
    waits = Waits()
    waits.add(1, 10, "child")
    waits.ended("child")
    waits.cancel(1, 10)
    assert waits.resume(1) == []
    assert len(waits.parked) == 0


def test_an_execution_that_is_over_waits_for_nothing() -> None:
    waits = Waits()
    waits.add(1, 10, "a")
    waits.add(1, 11, "b")
    waits.drop(1)
    assert waits.awaited == frozenset()
    assert waits.awaited_by(1) == []
    waits.drop(1)
