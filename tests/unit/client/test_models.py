from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from defer_client import (
    DeferError,
    ErrorCode,
    ExecutionFilters,
    Interval,
    InvalidRequest,
    Page,
    RetryPolicy,
    State,
)


def test_states_and_error_codes_may_be_text() -> None:
    filters = ExecutionFilters(states=["failed"], error_codes=["ER0001"])  # type: ignore[list-item]
    assert filters == ExecutionFilters(states=[State.FAILED], error_codes=[ErrorCode.TIMEOUT])


@pytest.mark.parametrize("wrong", [{"states": ["bogus"]}, {"error_codes": ["ER9"]}, {"states": "bogus"}])
def test_an_unknown_state_or_code_is_refused_by_its_field(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=rf"filters\.{next(iter(wrong))}"):
        ExecutionFilters(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"function_ids": [5]},
        {"executed_by": 5},
        {"metadata": {"user": [5]}},
        {"metadata": {"user": 5}},
        {"metadata": {5: ["1"]}},
        {"metadata": ["user"]},
        {"states": 5},
        {"scheduled_at": (None, None)},
    ],
)
def test_a_filter_of_another_type_is_refused_by_its_field(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=rf"filters\.{next(iter(wrong))}"):
        ExecutionFilters(**wrong)


def test_a_filter_that_is_none_is_not_given() -> None:
    nothing: Any = dict.fromkeys(("states", "function_ids", "error_codes", "metadata"))
    assert ExecutionFilters(**nothing) == ExecutionFilters()


@pytest.mark.parametrize("end", ["soon", "2h", 5, timedelta(hours=1)])
def test_an_end_of_an_interval_that_is_no_moment_is_refused(end: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"interval\.start"):
        Interval(start=end)


@pytest.mark.parametrize(
    "wrong",
    [
        {"first": 0},
        {"last": 1001},
        {"first": True},
        {"first": 1, "last": 1},
        {"after": 5},
        {"before": b"cursor"},
    ],
)
def test_a_bad_page_is_an_error_of_ours(wrong: dict[str, Any]) -> None:
    with pytest.raises(DeferError, match="page"):
        Page(**wrong)


def test_a_retry_policy_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"retry\.randomization_factor"):
        RetryPolicy(randomization_factor=1.5)
