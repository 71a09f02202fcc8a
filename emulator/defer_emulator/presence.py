"""The living emulator of a project: the note it leaves in `.defer/emulator.json`, and how to poke it."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

PROTOCOL = 1
"""Version of this file and of the datagrams that the socket takes."""

DUE, LATER = b"\0", b"\1"
"""What a datagram says: something was written, or only something that is not due yet."""

_LOOK_AGAIN = 0.1  # seconds until a missing emulator is looked for again


@dataclass(frozen=True, kw_only=True, slots=True)
class Presence:
    """Who serves a project. `start_time` tells a process from a later one with the same pid."""

    pid: int
    start_time: str
    url: str
    protocol: int
    socket: str  # path of the datagram socket that wakes its scheduler
    max_concurrency: int | None = None  # None: it did not say
    only: tuple[str, ...] = ()  # the functions that it runs; empty: all


def own_presence(
    url: str, socket: str, *, max_concurrency: int | None = None, only: Sequence[str] = ()
) -> Presence:
    """The note of this very process."""
    pid = os.getpid()
    return Presence(
        pid=pid,
        start_time=start_time(pid) or "",
        url=url,
        protocol=PROTOCOL,
        socket=socket,
        max_concurrency=max_concurrency,
        only=tuple(only),
    )


def presence_file(root: Path) -> Path:
    return root / ".defer" / "emulator.json"


def write_presence(root: Path, presence: Presence) -> None:
    """Readers see the old note or the new one, nothing between."""
    file = presence_file(root)
    draft = file.with_name(f"{file.name}.{presence.pid}")
    draft.write_text(json.dumps(asdict(presence)) + "\n", encoding="utf-8")
    draft.replace(file)


def remove_presence(root: Path) -> None:
    with contextlib.suppress(OSError):
        presence_file(root).unlink()


def read_presence(root: Path) -> Presence | None:
    """The note as it stands, by a living emulator or a dead one; None where there is none to be read."""
    try:
        data = json.loads(presence_file(root).read_bytes())
        return Presence(
            pid=int(data["pid"]),
            start_time=str(data["start_time"]),
            url=str(data["url"]),
            protocol=int(data["protocol"]),
            socket=str(data["socket"]),
            max_concurrency=data.get("max_concurrency"),
            only=tuple(map(str, data.get("only", ()))),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_alive(presence: Presence | None) -> bool:
    """Whether the emulator that left the note still runs."""
    return presence is not None and start_time(presence.pid) == presence.start_time


def start_time(pid: int) -> str | None:
    """When a process started, in the words of its system; None if there is no such process."""
    if pid <= 0:
        return None
    try:
        # The name, in parentheses, may hold anything; what follows it does not.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else fields[19].decode()
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else _start_time_by_ps(pid)
    except (OSError, IndexError):
        return None


def _start_time_by_ps(pid: int) -> str | None:
    """For systems without /proc, such as macOS."""
    import subprocess

    try:
        command = ["ps", "-o", "lstart=", "-p", str(pid)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() or None
    except (OSError, subprocess.CalledProcessError):
        return None


class Waker:
    """Tells a project's emulator that there is something new. Costs some µs and never fails.

    The emulator looks by itself too, a little later: a lost poke loses time and nothing else. `later` is for
    what is not due yet, so that the emulator need not look at once.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path: str | None = None
        self._socket: socket.socket | None = None
        self._looked = 0.0

    def __call__(self) -> None:
        self._tell(DUE)

    def later(self) -> None:
        self._tell(LATER)

    def _tell(self, word: bytes) -> None:
        if self._path is not None and self._send(word, self._path):
            return
        now = time.monotonic()
        if self._path is None and now - self._looked < _LOOK_AGAIN:
            return
        self._looked = now
        presence = read_presence(self._root)
        self._path = None if presence is None else presence.socket
        if self._path is not None and not self._send(word, self._path):
            self._path = None

    def _send(self, word: bytes, path: str) -> bool:
        import socket

        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._socket.setblocking(False)
            self._socket.sendto(word, path)
        except BlockingIOError:
            pass  # its queue is full of pokes that it has not read yet
        except OSError:
            return False
        return True
