"""One end of a socket that carries frames, in the emulator's event loop."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
import termios
from collections import deque
from collections.abc import Callable, Sequence

from defer_emulator.runner.frames import Decoder, Frame, ProtocolError, encode

_READ = 32 * 1024  # bytes; a buffer beyond malloc's 128 KiB would be mapped anew for each frame


class Connection:
    """Sends and receives frames. Never blocks: what the other side does not read yet is kept.

    `on_frame` gets each frame; `on_end` is called once, when the other side is gone or speaks another
    language.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        end: socket.socket,
        on_frame: Callable[[Frame], None],
        on_end: Callable[[], None],
    ) -> None:
        end.setblocking(False)
        self._loop = loop
        self._socket: socket.socket | None = end
        self._descriptor = end.fileno()
        self._on_frame = on_frame
        self._on_end = on_end
        self._decoder = Decoder()
        self._is_waiting = False  # for the socket to take more
        self._unsent: deque[tuple[bytes | memoryview, Sequence[int]]] = deque()
        loop.add_reader(self._descriptor, self._read)

    def send(self, frame: Frame, descriptors: Sequence[int] = ()) -> None:
        """Send a frame. The descriptors travel with it, and are closed here. Nothing after the end."""
        if self._socket is None:
            _close(descriptors)
            return
        self._unsent.append((encode(frame), descriptors))
        if len(self._unsent) == 1:
            self._write()

    def has_unread(self) -> bool:
        """Whether something has come that nobody has looked at."""
        return self._socket is not None and readable(self._descriptor) > 0

    def drain(self) -> None:
        """Take the frames that are here already: the last words of a process that is gone."""
        while self._read():
            pass

    def close(self) -> None:
        """The other side sees the end. Nothing is called any more."""
        if self._socket is None:
            return
        self._loop.remove_reader(self._descriptor)
        self._loop.remove_writer(self._descriptor)
        self._socket.close()
        self._socket = None
        for _, descriptors in self._unsent:
            _close(descriptors)
        self._unsent.clear()

    def _write(self) -> None:
        while self._unsent and self._socket is not None:
            data, descriptors = self._unsent[0]
            try:
                if descriptors:
                    sent = socket.send_fds(self._socket, [data], descriptors)
                else:
                    sent = self._socket.send(data)
            except BlockingIOError:
                self._is_waiting = True
                self._loop.add_writer(self._descriptor, self._write)
                return
            except OSError:
                self._end()
                return
            _close(descriptors)
            if sent == len(data):
                self._unsent.popleft()
            else:
                self._unsent[0] = (memoryview(data)[sent:], ())
        if self._is_waiting and self._socket is not None:
            self._is_waiting = False
            self._loop.remove_writer(self._descriptor)

    def _read(self) -> bool:
        """Whether there was something."""
        if self._socket is None:
            return False
        try:
            data = self._socket.recv(_READ)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        try:
            for frame in self._decoder.feed(data):
                self._on_frame(frame)
        except ProtocolError:
            data = b""
        if not data:
            self._end()
        return bool(data)

    def _end(self) -> None:
        if self._socket is not None:
            self.close()
            self._loop.call_soon(self._on_end)  # never inside a `send`


def readable(descriptor: int) -> int:
    """How many bytes wait in a socket or a pipe."""
    answer = fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0")
    return int(struct.unpack("i", answer)[0])


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
