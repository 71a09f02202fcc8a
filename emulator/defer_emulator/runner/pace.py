"""Whether there is a flood of short jobs: then a worker is given several at once.

To wake a process costs more than a short job. One that has its next job already runs it at a quarter of
the cost, and what ended is settled together.
"""

from __future__ import annotations

from collections import deque

from defer_emulator.runner.growth import CPUS

SHORT = 0.002  # seconds that a short job runs
MANY = 16  # short jobs in a row are a flood,
WINDOW = 0.05  # when they ended within so many seconds
DEPTH = 16  # jobs that a worker is given, the one that runs among them
LANES = max(2, CPUS)  # workers that get more than one
PATIENCE = 0.01  # seconds that a job waits behind another one; then it is taken back


class Pace:
    """Looks at how long jobs take. Times are those of one monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._ends: deque[float] = deque(maxlen=MANY)  # of the latest jobs, all of them short

    def ended(self, now: float, seconds: float) -> None:
        """A job has run for so long."""
        if seconds > SHORT:
            self._ends.clear()
        else:
            self._ends.append(now)

    def slow_down(self) -> None:
        """A job takes long: no flood any more, whatever came before it."""
        self._ends.clear()

    def is_flood(self, now: float) -> bool:
        return len(self._ends) == MANY and now - self._ends[0] <= WINDOW
