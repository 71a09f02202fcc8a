"""The worker's end of its channel to the pool."""

from __future__ import annotations

import concurrent.futures
import os
import socket
import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

from defer_client import wire
from defer_client.errors import BackendError
from defer_emulator.runner.frames import (
    LONGEST_JOB,
    ON_CHANNEL,
    Answer,
    CancelRequest,
    Decoder,
    Frame,
    JsonObject,
    Load,
    ProtocolError,
    Request,
    Run,
    decode,
    encode,
)

READER_THREAD = "defer-channel"


class Channel:
    """Frames in and out, and the jobs.

    Jobs are read on the main thread: no hop between threads. The first request to the backend starts a
    thread that reads frames, for answers come while the main thread is busy.
    """

    def __init__(self, end: socket.socket, queue: socket.socket) -> None:
        self._socket = end
        self._socket.setblocking(True)
        self._queue = queue
        self._decoder = Decoder()
        self._sending = threading.Lock()
        self._starting = threading.Lock()
        self._reader: threading.Thread | None = None
        self._long_jobs: SimpleQueue[Run] = SimpleQueue()
        self._waiting: dict[int, concurrent.futures.Future[Any]] = {}
        self._last_request = 0
        self._abandoned = False

    def send(self, frame: Frame) -> None:
        data = encode(frame)
        with self._sending:
            try:
                self._socket.sendall(data)
            except OSError:
                os._exit(0)  # the pool is gone, or the function has closed our socket

    def load(self) -> Load:
        """The first frame of a worker that was not forked."""
        for frame in self._frames():
            if isinstance(frame, Load):
                return frame
            break
        raise ProtocolError("a spawned worker is told first what to load")

    def next_job(self) -> Run:
        """Wait for the next one. Without a pool there is none: the process ends."""
        try:
            data = self._queue.recv(LONGEST_JOB)
        except OSError:
            data = b""
        job = self._long_job() if data == ON_CHANNEL else decode(data) if data else None
        if not isinstance(job, Run):
            os._exit(0)
        return job

    def _long_job(self) -> Run | None:
        if self._reader is not None:
            return self._long_jobs.get()
        for frame in self._frames():
            if isinstance(frame, Run):
                return frame
        return None

    def _frames(self) -> Iterator[Frame]:
        """Until the pool closes its end."""
        while True:
            try:
                data = self._socket.recv(65536)
            except OSError:
                return
            if not data:
                return
            yield from self._decoder.feed(data)

    # --- requests ---------------------------------------------------------------------------

    def request(self, method: str, params: JsonObject) -> tuple[int, concurrent.futures.Future[Any]]:
        """Ask the backend, from any thread. The future ends with the answer or a `DeferError`."""
        if self._abandoned:
            raise BackendError(
                "this process was forked by an execution and cannot use its connection",
                hint="make the call in the function itself, or start the process with `subprocess`",
            )
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        with self._starting:
            self._last_request += 1
            number = self._last_request
            self._waiting[number] = future
            if self._reader is None:
                self._reader = threading.Thread(target=self._read, name=READER_THREAD, daemon=True)
                self._reader.start()
        self.send(Request(request=number, method=method, params=params))
        return number, future

    def cancel(self, number: int) -> None:
        """Nobody waits for the answer to that request any more."""
        if self._waiting.pop(number, None) is not None:
            self.send(CancelRequest(request=number))

    def _read(self) -> None:
        for frame in self._frames():
            match frame:
                case Run():
                    self._long_jobs.put(frame)
                case Answer():
                    self._complete(frame)
                case _:
                    raise ProtocolError(f"a worker does not understand {frame}")
        os._exit(0)

    def _complete(self, answer: Answer) -> None:
        future = self._waiting.pop(answer.request, None)
        if future is None or not future.set_running_or_notify_cancel():
            return
        if answer.error is None:
            future.set_result(answer.result)
        else:
            future.set_exception(wire.error_from_json(answer.error))

    def abandon(self) -> None:
        """In a process that the function has forked: the channel belongs to its parent."""
        self._abandoned = True
        self._socket.close()
        self._queue.close()
