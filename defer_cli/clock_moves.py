"""Moving the emulated clock: ask for it, and follow it, or do it where no emulator runs."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from functools import partial

from defer_cli.session import Session
from defer_cli.text import moment
from defer_client.errors import Conflict
from defer_client.models import ExecutionFilters, Page, State
from defer_emulator.clock import to_datetime
from defer_emulator.domain.clock_moves import ClockAction, ClockMove
from defer_emulator.domain.ids import short_id
from defer_emulator.lock import LockHeld, ProjectLock
from defer_emulator.operations import Search
from defer_emulator.scheduler.clock_control import ClockControl, walk_alone

POLL = 0.02  # seconds between two looks at a move that another process does
PATIENCE = 5.0  # seconds for an emulator to give up an advance
SAY_AFTER, SAY_EVERY = 1.0, 5.0  # seconds: how far an advance is, where no terminal shows it all the time
SHOW_EVERY = 0.1  # seconds, on a terminal


def carry_out(session: Session, action: ClockAction, to: timedelta | datetime | None = None) -> ClockMove:
    """Move the clock, and return when it is over. Ctrl-C ends an advance where it is.

    Raises `InvalidOption`, `Conflict`, also when an advance did not get to its end.
    """
    lock = ProjectLock(session.root)
    try:
        alone = _alone(session, lock)
        move = session.call(session.operations.ask_clock(action, to))
        progress = Progress(session)
        try:
            move = _follow(session, lock, move, progress, alone=alone)
        except KeyboardInterrupt:
            session.call(session.operations.cancel_clock_move(move.id))
            _follow(session, lock, move, progress, alone=lock.is_held, until=time.monotonic() + PATIENCE)
            status = session.call(session.operations.clock())
            session.output.note(f"stopped: the clock shows {moment(status.now)}")
            raise
        finally:
            progress.close()
    finally:
        lock.release()
    _judge(session, move)
    return move


def _alone(session: Session, lock: ProjectLock) -> bool:
    """Whether no emulator runs: then this process does what one would do."""
    try:
        lock.acquire(timeout=0)
    except LockHeld:
        return False
    with session.store.write() as tx:
        ClockControl().abandon(tx)  # what a killed emulator could not end
    return True


def _follow(
    session: Session,
    lock: ProjectLock,
    move: ClockMove,
    progress: Progress,
    *,
    alone: bool,
    until: float = float("inf"),
) -> ClockMove:
    while time.monotonic() < until:
        if alone:
            for cron in walk_alone(session.store, partial(progress.show, move)):
                session.output.note(f"{cron.function} was due {cron.missed} times before, while nothing ran")
        move = session.call(session.operations.clock_move(move.id))
        if move.is_over:
            break
        progress.show(move, session.store.now())
        time.sleep(POLL)
        alone = alone or _alone(session, lock)
    return move


def _judge(session: Session, move: ClockMove) -> None:
    if move.state == "done":
        return
    now = moment(session.call(session.operations.clock()).now)
    if move.state == "nothing_due":
        raise Conflict(
            "nothing is due: no execution waits for its time, and no cron will fire",
            hint="`defer clock advance 1h` moves the clock all the same",
        )
    if move.state == "interrupted":
        again = (
            "" if move.target is None else f" and go on: defer clock advance --to {_argument(move.target)}"
        )
        raise Conflict(
            f"the emulator has stopped, and the clock with it: it shows {now}",
            hint=f"start `defer dev` again{again}",
        )
    raise Conflict(f"another command has stopped this: the clock shows {now}")


def _argument(micros: int) -> str:
    return f"{to_datetime(micros):%Y-%m-%dT%H:%M:%SZ}"


class Progress:
    """Tells a person how far an advance is, and what it waits for, when it takes long."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._output = session.output
        self._live = session.output.is_terminal(session.output.err)
        self._now = 0  # µs: what the clock showed last
        self._moved = time.monotonic()  # when that changed
        self._next = time.monotonic() + (SHOW_EVERY if self._live else SAY_AFTER)

    def show(self, move: ClockMove, now: int) -> None:
        moment = time.monotonic()
        if now != self._now:
            self._now, self._moved = now, moment
        if moment >= self._next:
            self._next = moment + (SHOW_EVERY if self._live else SAY_EVERY)
            self._write(self._text(move, now, waits=moment - self._moved > SAY_AFTER))

    def _text(self, move: ClockMove, now: int, *, waits: bool) -> str:
        text = moment(to_datetime(now))
        if move.target is not None and move.target > move.start:
            done = (now - move.start) / (move.target - move.start)
            text = f"{done:4.0%}  {text}"
        return f"{text}  {self._waiting()}" if waits else text

    def _waiting(self) -> str:
        """Also children that wait: an advance waits for none of them, but they lead to who runs."""
        filters = ExecutionFilters(states=[State.STARTED, State.ABORTING])
        found = self._session.search(Page(first=1), Search(filters=filters)).data
        if not found:
            return "waits for a free worker"
        latest = f"{found[0].function_name} ({short_id(found[0].id)})"
        return f"waits for {latest}, which runs; Ctrl-C stops the clock here"

    def _write(self, text: str) -> None:
        if self._live:
            self._output.err.write(f"\r{text}\x1b[K")
            self._output.err.flush()
        else:
            self._output.note(f"the clock is being advanced: {text.strip()}")

    def close(self) -> None:
        if self._live:
            self._output.err.write("\r\x1b[K")
            self._output.err.flush()
