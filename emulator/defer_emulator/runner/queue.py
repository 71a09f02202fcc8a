"""The jobs that a worker has been given and not begun: it takes one after the other, and until it has, each
can be taken back."""

from __future__ import annotations

import errno
import os
import socket

from defer_emulator.runner.frames import LONGEST_JOB, QUEUE_KIND

_ENOUGH = 16  # bytes of a message, to see that there is one


class JobQueue:
    """A socket of which the worker reads one end. This process reads that end too, to take jobs back: each
    message goes to one of the two, whole."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, QUEUE_KIND)
        self._ours.setblocking(False)

    def workers_end(self) -> socket.socket:
        """For the fork server."""
        return self._theirs.dup()

    def put(self, message: bytes) -> None:
        """Give it to the worker: a job, or the word that one comes through the channel.

        Raises `OSError` when there is no room, or when the message is too long.
        """
        if len(message) > LONGEST_JOB:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        self._ours.send(message)

    def take_back(self) -> int:
        """Remove what the worker has not begun: how many, always the latest ones."""
        count = 0
        try:
            # Their end blocks, for the worker's sake.
            while self._theirs.recv(_ENOUGH, socket.MSG_DONTWAIT):
                count += 1
        except OSError:  # nothing more
            pass
        return count

    def close(self) -> None:
        """The worker sees the end, after what it was given."""
        self._ours.close()
        self._theirs.close()
