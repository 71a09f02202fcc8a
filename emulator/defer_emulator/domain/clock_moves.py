"""What somebody asked of the emulated clock, and how that stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ClockAction = Literal["advance", "next", "freeze", "resume", "reset"]
"""`advance` walks to a target, `next` to the next due thing; the others take no time."""

MoveState = Literal["asked", "going", "cancelling", "done", "cancelled", "interrupted", "nothing_due"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClockMove:
    """A row of the project's file. Times are µs on the emulated clock."""

    id: int
    action: ClockAction
    state: MoveState
    start: int  # what the clock showed when it was asked for
    target: int | None  # where it ends; None for `next` until that is known, and for what takes no time
    runs_on: bool  # the clock stands for it, and runs on afterwards

    @property
    def is_walk(self) -> bool:
        return self.action in ("advance", "next")

    @property
    def is_over(self) -> bool:
        return self.state not in ("asked", "going", "cancelling")
