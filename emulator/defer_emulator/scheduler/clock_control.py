"""Moving the emulated clock: who holds the project's lock does it, as others ask for it in the file.

An advance makes the clock stand, and walks: at each instant at which something is due, it waits until
nothing runs but executions that wait for others, then goes to the next. All its state is in the file, so a
crash leaves the clock where it got, and nothing is fired twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from defer_emulator.domain.clock_moves import ClockMove, MoveState
from defer_emulator.notify.events import ClockMoved
from defer_emulator.scheduler.crons import TOO_LATE, CronTable, Due, fire
from defer_emulator.scheduler.ports import SchedulerStore, Transaction


class ClockControl:
    """Carries out what was asked of the clock, inside of its caller's transactions.

    What it remembers is that of the present transaction: one that is rolled back leaves nothing behind.
    """

    def __init__(self) -> None:
        self.news: list[ClockMoved] = []  # to tell after the commit
        self.has_begun = False  # to walk, in this transaction
        self._walk: ClockMove | None = None

    @property
    def is_walking(self) -> bool:
        return self._walk is not None

    def take(self, tx: Transaction) -> None:
        """Do what was asked of the clock. Comes first in a transaction: the time is right afterwards."""
        self.news, self._walk, self.has_begun = [], None, False
        for move in tx.clock_moves():
            if move.state == "cancelling":
                self._end(tx, move, "cancelled")
            elif move.state == "going":
                self._walk = move
            elif move.is_walk:
                self._begin(tx, move)
            else:
                _apply(tx, move)
                self._end(tx, move, "done")

    def abandon(self, tx: Transaction) -> None:
        """End the advance of an emulator that stops, or has died: the clock stays where it got."""
        self.news, self._walk, self.has_begun = [], None, False
        for move in tx.clock_moves():
            if move.state != "asked":
                self._end(tx, move, "cancelled" if move.state == "cancelling" else "interrupted")

    def step(self, tx: Transaction, moments: Iterable[int], skipped: int | None) -> bool:
        """Go to the next instant: nothing more happens at this one. `moments` are when something is due;
        `skipped` is when a paused cron would be: it lets that minute pass, and is nothing to walk to.

        Whether the clock was moved. At the target, the walk is over instead.
        """
        walk, now, next_due = self._walk, tx.now, min(moments, default=None)
        if walk is None or (next_due is not None and next_due <= now):
            return False
        if walk.target is None and next_due is not None:
            walk = replace(walk, target=next_due)
            tx.put_clock_move(walk)
        if walk.target is None or walk.target <= now:
            self._end(tx, walk, "nothing_due" if walk.target is None else "done")
            return False
        tx.set_clock(offset=tx.clock.offset, frozen_at=min(given(walk.target, next_due, skipped)))
        return True

    def _begin(self, tx: Transaction, move: ClockMove) -> None:
        self.has_begun = True
        self._walk = replace(move, state="going", runs_on=tx.clock.mode == "running")
        if move.target is not None:
            self._tell(tx, target=move.target)
        tx.set_clock(offset=tx.clock.offset, frozen_at=tx.now)
        tx.put_clock_move(self._walk)

    def _end(self, tx: Transaction, move: ClockMove, state: MoveState) -> None:
        if move.runs_on:
            offset = tx.now - tx.real
            # One that got nowhere costs the clock nothing, unless a cron could be missed by that.
            stood = tx.clock.offset - offset
            tx.set_clock(offset=offset + (stood if 0 < stood <= TOO_LATE else 0), frozen_at=None)
        tx.put_clock_move(replace(move, state=state, runs_on=False))
        self._tell(tx)

    def _tell(self, tx: Transaction, target: int | None = None) -> None:
        moved = ClockMoved(at=tx.now, mode=tx.clock.mode, offset=tx.now - tx.real, target=target)
        self.news.append(moved)


def given(*moments: int | None) -> list[int]:
    """Without those that are not known."""
    return [moment for moment in moments if moment is not None]


def _apply(tx: Transaction, move: ClockMove) -> None:
    if move.action == "freeze":
        tx.set_clock(offset=tx.clock.offset, frozen_at=tx.now)
    elif move.action == "reset":
        tx.set_clock(offset=0, frozen_at=None)
    elif tx.clock.mode == "frozen":
        tx.set_clock(offset=tx.now - tx.real, frozen_at=None)


def walk_alone(store: SchedulerStore, on_progress: Callable[[int], None] = lambda _now: None) -> list[Due]:
    """Do all that was asked of the clock, where no emulator runs: the caller holds the project's lock.

    Executions are discarded and crons create theirs, each at its instant; all wait for an emulator.
    `on_progress` hears what the clock shows. Returns the crons that had been missed before.
    """
    control, crons, missed = ClockControl(), CronTable(), list[Due]()
    epoch: int | None = None
    while True:
        with store.write() as tx:
            control.take(tx)
            if not control.is_walking:
                return missed
            if control.has_begun or tx.epoch != epoch or (crons.next_due() or tx.now + 1) <= tx.now:
                epoch = tx.epoch
                crons.update(tx.functions())
            tx.discard_due()
            missed += [due for due in fire(tx, crons) if due.missed]
            moments = given(tx.next_discard(), crons.next_due(paused=False), tx.next_pending())
            control.step(tx, moments, crons.next_due(paused=True))
            now = tx.now
        on_progress(now)
