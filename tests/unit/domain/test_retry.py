"""The wait before a retry."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defer_client.retry import RetryPolicy
from defer_emulator.domain.retry import LONGEST_WAIT, backoff

NUMBERS = st.floats(min_value=0, max_value=1e300)


def test_waits_grow_by_the_multiplier_up_to_the_longest_interval() -> None:
    policy = RetryPolicy(initial_interval=30.0, multiplier=1.5, max_interval=600.0)
    waits = [backoff(policy, retry, 0.5) for retry in (1, 2, 3, 8, 9, 13)]
    assert waits == [30.0, 45.0, 67.5, pytest.approx(512.578125), 600.0, 600.0]


@pytest.mark.parametrize(("jitter", "wait"), [(0.0, 50.0), (0.5, 100.0), (1.0, 150.0)])
def test_chance_spreads_a_wait_around_its_middle(jitter: float, wait: float) -> None:
    assert backoff(RetryPolicy(initial_interval=100.0, randomization_factor=0.5), 1, jitter) == wait


def test_without_randomization_chance_changes_nothing() -> None:
    policy = RetryPolicy(initial_interval=7.0, randomization_factor=0.0)
    assert {backoff(policy, 1, jitter) for jitter in (0.0, 0.3, 1.0)} == {7.0}


def test_a_huge_number_of_retries_or_a_huge_multiplier_does_not_overflow() -> None:
    assert backoff(RetryPolicy(randomization_factor=0.0), 10**6, 0.5) == 600.0
    assert backoff(RetryPolicy(initial_interval=0.0), 10**6, 0.5) == 0.0
    assert backoff(RetryPolicy(max_interval=math.inf, multiplier=1e300), 9, 0.5) == LONGEST_WAIT


@given(
    st.builds(
        RetryPolicy,
        initial_interval=NUMBERS,
        multiplier=NUMBERS,
        randomization_factor=st.floats(0, 1),
        max_interval=NUMBERS,
    ),
    st.integers(1, 10_000),
    st.floats(0, 1),
)
def test_every_wait_lies_within_its_bounds(policy: RetryPolicy, retry: int, jitter: float) -> None:
    wait = backoff(policy, retry, jitter)
    assert 0.0 <= wait <= min(policy.max_interval * (1 + policy.randomization_factor), LONGEST_WAIT)
