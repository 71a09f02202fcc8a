"""How many worker processes to have: a decision without side effects."""

from __future__ import annotations

import os

IDLE_SECONDS = 10.0  # after which idle workers beyond the warm ones end
LONG = 0.025  # seconds after which a job counts as long; short ones take that only on a busy machine
AGAIN = 0.005  # seconds until a growth that was not useful is considered again
CPUS = os.cpu_count() or 1
AT_ONCE = max(2, CPUS)  # workers that start at the same time: more would only slow each other


def workers_to_start(
    *, wanted: int, warm: int, idle: int, starting: int, total: int, most: int, long: int
) -> int:
    """How many to start now. `total` counts all workers, `long` those whose job is a long one, or waits.

    A flood of short jobs is run best by about as many processes as there are CPUs. Long jobs sleep, or
    take a CPU each: beside them there is place for others, and for twice as many when many are long.

    >>> workers_to_start(wanted=50, warm=2, idle=0, starting=0, total=CPUS + 1, most=100, long=0)
    0
    """
    needed = max(wanted, warm) - idle - starting
    useful = max(CPUS + 1, long) - (total - long)
    return max(0, min(needed, useful, AT_ONCE - starting, most - total))
