"""Processes and their descendants. Linux reads /proc; elsewhere `ps` answers. Standard library only."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PAUSE = 0.001  # seconds between looks at processes that are being ended
_PAGE = os.sysconf("SC_PAGE_SIZE")


def _load_prctl() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)


_prctl = _load_prctl()  # once, before any fork


def become_subreaper() -> None:
    """Descendants whose parent dies become children of this process, not of init. Linux only."""
    if _prctl is not None:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(parent: int) -> None:
    """Be killed when `parent`, which forked this process, dies. Exits at once if it has. Linux only."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def children(pid: int) -> list[int]:
    """The children of a process, zombies too; none when it does not exist."""
    if not sys.platform.startswith("linux"):
        return _parents_by_ps().get(pid, [])
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += [int(child) for child in file.read().split()]
    except OSError:
        return found if not os.path.exists(f"/proc/{pid}") or found else _children_by_stat(pid)
    return found


def _children_by_stat(pid: int) -> list[int]:
    """For kernels without `children` files."""
    return [process for process in _all_pids() if _parent(process) == pid]


def _parent(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    return int(stat.rpartition(b")")[2].split()[1])


def _all_pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _parents_by_ps() -> dict[int, list[int]]:
    table: dict[int, list[int]] = {}
    with subprocess.Popen(["ps", "-A", "-o", "pid=,ppid="], stdout=subprocess.PIPE, text=True) as listing:
        for line in listing.stdout or ():
            pid, parent = (int(part) for part in line.split())
            if pid != listing.pid:
                table.setdefault(parent, []).append(pid)
    return table


def descendants(pid: int) -> list[int]:
    """The process's children, their children and so on, nearest first; without itself."""
    found: list[int] = []
    queue = [pid]
    while queue:
        below = children(queue.pop(0))
        found += below
        queue += below
    return found


def kill(pid: int) -> None:
    """SIGKILL, whether or not the process still exists."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def end_children(keep: Collection[int] = (), within: float = 1.5) -> bool:
    """Kill and reap all descendants of this process but the children in `keep` and what is below them.

    What a killed process leaves behind becomes a child of this one, a subreaper, and is killed in turn.
    False when something is still there after so many seconds (it sleeps in the kernel).
    """
    deadline = time.monotonic() + within
    me = os.getpid()
    while True:
        left = [pid for pid in children(me) if pid not in keep]
        if not left:
            return True
        for pid in left:
            for below in (*descendants(pid), pid):
                kill(below)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        if time.monotonic() > deadline:
            return False
        if any(pid not in keep for pid in children(me)):
            time.sleep(_PAUSE)


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM now; 0 where /proc is missing."""
    try:
        with open(f"/proc/{pid}/statm", "rb", buffering=0) as file:
            return int(file.read(128).split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def family_bytes(pid: int, most: int) -> int:
    """Memory in RAM of a process and of all its descendants; 0 where /proc is missing.

    When it seems to be more than `most`, the kernel is asked for what takes it longer: what processes share,
    as after a fork, then counts once.
    """
    family = (pid, *descendants(pid)) if sys.platform.startswith("linux") else ()
    total = sum(map(resident_bytes, family))
    return total if total <= most else sum(map(_proportional_bytes, family))


def _proportional_bytes(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_bytes()
        return int(rollup.partition(b"\nPss:")[2].split(maxsplit=1)[0]) * 1024
    except (OSError, IndexError):  # gone, or an old kernel
        return resident_bytes(pid)


def command(pid: int) -> str:
    """The command line of a process, "" when it is not known."""
    for _ in range(10):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            break
        if line:
            return line.replace(b"\0", b" ").decode(errors="replace").strip()
        time.sleep(_PAUSE)  # it is just becoming another program
    return ""


def is_zombie(pid: int) -> bool:
    """Whether the process has ended and only waits to be reaped."""
    return _state(pid) in (b"Z", b"X")


def is_asleep(pid: int) -> bool:
    """Whether its main thread waits for something now. Where that cannot be seen, it does."""
    return _state(pid) != b"R"


def _state(pid: int) -> bytes:
    """As `ps` shows it; "" for a process that is gone, or where there is no /proc."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            return file.read(512).rpartition(b")")[2].split()[0]
    except OSError:
        return b""


def with_environment(entry: str) -> list[int]:
    """Processes that were started with this `NAME=value` in their environment and still run. Linux only."""
    if not sys.platform.startswith("linux"):
        return []
    wanted = os.fsencode(entry)
    found: list[int] = []
    for pid in _all_pids():
        with contextlib.suppress(OSError):
            if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def ancestors(pid: int) -> list[int]:
    """The process's parent, its parent and so on. Linux only."""
    found: list[int] = []
    parent = _parent(pid)
    while parent:
        found.append(parent)
        parent = _parent(parent)
    return found
