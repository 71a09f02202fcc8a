"""Single keys from the terminal, while an event loop runs."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import sys
import termios
from collections.abc import Callable
from typing import Any

LOOK_AGAIN = 1.0  # seconds until a process in the background looks whether it is in front
STOPS = (signal.SIGTSTP, signal.SIGQUIT)  # what would leave the terminal as it is
MODES = 3  # the place of the local modes in what termios gives
CODES = 6  # that of the control characters


def has_keyboard() -> bool:
    """Whether a person sits at both ends."""
    return bool(sys.stdin and sys.stdin.isatty() and sys.stdout and sys.stdout.isatty())


class Keyboard:
    """Calls `on_key` with each key, without echo and without waiting for the end of a line.

    Only a process in the foreground may do so: the system stops any other that reads from its terminal
    or changes it. Ctrl-C and Ctrl-Z stay what they are. Whatever ends the process, short of SIGKILL,
    leaves the terminal as it was.
    """

    def __init__(self, on_key: Callable[[str], None]) -> None:
        self._on_key = on_key
        self._file = sys.stdin.fileno()
        self._saved: list[Any] | None = None  # the terminal's modes before ours
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> None:
        """Call it in the loop's thread."""
        self._loop = asyncio.get_running_loop()
        for number in STOPS:
            self._loop.add_signal_handler(number, self._stop, number)
        self._loop.add_signal_handler(signal.SIGCONT, self._resume)
        self._resume()

    def close(self) -> None:
        """Give the terminal back. May be called twice, and without a loop."""
        self._release()
        if self._loop is not None and not self._loop.is_closed():
            for number in (*STOPS, signal.SIGCONT):
                self._loop.remove_signal_handler(number)
        self._loop = None

    def _in_front(self) -> bool:
        try:
            return os.tcgetpgrp(self._file) == os.getpgrp()
        except OSError as error:  # a terminal that controls nobody stops nobody
            return error.errno == errno.ENOTTY

    def _resume(self) -> None:
        if self._loop is None or self._saved is not None:
            return
        if not self._in_front():
            self._loop.call_later(LOOK_AGAIN, self._resume)
            return
        try:
            self._saved = termios.tcgetattr(self._file)
            modes = termios.tcgetattr(self._file)
            modes[MODES] &= ~(termios.ECHO | termios.ICANON)
            modes[CODES][termios.VMIN], modes[CODES][termios.VTIME] = 1, 0
            termios.tcsetattr(self._file, termios.TCSANOW, modes)
        except termios.error:
            return
        blocks = os.get_blocking(self._file)
        self._loop.add_reader(self._file, self._read)
        # An event loop may change that, for all who share the terminal: what we print would get lost.
        os.set_blocking(self._file, blocks)

    def _release(self) -> None:
        saved, self._saved = self._saved, None
        if saved is None:
            return
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._file)
        if self._in_front():
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._file, termios.TCSANOW, saved)

    def _stop(self, number: signal.Signals) -> None:
        """Ctrl-Z, or a signal that ends the process: do what it says, but tidy up first."""
        assert self._loop is not None
        self._release()
        self._loop.remove_signal_handler(number)
        os.kill(os.getpid(), number)
        # Only after Ctrl-Z does it go on here, when somebody continues the process.
        self._loop.add_signal_handler(number, self._stop, number)
        self._resume()

    def _read(self) -> None:
        if not self._in_front():
            self._saved = None  # the shell has set its own modes meanwhile
            assert self._loop is not None
            self._loop.remove_reader(self._file)
            self._loop.call_later(LOOK_AGAIN, self._resume)
            return
        try:
            text = os.read(self._file, 1_024).decode(errors="replace")
        except OSError:
            text = ""
        if not text:  # the terminal is gone
            self._release()
        keys = set(text.rstrip("\r\n") or text)
        if len(keys) == 1:  # neither pasted text nor the several characters of an arrow key
            self._on_key(keys.pop())
