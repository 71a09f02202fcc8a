"""The emulated clock: what it shows, and moves of it that are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Literal, Protocol

from defer_client.errors import InvalidOption
from defer_emulator.clock import to_datetime, to_micros
from defer_emulator.domain.texts import moment
from defer_emulator.operations.base import LocalBase

if TYPE_CHECKING:
    from defer_emulator.domain.clock_moves import ClockAction, ClockMove

_LATEST = datetime(9990, 1, 1, tzinfo=timezone.utc)  # so that a retry after it can still be written down


@dataclass(frozen=True, kw_only=True, slots=True)
class ClockStatus:
    mode: Literal["running", "frozen"]  # while it is advanced: what it will be afterwards
    now: datetime  # the emulated time
    offset: timedelta  # emulated minus real time
    epoch: int
    advancing_to: datetime | None = None  # where the advance that is going on will end
    advance: ClockMove | None = None  # that advance


class ClockOperations(Protocol):
    async def clock(self) -> ClockStatus: ...

    async def ask_clock(self, action: ClockAction, to: timedelta | datetime | None = None) -> ClockMove:
        """Ask whoever holds the project's lock to move the clock; `advance` needs a duration from now or a
        moment. What takes no time ends an advance where it is.

        Raises `InvalidOption` for a moment in the past, `Conflict` for an advance during another."""

    async def clock_move(self, number: int) -> ClockMove:
        """How it stands."""

    async def cancel_clock_move(self, number: int) -> None:
        """End an advance where it is; nothing happens when it is over."""

    async def crons_until(self, to: timedelta | datetime) -> int:
        """How many executions the crons would create until then."""


class LocalClock(LocalBase):
    async def clock(self) -> ClockStatus:
        (clock, moves), real = self._store.clock_and_moves(), self._store.real()
        walk = next((move for move in moves if move.is_walk and move.state != "asked"), None)
        target = None if walk is None or self._nobody_moves_it() else walk.target
        return ClockStatus(
            mode="running" if walk is not None and walk.runs_on else clock.mode,
            now=to_datetime(clock.at(real)),
            offset=timedelta(microseconds=clock.at(real) - real),
            epoch=clock.epoch,
            advancing_to=None if target is None else to_datetime(target),
            advance=None if target is None else walk,
        )

    def _nobody_moves_it(self) -> bool:
        """An emulator that was killed could not say that its advance is over."""
        from defer_emulator.lock import ProjectLock

        return self._store.root is not None and ProjectLock(self._store.root).holder() is None

    async def ask_clock(self, action: ClockAction, to: timedelta | datetime | None = None) -> ClockMove:
        """Raises `InvalidOption` for a moment in the past, `Conflict` for an advance during another."""
        with self._store.write() as tx:
            target = None if to is None else _target(to, tx.now)
            move = tx.ask_clock_move(action, target)
        self._wake()
        return move

    async def clock_move(self, number: int) -> ClockMove:
        return self._store.clock_move(number)

    async def cancel_clock_move(self, number: int) -> None:
        """End an advance where it is; nothing happens when it is over."""
        with self._store.write() as tx:
            for move in tx.clock_moves():
                if move.id == number:
                    tx.cancel_clock_move(move)
        self._wake()

    async def crons_until(self, to: timedelta | datetime) -> int:
        """How many executions the crons would create until then. Raises `InvalidOption`."""
        from defer_emulator.domain.cron import count_between

        now = self._store.now()
        target = _target(to, now)
        return sum(
            count_between(function.spec.cron, max(now, function.cron_after), target)
            for function in self._store.functions()
            if function.spec.cron
            and function.cron_after is not None
            and function.status != "removed"
            and not function.paused
        )


def _target(to: timedelta | datetime, now: int) -> int:
    """µs on the emulated clock. Raises `InvalidOption` for a moment in the past, or that no calendar has."""
    target = to_micros(to) if isinstance(to, datetime) else now + to // timedelta(microseconds=1)
    if target < now:
        raise InvalidOption(
            f"the clock shows {moment(to_datetime(now))} already: it cannot be advanced to an earlier time",
            hint="`defer clock reset` goes back to real time",
        )
    if target > to_micros(_LATEST):
        raise InvalidOption(f"the clock cannot be advanced beyond {moment(_LATEST)}")
    return target
