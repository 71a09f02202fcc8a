"""The socket on which writers of the project's file tell the scheduler that there is something to do."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

from defer_emulator.presence import LATER

FOLDER_PREFIX = "defer-"
LONGEST_FOLDER = 80  # bytes of the path that the private folder is made in
BURST = 64  # datagrams read in one go: one tick answers them all


class WakeSocket:
    """A datagram socket in a private temporary folder: paths of sockets may have 100 characters at most,
    those of projects may have more."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=_temporary_folder()))
        self.path = self._folder / "wake"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self._socket.bind(str(self.path))

    def listen(self, on_due: Callable[[], None], on_later: Callable[[], None]) -> None:
        """Call one of them in the running event loop after each burst of datagrams: `on_later` where all of
        them are about what is not due yet."""
        asyncio.get_running_loop().add_reader(self._socket, self._read, on_due, on_later)

    def _read(self, on_due: Callable[[], None], on_later: Callable[[], None]) -> None:
        callback = on_later
        for _ in range(BURST):
            try:
                if self._socket.recv(16) != LATER:
                    callback = on_due
            except BlockingIOError:
                break
        callback()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def remove_stale(path: str) -> None:
    """Remove the folder of a socket that a killed emulator left behind."""
    folder = Path(path).parent
    if folder.name.startswith(FOLDER_PREFIX) and folder.parent == Path(_temporary_folder()):
        shutil.rmtree(folder, ignore_errors=True)


def _temporary_folder() -> str:
    """The user's, unless its path is too long for a socket's to fit behind it."""
    usual = tempfile.gettempdir()
    return usual if len(os.fsencode(usual)) <= LONGEST_FOLDER else "/tmp"
