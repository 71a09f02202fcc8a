"""The socket on which writers of the project's file tell the scheduler that there is something to do."""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

FOLDER_PREFIX = "defer-"
BURST = 64  # datagrams read in one go: one tick answers them all


class WakeSocket:
    """A datagram socket in a private temporary folder: paths of sockets may have 100 characters at most,
    those of projects may have more."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
        self.path = self._folder / "wake"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self._socket.bind(str(self.path))

    def listen(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the running event loop after each burst of datagrams."""
        asyncio.get_running_loop().add_reader(self._socket, self._read, callback)

    def _read(self, callback: Callable[[], None]) -> None:
        for _ in range(BURST):
            try:
                self._socket.recv(16)
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
    if folder.name.startswith(FOLDER_PREFIX) and folder.parent == Path(tempfile.gettempdir()):
        shutil.rmtree(folder, ignore_errors=True)
