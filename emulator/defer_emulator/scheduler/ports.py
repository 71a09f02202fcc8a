"""What the scheduler needs from its surroundings. It owns these protocols; tests fake them.

Times are integers: microseconds since the epoch, on the emulated clock unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from defer_client.models import Outcome
from defer_emulator.clock import EmulatedClock
from defer_emulator.domain.clock_moves import ClockMove
from defer_emulator.domain.functions import BrokenFunction, FunctionSpec, FunctionStatus, RegisteredFunction
from defer_emulator.domain.jobs import End, Job, JobEnd, Pool, PoolListener
from defer_emulator.domain.work import Change, Claim, Completion, Limits, LogChunk, Running

# --- the store --------------------------------------------------------------------------------


class Transaction(Protocol):
    """One write transaction. Everything in it happens at one instant, or not at all."""

    @property
    def now(self) -> int:
        """The emulated time, read once when the transaction began."""

    @property
    def revision(self) -> int:
        """The number that this transaction stamps on what it writes."""

    def changes_since(self, revision: int) -> list[Change]:
        """Rows written by others after `revision`, oldest first; without those that are due and wait."""

    def settle(self, completions: Sequence[Completion]) -> list[Change]:
        """Write the ends of attempts, in order; the rows as they are now."""

    def append_logs(self, chunks: Sequence[LogChunk]) -> None: ...

    def discard_due(self) -> list[Change]:
        """Discard what was not started before its `discard_after`."""

    def next_discard(self) -> int | None: ...

    def claim(self, limits: Mapping[str, Limits], places: int, generation: int) -> Claim:
        """Start due executions of the functions in `limits`, at most `places`, in their order.

        Functions that are missing in `limits` (broken, removed, unknown) or paused do not start.
        """

    def running(self) -> list[Running]:
        """All that are started or aborting, oldest first; without those that a process of a person's runs."""

    def fire_cron(self, function: str, minute: int) -> Change | None:
        """Create the execution of a cron's minute, once for each minute and clock epoch; else None."""

    def cron_seen(self, function: str, minute: int) -> None:
        """Minutes up to this one never fire again."""

    def cron_missed(self, function: str, first: int, count: int) -> None:
        """Remember that so many minutes, from `first` on, were not fired and never will be."""

    def register(
        self,
        functions: Collection[FunctionSpec],
        broken: Mapping[str, BrokenFunction],
    ) -> None:
        """Make the table of functions equal to the project: `broken` maps a function that cannot be
        imported now to the reason; it keeps its last options. What is in neither is `removed`. A cron
        whose expression is new counts from now on."""

    def functions(self) -> list[RegisteredFunction]: ...

    @property
    def epoch(self) -> int:
        """The clock's epoch: it grows when the clock is moved back."""

    # What moving the clock needs:

    clock: EmulatedClock
    real: int  # the real time, read once when the transaction began

    def set_clock(self, *, offset: int, frozen_at: int | None) -> None:
        """As in `EmulatedClock`; `now` and what follows in this transaction are at the new instant."""

    def clock_moves(self) -> list[ClockMove]:
        """What was asked of the clock and is not over, oldest first."""

    def put_clock_move(self, move: ClockMove) -> None:
        """Write down how it stands."""

    def next_pending(self) -> int | None:
        """When the next execution becomes due that could start if there were an emulator."""


class SchedulerStore(Protocol):
    def write(self) -> AbstractContextManager[Transaction]:
        """A transaction: committed at the end of the block, rolled back by an exception.

        Raises `StateFileError` when the file cannot be written.
        """

    def data_version(self) -> int:
        """A number that changes when another connection has written. Costs 3 µs."""

    def now(self) -> int:
        """The emulated time."""

    def emulated_delay(self, until: int) -> float | None:
        """Seconds of real time until the emulated clock shows `until`; None while it is frozen before it."""

    def outcomes(self, ids: Collection[str]) -> dict[str, Outcome]:
        """How these executions ended; those that have not are left out."""


# --- what it tells ----------------------------------------------------------------------------


class Listener(Protocol):
    """Who wants to know what happened: the terminal, the console, webhooks."""

    def publish(self, event: Any) -> None:
        """An event of `defer_emulator.notify.events`, after it was committed."""


__all__ = [
    "Change",
    "Claim",
    "Completion",
    "End",
    "FunctionStatus",
    "Job",
    "JobEnd",
    "Limits",
    "Listener",
    "LogChunk",
    "Pool",
    "PoolListener",
    "Running",
    "SchedulerStore",
    "Transaction",
]
