"""How many worker processes to have: a decision without side effects."""

from __future__ import annotations

import os

IDLE_SECONDS = 10.0  # after which idle workers beyond the warm ones end
ASLEEP_AFTER = 0.01  # seconds after which a job whose process sleeps counts as long
LONG = 0.25  # seconds after which any job does; on a busy machine short ones take a while, and more workers
# would make it busier
AGAIN = 0.005  # seconds until a growth that was not useful is considered again
CPUS = os.cpu_count() or 1
AT_ONCE = max(2, CPUS)  # workers that start at the same time: more would only slow each other
BUSY = 4 * CPUS  # workers for a flood of short jobs: while one tick is written, each CPU has its next jobs


def workers_to_start(
    *, wanted: int, warm: int, idle: int, starting: int, total: int, most: int, long: int
) -> int:
    """How many to start now. `total` counts all workers, `long` those whose job is a long one, or waits.

    A flood of short jobs is run best by a few processes for each CPU. Long jobs sleep, or
    take a CPU each: beside them there is place for others, and for twice as many when many are long.

    >>> workers_to_start(wanted=50, warm=2, idle=0, starting=0, total=BUSY, most=100, long=0)
    0
    """
    needed = max(wanted, warm) - idle - starting
    useful = max(BUSY, long) - (total - long)
    return max(0, min(needed, useful, AT_ONCE - starting, most - total))
