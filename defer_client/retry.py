"""How often a failed execution is tried again: an option that every declared function needs, so it costs
no import of the values that travel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


def _require_number(name: str, value: object, expected: str, kinds: Any, upper: float = math.inf) -> None:
    if isinstance(value, bool) or not isinstance(value, kinds) or not 0 <= value <= upper:
        raise ValueError(f"retry.{name} must be {expected}, not {value!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """How often, and after how long, a failed execution is tried again.

    The wait before retry `n` (counted from 1) is
    `min(initial_interval * multiplier**(n-1), max_interval)` times a random factor between
    `1 - randomization_factor` and `1 + randomization_factor`.

    Raises `ValueError` for values outside their range.

    >>> RetryPolicy(max_attempts=3, initial_interval=10.0).max_attempts
    3
    """

    max_attempts: int = 13  # retries after the first run
    initial_interval: float = 30.0  # seconds
    multiplier: float = 1.5
    randomization_factor: float = 0.5  # 0 to 1
    max_interval: float = 600.0  # seconds

    def __post_init__(self) -> None:
        real = (int, float)
        _require_number("max_attempts", self.max_attempts, "an integer of 0 or more", int)
        _require_number("initial_interval", self.initial_interval, "a number of 0 or more", real)
        _require_number("multiplier", self.multiplier, "a number of 0 or more", real)
        _require_number("randomization_factor", self.randomization_factor, "a number from 0 to 1", real, 1)
        _require_number("max_interval", self.max_interval, "a number of 0 or more", real)


NO_RETRY = RetryPolicy(max_attempts=0)
