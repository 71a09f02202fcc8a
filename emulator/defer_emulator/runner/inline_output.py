"""What attempts in this process print: it goes where it goes, and into their logs too."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from defer_emulator.runner.inline import current_attempt
from defer_emulator.runner.output import Stream


class _Copying(io.TextIOBase):
    """A stream of another one, which gives a copy to the attempt that writes."""

    def __init__(self, stream: TextIO, name: Stream) -> None:
        self._stream = stream
        self._name = name

    def write(self, text: str) -> int:
        written = self._stream.write(text)
        attempt = current_attempt()
        if attempt is not None:
            attempt.printed(self._name, text)
        return written

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        """The stream behind it belongs to others."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("write", "writelines", "flush", "close", "_stream", "_name", "__class__"):
            return object.__getattribute__(self, name)
        return getattr(object.__getattribute__(self, "_stream"), name)


@contextmanager
def copied_output() -> Iterator[None]:
    """What attempts print in the block is in their logs."""
    before = sys.stdout, sys.stderr
    copies = _Copying(sys.stdout, "stdout"), _Copying(sys.stderr, "stderr")
    sys.stdout, sys.stderr = copies
    try:
        yield
    finally:
        if (sys.stdout, sys.stderr) == copies:
            sys.stdout, sys.stderr = before
