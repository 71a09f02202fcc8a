from __future__ import annotations

from typing import Any

import pytest

from defer_client import DeferError, ErrorCode, ExecutionFilters, InvalidRequest, Page, RetryPolicy, State


def test_states_and_error_codes_may_be_text() -> None:
    filters = ExecutionFilters(states=["failed"], error_codes=["ER0001"])  # type: ignore[list-item]
    assert filters == ExecutionFilters(states=[State.FAILED], error_codes=[ErrorCode.TIMEOUT])


@pytest.mark.parametrize("wrong", [{"states": ["bogus"]}, {"error_codes": ["ER9"]}, {"states": "bogus"}])
def test_an_unknown_state_or_code_is_refused_by_its_field(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=rf"filters\.{next(iter(wrong))}"):
        ExecutionFilters(**wrong)


@pytest.mark.parametrize("wrong", [{"first": 0}, {"last": 1001}, {"first": True}, {"first": 1, "last": 1}])
def test_a_bad_page_is_an_error_of_ours(wrong: dict[str, Any]) -> None:
    with pytest.raises(DeferError, match="page"):
        Page(**wrong)


def test_a_retry_policy_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"retry\.randomization_factor"):
        RetryPolicy(randomization_factor=1.5)
