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
    """Runs `defer`; what it shows is in `text`, with the colours in `raw`.

    `program`: something else, for which it is the controlling terminal too, as for a shell.
    """

    def __init__(
        self, folder: Path, *words: str, columns: int = 80, program: str | None = None, **environment: str
    ) -> None:
        self._master, slave = pty.openpty()
        self.resize(columns)
        self.process = subprocess.Popen(
            [program or DEFER, *words],
            cwd=folder,
            env=clean_environment() | {"TERM": "xterm-256color"} | environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if program else None,
        )
        os.close(slave)
        self.raw = ""

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    @property
    def text(self) -> str:
        return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]|\x07", "", self.raw).replace("\r\n", "\n")

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

    def read_now(self) -> bool:
        """Take what there is, without waiting for a text of its own. Always true."""
        self._read()
        return True

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    @property
    def echoes(self) -> bool:
        """Whether it shows what is typed, line by line, as a shell expects it."""
        modes = termios.tcgetattr(self._master)[3]
        return bool(modes & termios.ECHO and modes & termios.ICANON)

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def wait(self) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._read():
            if time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"it does not end:\n{self.text}")
            if self.process.poll() is not None and not select.select([self._master], [], [], 0)[0]:
                break
        code = self.process.wait(PATIENCE)
        os.close(self._master)
        return code
