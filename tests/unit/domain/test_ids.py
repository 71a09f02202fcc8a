"""Ids of executions and attempts."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defer_emulator.domain.ids import (
    IdSource,
    Reference,
    attempt_id,
    function_id,
    parse_id,
    sequences_of,
    short_id,
    tail,
)


def source(times: list[int]) -> IdSource:
    return IdSource(lambda: times.pop(0) if len(times) > 1 else times[0], lambda count: b"\xff" * count)


def test_an_id_is_a_uuid_of_version_7_with_the_real_time() -> None:
    moment = 1_700_000_000_123_456
    found = uuid.UUID(source([moment]).new(1))
    assert (found.version, found.variant) == (7, uuid.RFC_4122)
    assert found.int >> 80 == moment // 1_000


def test_ids_grow_even_when_the_machines_clock_goes_back() -> None:
    ids = source([5_000_000, 5_000_000, 5_000_001, 3_000_000, 5_001_000])
    made = [ids.new(sequence) for sequence in range(1, 7)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


@given(st.integers(1, 2**32 - 1), st.integers(1, 8))
def test_the_end_of_an_id_leads_back_to_its_sequence(sequence: int, length: int) -> None:
    first, step = sequences_of(tail(sequence)[-length:])
    assert (sequence - first) % step == 0
    assert 0 <= first < step


def test_the_short_form_is_the_end_with_the_attempt() -> None:
    execution = source([1]).new(7)
    assert short_id(execution) == execution[-8:] == tail(7)
    assert short_id(attempt_id(execution, 3)) == f"{tail(7)}.3"


def test_an_id_is_read_in_any_case_with_its_attempt() -> None:
    execution = source([1]).new(7)
    assert parse_id(execution.upper()) == Reference(id=execution)
    assert parse_id(f"{execution}.12") == Reference(id=execution, attempt=12)


@pytest.mark.parametrize(
    "text", ["", "x", "0191d1a0", "0191d1a00000700080000000000000000000", "٠" * 36, "id\n"]
)
def test_what_is_no_whole_id_is_none(text: str) -> None:
    assert parse_id(text) is None


@pytest.mark.parametrize("end", [".", ".0", ".01", ".x", ".1.2", ".-1", ".1 ", "\n", ".9999999999"])
def test_a_wrong_attempt_makes_no_id(end: str) -> None:
    assert parse_id(source([1]).new(7) + end) is None


@given(st.uuids(), st.text(st.characters(codec="utf-8")))
def test_the_id_of_a_function_is_the_uuid_of_its_name_in_the_project(project: uuid.UUID, name: str) -> None:
    assert function_id(str(project), name) == str(uuid.uuid5(project, name))
