"""Times in requests: whose clock they are on.

A client that knows nothing of the emulated clock, such as the JavaScript one, sends times of its own
clock: they are shifted by the emulator's offset. A client that does know sends seconds from now, or
says `Defer-Clock: emulated`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from defer_client import wire
from defer_emulator.web.errors import bad_request

MAX_SECONDS = 100_000_000_000  # three thousand years


@dataclass(frozen=True, kw_only=True, slots=True)
class Times:
    """How to read the times of one request."""

    offset: timedelta = timedelta()  # to add to what the client sent

    def when(self, value: str | float | None, field: str) -> datetime | timedelta | None:
        """A moment on the emulator's clock, or a duration from now. Raises `Refused`, `InvalidRequest`."""
        if value is None:
            return None
        if not isinstance(value, str):
            if not 0 <= value <= MAX_SECONDS:
                raise bad_request(f"{field} must be from 0 to {MAX_SECONDS} seconds from now, not {value}")
            return timedelta(seconds=value)
        moment = self.moment(value, field)
        if not 1970 <= moment.year < 9990:
            raise bad_request(f"{field} must lie between the years 1970 and 9990, not {value:.40}")
        return moment

    def moment(self, value: str, field: str) -> datetime:
        """Raises `Refused`, `InvalidRequest`."""
        try:
            return wire.time_from_json(value, field) + self.offset
        except OverflowError:
            raise bad_request(f"{field} is beyond any calendar: {value:.40}") from None
