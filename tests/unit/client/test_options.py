from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from defer_client.errors import InvalidMetadata, InvalidOption
from defer_client.options import CallOptions, FunctionOptions, call_options, check_metadata, function_options
from defer_client.retry import NO_RETRY, RetryPolicy


def test_the_defaults_are_no_retry_no_limit_and_half_an_hour() -> None:
    assert function_options() == FunctionOptions(
        retry=NO_RETRY, concurrency=None, max_duration=1800.0, max_concurrency_action="keep"
    )


@pytest.mark.parametrize(
    ("given", "policy"),
    [
        (False, NO_RETRY),
        (True, RetryPolicy(max_attempts=13)),
        (0, NO_RETRY),
        (5, RetryPolicy(max_attempts=5)),
        ({}, RetryPolicy(max_attempts=13)),
        ({"initial_interval": 1}, RetryPolicy(max_attempts=13, initial_interval=1)),
        (RetryPolicy(max_interval=7), RetryPolicy(max_interval=7)),
    ],
)
def test_every_form_of_retry_becomes_a_policy(given: Any, policy: RetryPolicy) -> None:
    assert function_options(retry=given).retry == policy


@pytest.mark.parametrize(
    "wrong",
    [
        {"retry": -1},
        {"retry": "3"},
        {"retry": 1.5},
        {"retry": None},
        {"retry": {"max_attempts": True}},
        {"retry": {"randomization_factor": 2}},
        {"retry": {"initial_interval": float("nan")}},
        {"retry": {"max_interval": float("inf")}},
        {"retry": {1: 2}},
        {"concurrency": 0},
        {"concurrency": True},
        {"concurrency": 1.0},
        {"max_duration": 0},
        {"max_duration": "30m"},
        {"max_duration": float("inf")},
        {"max_duration": float("nan")},
        {"max_duration": None},
        {"max_concurrency_action": "drop"},
    ],
)
def test_a_wrong_value_of_an_option_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption, match=next(iter(wrong))):
        function_options(**wrong)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"concurency": 1}, "concurrency"),
        ({"maxDuration": 1}, "max_duration"),
        ({"retry": {"maxAttempts": 1}}, "max_attempts"),
    ],
)
def test_a_misspelt_option_is_refused_with_the_right_name(given: dict[str, Any], meant: str) -> None:
    with pytest.raises(InvalidOption, match=f"did you mean '{meant}'"):
        function_options(**given)


def test_a_misspelt_option_of_a_call_is_refused_with_the_right_name() -> None:
    with pytest.raises(InvalidOption, match="did you mean 'metadata'"):
        call_options(CallOptions(), metdata={})


def test_options_of_a_call_merge_and_metadata_merges_by_key() -> None:
    base = call_options(CallOptions(), delay="1h", metadata={"a": "1", "b": "2"})
    merged = call_options(base, discard_after=60, metadata={"b": "3"}, delay=None)
    assert merged == CallOptions(
        delay=timedelta(hours=1), discard_after=timedelta(minutes=1), metadata={"a": "1", "b": "3"}
    )


@pytest.mark.parametrize(
    "metadata",
    [
        {str(number): "x" for number in range(25)},
        {"k" * 256: "v" * 256},
        {" ": "~", "a": "\x7f"},
    ],
)
def test_metadata_within_the_limits_is_accepted(metadata: dict[str, str]) -> None:
    assert check_metadata(metadata) == metadata


@pytest.mark.parametrize(
    "metadata",
    [
        {str(number): "x" for number in range(26)},
        {"": "x"},
        {"x": ""},
        {"k" * 257: "x"},
        {"x": "v" * 257},
        {"x": "ü"},
        {"x": "\n"},
        {"x": 1},
        {1: "x"},
        {"x": None},
    ],
)
def test_metadata_beyond_the_limits_is_refused(metadata: dict[Any, Any]) -> None:
    with pytest.raises(InvalidMetadata):
        call_options(CallOptions(), metadata=metadata)


def test_metadata_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(InvalidMetadata, match="must be a dict"):
        call_options(CallOptions(), metadata=[("a", "b")])


def test_the_merged_metadata_counts() -> None:
    base = call_options(CallOptions(), metadata={str(number): "x" for number in range(25)})
    with pytest.raises(InvalidMetadata, match="26 pairs"):
        call_options(base, metadata={"one more": "x"})
