"""An emulator in a process of its own, for as long as this one needs it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from defer_cli.session import Session
from defer_emulator.dev import DevInfo, DevView
from defer_emulator.lock import ProjectLock
from defer_emulator.notify.events import Event
from defer_emulator.presence import Presence, is_alive, read_presence
from defer_emulator.project.diagnostics import Diagnostic

START_PATIENCE = 30.0  # seconds for an emulator that somebody else is starting
LOOK_AGAIN = 0.05  # seconds
PIECE = 4_096  # bytes


def running_emulator(root: Path) -> Presence | None:
    """The emulator that serves the project, also one that is only starting; None where there is none."""
    deadline = time.monotonic() + START_PATIENCE
    while True:
        presence = read_presence(root)
        if is_alive(presence):
            return presence
        if ProjectLock(root).holder() is None or time.monotonic() > deadline:
            return None
        time.sleep(LOOK_AGAIN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where an emulator listens, and the token that it wants, if any."""

    url: str
    token: str


class Hosted:
    """The emulator's process, seen from the one that needs it."""

    def __init__(self, pid: int, ready: int, life: int) -> None:
        self._pid = pid
        self._ready = ready  # a pipe, on which it says where it listens
        self._life = life  # the system closes it with this process, and the other one notices
        self._status: int | None = None  # how it ended

    def wait_until_ready(self) -> Address | None:
        """None when it has ended instead, and has said why."""
        text = b""
        while piece := os.read(self._ready, PIECE):
            text += piece
        url, _, token = text.decode().partition("\n")
        return Address(url=url, token=token) if url else None

    @property
    def has_ended(self) -> bool:
        if self._status is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            self._status = status if pid else None
        return self._status is not None

    def end(self, *, at_once: bool) -> int:
        """Let what runs finish, or not; its exit code. Ctrl-C hurries, as it does in `defer dev`."""
        self._send(signal.SIGTERM if at_once else signal.SIGINT)
        while self._status is None:
            try:
                _, self._status = os.waitpid(self._pid, 0)
            except KeyboardInterrupt:
                self._send(signal.SIGINT)
        return os.waitstatus_to_exitcode(self._status)

    def _send(self, number: signal.Signals) -> None:
        if not self.has_ended:
            os.kill(self._pid, number)


class Host:
    """The same, seen from the new process."""

    def __init__(self, ready: int, life: int) -> None:
        self._ready = ready
        self._life = life

    def reporting(self, view: DevView) -> DevView:
        """A view that tells the other process too."""
        return _ReportingView(view, self._ready, self._life)


def fork(session: Session, log: Path | None) -> Hosted | Host:
    """Make a new process to run an emulator in. Like `os.fork`, it returns twice: a `Hosted` in the process
    that called it, a `Host` in the new one, which has no terminal and prints to `log`, else to stderr.

    Raises `OSError` for a file that cannot be written.
    """
    target = 2 if log is None else os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    session.output.flush()
    ready, ready_end = os.pipe()
    life_end, life = os.pipe()
    pid = os.fork()
    if pid:
        os.close(ready_end)
        os.close(life_end)
        return Hosted(pid, ready, life)
    os.close(ready)
    os.close(life)
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(target, 1)
    return Host(ready_end, life_end)


class _ReportingView:
    def __init__(self, view: DevView, ready: int, life: int) -> None:
        self._view = view
        self._ready = ready
        self._life = life

    def started(self, info: DevInfo) -> None:
        os.dup2(1, 2)  # what went wrong before is worth more than a line in a file
        self._view.started(info)
        asyncio.get_running_loop().add_reader(self._life, os.kill, os.getpid(), signal.SIGTERM)
        os.write(self._ready, f"{info.url}\n{info.token or ''}".encode())
        os.close(self._ready)

    def event(self, event: Event) -> None:
        self._view.event(event)

    def diagnostics(self, found: Sequence[Diagnostic]) -> None:
        self._view.diagnostics(found)

    def stopping(self, running: int) -> None:
        self._view.stopping(running)

    def stopped(self) -> None:
        self._view.stopped()
