"""A command as a child: it gets our signals, and its end becomes ours."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
FROM_KEYS = (signal.SIGINT, signal.SIGQUIT)  # a terminal sends these to the child itself
DEADLY = (signal.SIGTERM, signal.SIGHUP)
BY_SIGNAL = 128  # what shells add to a signal's number


class Child:
    """Runs one command."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []  # signals that came before it was there
        self.was_told_to_end = False  # by somebody who will not wait long

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """Its exit code, as a shell would give it: 128 + n for the signal n.

        Raises `OSError` when it cannot be started.
        """
        with self._forwarding():
            self._process = subprocess.Popen(command, env=environment)
            for number in self._early:
                self._process.send_signal(number)
            code = self._process.wait()
        return code if code >= 0 else BY_SIGNAL - code

    @contextlib.contextmanager
    def _forwarding(self) -> Iterator[None]:
        before = {number: signal.getsignal(number) for number in FORWARDED}
        for number in FORWARDED:
            if before[number] != signal.SIG_IGN:  # nohup, for one: the child ignores it too
                signal.signal(number, self._forward)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        self.was_told_to_end |= number in DEADLY
        if number in FROM_KEYS and _in_front_of_a_terminal():
            return
        if self._process is None:
            self._early.append(number)
        else:
            self._process.send_signal(number)


def _in_front_of_a_terminal() -> bool:
    for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            assert stream is not None
            return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    return False
