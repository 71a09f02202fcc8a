"""Faults: how they are written down, and what a second delivery is compared by."""

from __future__ import annotations

from defer_client.models import ErrorCode, Failure
from defer_emulator.domain.faults import Delivery, Faults, difference, faults_from_text, faults_to_text

BOOM = Failure(name="ValueError", message="boom", stack="", code=ErrorCode.USER)


def test_faults_survive_being_written_down() -> None:
    faults = Faults(fail_attempts=(1, 3), kill_at=2.5, slow=0.5, deliver_twice=True)
    assert faults_from_text(faults_to_text(faults)) == faults
    assert (
        faults.described() == "--fail-attempt 1 --fail-attempt 3 --kill-at 2.5s --slow 500ms --deliver-twice"
    )


def test_without_any_there_are_none() -> None:
    assert not Faults()
    assert Faults(slow=0.1)


def test_only_the_named_attempts_fail() -> None:
    faults = Faults(fail_attempts=(2,))
    assert faults.failure_of(1) == ""
    assert faults.failure_of(2) == "injected: attempt 2 fails (--fail-attempt 2)"


def test_an_idempotent_function_differs_in_nothing() -> None:
    first, second = Delivery(result='{"a": 1}'), Delivery(result='{"a":1}')
    assert difference(first, second) == [
        'injected: both deliveries returned {"a": 1}',
        "injected: neither delivery enqueued an execution",
    ]


def test_another_result_is_named_with_the_first() -> None:
    assert difference(Delivery(result="1"), Delivery(result="2"))[0] == (
        "injected: the results differ: first 1, then 2"
    )


def test_a_second_delivery_that_fails_is_named() -> None:
    said = difference(Delivery(result="1"), Delivery(failure=BOOM))[0]
    assert said == "injected: the second delivery failed, the first had returned 1: ValueError: boom"


def test_executions_that_are_enqueued_again_are_named() -> None:
    first, second = Delivery(result="1", calls=["a(1)", "b(2)"]), Delivery(result="1", calls=["b(2)", "a(1)"])
    assert difference(first, second)[1] == "injected: the second delivery enqueued the same again: b(2), a(1)"


def test_a_second_delivery_that_enqueues_nothing_is_what_one_wants() -> None:
    said = difference(Delivery(result="1", calls=["a(1)"]), Delivery(result="1"))[1]
    assert said == "injected: the second delivery enqueued nothing, the first a(1)"


def test_other_executions_are_named_with_the_first_ones() -> None:
    said = difference(Delivery(result="1", calls=["a(1)"]), Delivery(result="1", calls=["a(2)"]))[1]
    assert said == "injected: the executions enqueued differ: first a(1), then a(2)"


def test_long_values_are_cut_to_one_line() -> None:
    said = difference(Delivery(result='"' + "x\\n" * 500 + '"'), Delivery(result="1"))[0]
    assert len(said) < 300
    assert "\n" not in said
