"""Ends what an emulator that was killed has left running."""

from __future__ import annotations

import os
import time

from defer_emulator.runner.zygote import PROJECT_VARIABLE
from defer_emulator.workers import tree

_WITHIN = 2.0  # seconds
_PAUSE = 0.005  # seconds


def end_leftovers(project: str) -> int:
    """Kill every process that was started for executions of the project, and wait until it is gone.

    `project` is the mark in `PoolOptions.project`. Returns how many there were. Call with the project's
    lock held, before anything is claimed: no other emulator of it lives then.
    """
    spared = {os.getpid(), *tree.ancestors(os.getpid())}
    seen: set[int] = set()
    deadline = time.monotonic() + _WITHIN
    while True:
        marked = tree.with_environment(f"{PROJECT_VARIABLE}={project}")
        left = {pid for found in marked for pid in (found, *tree.descendants(found))} - spared
        left = {pid for pid in left if not tree.is_zombie(pid)}
        if not left or time.monotonic() > deadline:
            return len(seen)
        seen |= left
        for pid in left:
            tree.kill(pid)
        time.sleep(_PAUSE)
