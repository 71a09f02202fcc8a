"""What an attempt prints: bytes from two pipes become lines of its log, within a limit."""

from __future__ import annotations

import codecs
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Literal

from defer_emulator.domain.work import LogChunk

Stream = Literal["stdout", "stderr"]

LONGEST_LINE = 64 * 1024  # characters
HEAD = 5 * 1024 * 1024  # bytes of an attempt's output that are kept from its beginning
TAIL = 5 * 1024 * 1024  # and from its end


class LineSplitter:
    """Cuts UTF-8 into lines. What is no UTF-8 becomes U+FFFD; a line that is too long becomes several."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    def feed(self, data: bytes) -> list[str]:
        """The lines that are complete now."""
        *lines, self._rest = (self._rest + self._decoder.decode(data)).split("\n")
        found = [piece for line in lines for piece in _pieces(line.removesuffix("\r"))]
        while len(self._rest) > LONGEST_LINE:
            found.append(self._rest[:LONGEST_LINE])
            self._rest = self._rest[LONGEST_LINE:]
        return found

    def finish(self) -> list[str]:
        """The last line, when it has no end."""
        rest, self._rest = self._rest + self._decoder.decode(b"", final=True), ""
        self._decoder.reset()
        return list(_pieces(rest)) if rest else []


def _pieces(line: str) -> list[str]:
    return [line[start : start + LONGEST_LINE] for start in range(0, len(line) or 1, LONGEST_LINE)]


@dataclass(slots=True)
class _Held:
    """Bytes of the tail that have not become lines yet."""

    stream: Stream
    time: int
    data: bytearray


class AttemptOutput:
    """The output of one attempt.

    The first `HEAD` bytes become lines at once. What follows is held back, its last `TAIL` bytes at
    most, until the attempt ends: only then is it known what the middle is.
    """

    def __init__(self, sequence: int, attempt: int) -> None:
        self._sequence = sequence
        self._attempt = attempt
        self._splitters: defaultdict[Stream, LineSplitter] = defaultdict(LineSplitter)
        self._room = HEAD
        self._tail: deque[_Held] = deque()
        self._tail_size = 0
        self._cut = 0  # bytes

    def feed(self, stream: Stream, data: bytes, now: int) -> list[LogChunk]:
        """The lines that can be stored now."""
        head, rest = data[: self._room], data[self._room :]
        self._room -= len(head)
        if rest:
            self._hold(stream, rest, now)
        if not head:
            return []
        return [self._chunk(stream, line, now) for line in self._splitters[stream].feed(head)]

    def finish(self, now: int) -> list[LogChunk]:
        """The attempt has ended: all that is left."""
        chunks: list[LogChunk] = []
        if self._cut:
            chunks += self._flush(now)
            kept = (HEAD + TAIL) // (1024 * 1024)
            said = f"… {self._cut:,} bytes are left out here: the log of an attempt holds {kept} MiB"
            chunks.append(self.system(said, now))
        for held in self._tail:
            lines = self._splitters[held.stream].feed(bytes(held.data))
            chunks += [self._chunk(held.stream, line, held.time) for line in lines]
        self._tail.clear()
        return chunks + self._flush(now)

    def system(self, message: str, now: int) -> LogChunk:
        """A line of ours in the attempt's log."""
        return LogChunk(
            sequence=self._sequence, attempt=self._attempt, time=now, stream="system", message=message
        )

    def _hold(self, stream: Stream, data: bytes, now: int) -> None:
        last = self._tail[-1] if self._tail else None
        if last is not None and last.stream == stream and len(last.data) < LONGEST_LINE:
            last.data += data
        else:
            self._tail.append(_Held(stream, now, bytearray(data)))
        self._tail_size += len(data)
        while self._tail_size > TAIL:
            excess = self._tail_size - TAIL
            first = self._tail[0]
            if len(first.data) <= excess:
                self._tail.popleft()
                excess = len(first.data)
            else:
                del first.data[:excess]
            self._cut += excess
            self._tail_size -= excess

    def _flush(self, now: int) -> list[LogChunk]:
        return [
            self._chunk(stream, line, now)
            for stream, splitter in self._splitters.items()
            for line in splitter.finish()
        ]

    def _chunk(self, stream: Stream, line: str, now: int) -> LogChunk:
        return LogChunk(sequence=self._sequence, attempt=self._attempt, time=now, stream=stream, message=line)
