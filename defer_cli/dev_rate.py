"""When `defer dev` shows each thing, and when it counts."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from defer_client.models import State
from defer_emulator.notify.events import ExecutionChanged

BUSY = 50  # executions a second, beyond which they are counted, not shown
LINES = 200  # printed lines a second, beyond which they are counted
SOON = 500_000  # µs: what is enqueued for within them is shown when it starts
FAILURES = 3  # new failures a second that are shown whole while it is busy

Later = Callable[[float, Callable[[], None]], object]


def is_delayed(event: ExecutionChanged) -> bool:
    """Whether it was enqueued for later."""
    return event.reason == "new" and event.due is not None and event.due - event.at >= SOON


@dataclass(kw_only=True, slots=True)
class Counts:
    """What was not shown since the last summary."""

    states: Counter[tuple[str, State]] = field(default_factory=Counter)  # by function
    lines: int = 0

    def __bool__(self) -> bool:
        return bool(self.states or self.lines)


class Rate:
    """Notices when there is too much to show, counts then, and tells the counts once a second.

    `later` calls a function after some seconds (`loop.call_later`), `now` is a monotonic clock.
    """

    def __init__(self, later: Later, now: Callable[[], float], tell: Callable[[Counts], None]) -> None:
        self._later = later
        self._now = now
        self._tell = tell
        self._starts: deque[float] = deque(maxlen=BUSY + 1)
        self._counts = Counts()
        self._second = 0.0  # when the present one began
        self._lines = self._failures = 0  # shown in it
        self._ticks = False
        self.busy = False

    def shows(self, event: ExecutionChanged) -> bool:
        """Whether the event is to be shown; else it is counted."""
        if event.reason == "start" or is_delayed(event):
            self._starts.append(self._now())
        if not self.busy and self._too_many():
            self.busy = True
            self._tick_later()
        if self.busy and (event.reason != "new" or is_delayed(event)):
            self._counts.states[event.function, event.state] += 1
        return not self.busy

    def shows_line(self) -> bool:
        """Whether a printed line is to be shown."""
        self._begin_second()
        self._lines += 1
        if not self.busy and self._lines <= LINES:
            return True
        self._counts.lines += 1
        self._tick_later()
        return False

    def shows_failure(self) -> bool:
        """Whether a failure that was not shown before is to be shown now, whole."""
        self._begin_second()
        self._failures += 1
        return not self.busy or self._failures <= FAILURES

    def flush(self) -> None:
        """Tell what was counted so far."""
        counts, self._counts = self._counts, Counts()
        if counts:
            self._tell(counts)

    def _begin_second(self) -> None:
        if self._now() - self._second >= 1.0:
            self._second = self._now()
            self._lines = self._failures = 0

    def _too_many(self) -> bool:
        return len(self._starts) > BUSY and self._now() - self._starts[0] < 1.0

    def _tick_later(self) -> None:
        if not self._ticks:
            self._ticks = True
            self._later(1.0, self._tick)

    def _tick(self) -> None:
        self._ticks = False
        self.flush()
        self.busy = self._too_many()
        if self.busy:
            self._tick_later()
