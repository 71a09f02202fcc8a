"""Time: the real one, which is asked for, and the emulated one, which is computed from a row."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal, Protocol

ClockMode = Literal["running", "frozen"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)

FIRST_MOMENT = (datetime.min.replace(tzinfo=timezone.utc) - _EPOCH) // _MICROSECOND
LAST_MOMENT = (datetime.max.replace(tzinfo=timezone.utc) - _EPOCH) // _MICROSECOND
"""The bounds of what `to_datetime` can show, in µs."""


def to_micros(moment: datetime) -> int:
    """µs since the epoch. A naive time is UTC.

    >>> to_micros(datetime(1970, 1, 1, 0, 0, 1))
    1000000
    """
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
    return (aware - _EPOCH) // _MICROSECOND


def to_datetime(micros: int) -> datetime:
    """The reverse of `to_micros`, in UTC. Raises `OverflowError` outside the years 1 to 9999."""
    return _EPOCH + timedelta(microseconds=micros)


class Clock(Protocol):
    """Where real time comes from."""

    def real(self) -> int:
        """µs since the epoch."""


class SystemClock:
    """The machine's clock."""

    def real(self) -> int:
        return time.time_ns() // 1_000


class ManualClock:
    """Stands still until it is moved; for tests.

    >>> clock = ManualClock(datetime(2026, 1, 31, 8, tzinfo=timezone.utc))
    >>> clock.advance(timedelta(hours=1))
    >>> to_datetime(clock.real()).isoformat()
    '2026-01-31T09:00:00+00:00'
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=timezone.utc)) -> None:
        self._micros = to_micros(start)

    def real(self) -> int:
        return self._micros

    def advance(self, by: timedelta) -> None:
        self._micros += by // _MICROSECOND


@dataclass(frozen=True, kw_only=True, slots=True)
class EmulatedClock:
    """The emulated clock, as the project's file stores it."""

    offset: int = 0  # µs: emulated minus real time, while it runs
    frozen_at: int | None = None  # µs: where it stands still; None while it runs
    epoch: int = 0  # grows when it is moved back

    @property
    def mode(self) -> ClockMode:
        return "running" if self.frozen_at is None else "frozen"

    def at(self, real: int) -> int:
        """The emulated time at a real one, in µs."""
        return real + self.offset if self.frozen_at is None else self.frozen_at

    def delay(self, until: int, real: int) -> float | None:
        """Seconds of real time until it shows `until`; None while it is frozen before that."""
        missing = until - self.at(real)
        if missing <= 0:
            return 0.0
        return missing / 1_000_000 if self.frozen_at is None else None
