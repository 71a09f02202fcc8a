"""How many worker processes to have: a decision without side effects."""

from __future__ import annotations

import os

WARM = 2  # idle workers that are kept for what comes next
IDLE_SECONDS = 10.0  # after which more of them end
RECENT = 0.005  # seconds: a worker that became idle so lately shows that jobs are short
CPUS = os.cpu_count() or 1
AT_ONCE = max(2, CPUS)  # workers that start at the same time: more would only slow each other


def workers_to_start(
    *, wanted: int, warm: int, idle: int, starting: int, total: int, most: int, since_idle: float
) -> int:
    """How many to start now. `total` counts all, `since_idle` the seconds since one finished a job.

    A flood of short jobs is run best by about as many processes as there are CPUs; one of jobs that
    sleep needs a process each, quickly.

    >>> workers_to_start(wanted=50, warm=2, idle=0, starting=0, total=40, most=100, since_idle=0.001)
    0
    """
    needed = max(wanted, warm) - idle - starting
    if total > CPUS and since_idle < RECENT:
        return 0
    return max(0, min(needed, AT_ONCE - starting, most - total))
