"""A command in a pseudo-terminal of a given width."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

from tests.projects import DEFER, PATIENCE, clean_environment


class Terminal:
    """Runs `defer`; what it shows is in `text`, with the colours in `raw`."""

    def __init__(self, folder: Path, *words: str, columns: int = 80, **environment: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.process = subprocess.Popen(
            [DEFER, *words],
            cwd=folder,
            env=clean_environment() | {"TERM": "xterm-256color"} | environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.raw = ""

    @property
    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", self.raw).replace("\r\n", "\n")

    def _read(self) -> bool:
        """Take what has come; False at the end."""
        if not select.select([self._master], [], [], 0.05)[0]:
            return True
        try:
            found = os.read(self._master, 65_536)
        except OSError:
            return False
        self.raw += found.decode()
        return bool(found)

    def shows(self, text: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while text not in self.text:
            assert time.monotonic() < deadline, f"{text!r} is not in:\n{self.text}"
            assert self._read(), f"ended without {text!r}:\n{self.text}"

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def wait(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            if self.process.poll() is not None and not select.select([self._master], [], [], 0)[0]:
                break
        code = self.process.wait(PATIENCE)
        os.close(self._master)
        return code
