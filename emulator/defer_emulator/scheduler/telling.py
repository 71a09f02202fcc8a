"""Turns what a tick has done into events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from defer_client.errors import DeferError
from defer_client.models import Failure, State
from defer_emulator.notify.events import ClockMoved, CronMissed, ExecutionChanged, Output, Reason, Trouble
from defer_emulator.scheduler.crons import Due
from defer_emulator.scheduler.ports import Change, Listener, LogChunk, Running


class Teller:
    """Publishes events. Call it after the commit only."""

    def __init__(self, bus: Listener) -> None:
        self._bus = bus

    def started(self, now: int, running: Running) -> None:
        self._bus.publish(
            ExecutionChanged(
                at=now,
                id=running.id,
                function=running.function,
                state=State.STARTED,
                attempt=running.attempt,
                reason="start",
            )
        )

    def ended(
        self,
        now: int,
        row: Change,
        attempt: int,
        failure: Failure | None,
        duration: float,
        *,
        released: bool,
    ) -> None:
        """An attempt is over; `row` is its execution as it is now, `duration` in seconds."""
        again = row.state is State.CREATED
        self._bus.publish(
            ExecutionChanged(
                at=now,
                id=row.id,
                function=row.function,
                state=row.state,
                attempt=attempt,
                reason="release" if released else "retry" if again else "end",
                duration=duration,
                failure=failure,
                due=row.scheduled_at if again else None,
            )
        )

    def changed(
        self, now: int, foreign: Sequence[Change], discarded: Sequence[Change], cancelled: Sequence[Change]
    ) -> None:
        """What others wrote, as far as it is worth a line, and what the tick discarded or cancelled."""
        for change in foreign:
            if change.state is State.CANCELLED:
                self._change(now, change, "cancel")
            elif change.state is State.CREATED and change.scheduled_at > now:
                self._change(now, change, "new", due=change.scheduled_at)
        for change in discarded:
            self._change(now, change, "discard")
        for change in cancelled:
            self._change(now, change, "limit")

    def missed(self, crons: Iterable[Due]) -> None:
        for cron in crons:
            if cron.first_missed is not None:
                self._bus.publish(
                    CronMissed(function=cron.function, first=cron.first_missed, count=cron.missed)
                )

    def clock(self, moves: Iterable[ClockMoved]) -> None:
        for move in moves:
            self._bus.publish(move)

    def printed(self, running: Running, chunk: LogChunk) -> None:
        self._bus.publish(
            Output(id=running.id, function=running.function, stream=chunk.stream, message=chunk.message)
        )

    def trouble(self, error: DeferError) -> None:
        self._bus.publish(Trouble(message=error.message, hint=error.hint))

    def _change(self, now: int, change: Change, reason: Reason, due: int | None = None) -> None:
        self._bus.publish(
            ExecutionChanged(
                at=now,
                id=change.id,
                function=change.function,
                state=change.state,
                attempt=change.attempt,
                reason=reason,
                due=due,
            )
        )
