"""When a failed execution is tried again."""

from __future__ import annotations

from defer_client.retry import RetryPolicy

LONGEST_WAIT = 365.25 * 86_400.0  # seconds; a bound for policies without a sensible one


def backoff(policy: RetryPolicy, retry: int, jitter: float) -> float:
    """Seconds to wait before retry number `retry` (counted from 1).

    `jitter`, from 0 to 1, chooses the factor between `1 - randomization_factor` and
    `1 + randomization_factor`.

    >>> backoff(RetryPolicy(initial_interval=30.0, multiplier=2.0), 2, 0.5)
    60.0
    """
    try:
        wait = policy.initial_interval * policy.multiplier ** (retry - 1)
    except OverflowError:
        wait = policy.max_interval if policy.initial_interval else 0.0
    wait = min(wait, policy.max_interval)
    factor = 1.0 + policy.randomization_factor * (2.0 * jitter - 1.0)
    return min(wait * factor, LONGEST_WAIT)
