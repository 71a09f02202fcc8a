"""The jobs that a worker has been given and not begun: it takes one after the other, and until it has, each
can be taken back."""

from __future__ import annotations

import socket

from defer_emulator.runner.frames import LONGEST_JOB, ON_CHANNEL, QUEUE_KIND, Run, packet

_ENOUGH = 16  # bytes of a message, to see that there is one


class JobQueue:
    """A socket of which the worker reads one end. This process reads that end too, to take jobs back: each
    message goes to one of the two, whole."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, QUEUE_KIND)
        self._ours.setblocking(False)

    def workers_end(self) -> int:
        """A descriptor for the fork server."""
        return self._theirs.dup().detach()

    def put(self, run: Run) -> bool:
        """Give it to the worker. False: it is too long for a message and must follow through the channel.

        Raises `OSError` when there is no room.
        """
        data = packet(run)
        fits = len(data) <= LONGEST_JOB
        self._ours.send(data if fits else ON_CHANNEL)
        return fits

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
