"""A terminal's other screen, for what stays and changes. Only what differs is written: nothing flickers."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Sequence
from itertools import zip_longest
from types import FrameType
from typing import Any, TextIO

_ENTER = "\x1b[?1049h\x1b[?25l"  # the other screen, no cursor
_LEAVE = "\x1b[?25h\x1b[?1049l"


class LiveScreen:
    """Use it as a context manager: however the block ends, the terminal is as it was.

    It is left for as long as the process is suspended, too.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._shown: list[str] = []
        self._size = os.terminal_size((0, 0))
        self._keyboard = sys.stdin.fileno() if sys.stdin and sys.stdin.isatty() else None
        self._settings: list[Any] | None = None  # of the terminal, before
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> LiveScreen:
        self._handlers = {
            signal.SIGTERM: signal.signal(signal.SIGTERM, _end),
            signal.SIGTSTP: signal.signal(signal.SIGTSTP, self._suspend),
        }
        self._enter()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._leave()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @property
    def resized(self) -> bool:
        """Whether what is shown was made for another size."""
        return shutil.get_terminal_size() != self._size

    def show(self, lines: Sequence[str]) -> None:
        """Make the screen look like this; what has no room is left out."""
        size = shutil.get_terminal_size()
        written = ""
        if size != self._size:
            self._size, self._shown, written = size, [], "\x1b[2J"
        wanted = list(lines[: size.lines])
        for row, (old, new) in enumerate(zip_longest(self._shown, wanted, fillvalue=""), 1):
            if old != new:
                written += f"\x1b[{row};1H{new}\x1b[K"
        self._shown = wanted
        if written:
            self._out.write(written)
            self._out.flush()

    def wait(self, seconds: float) -> bool:
        """Wait that long; whether a key asked for the end meanwhile."""
        watched = [] if self._keyboard is None else [self._keyboard]
        if not select.select(watched, [], [], seconds)[0]:
            return False
        typed = os.read(watched[0], 64)
        if not typed:  # the terminal is gone
            self._keyboard = None
        return b"q" in typed or b"\x04" in typed

    def _enter(self) -> None:
        if self._keyboard is not None:
            self._settings = termios.tcgetattr(self._keyboard)
            tty.setcbreak(self._keyboard)
        self._size = os.terminal_size((0, 0))
        self._out.write(_ENTER)
        self._out.flush()

    def _leave(self) -> None:
        if self._keyboard is not None and self._settings is not None:
            termios.tcsetattr(self._keyboard, termios.TCSADRAIN, self._settings)
        self._out.write(_LEAVE)
        self._out.flush()

    def _suspend(self, _number: int, _frame: FrameType | None) -> None:
        self._leave()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)  # goes on here when it is continued
        signal.signal(signal.SIGTSTP, self._suspend)
        self._enter()


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
