"""A process that forks others on demand, reaps them and ends what they leave behind.

The base forks generations (one for each load of the project's code), a generation forks workers. Both are
this class; they differ in what their children do.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from typing import NoReturn

from defer_emulator.runner.frames import Decoder, Exited, Fork, Forked, ForkFailed, Frame, Kill, Spawn, encode
from defer_emulator.workers import tree
from defer_emulator.workers.python.printing import flush

_MAIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")
OF_GENERATION = 3  # descriptors: channel, stdout, stderr
OF_WORKER = 4  # and where it takes its jobs from

Child = Callable[..., object]
"""What the new process runs, with its channel and, if it is a worker, its jobs: sockets."""


class ForkServer:
    """Serves one control socket. When its other end is gone, everything below this process is ended."""

    def __init__(self, control: socket.socket, child: Child, descriptors: int) -> None:
        """`descriptors` is how many a child is given."""
        self._control = control
        self._child = child
        self._count = descriptors
        self._pids: dict[int, int] = {}  # number → pid
        self._own = frozenset(tree.children(os.getpid()))  # what the project's imports have started
        self._descriptors: list[int] = []  # received, not yet used
        self._decoder = Decoder()
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._waker.setblocking(False)

    def serve(self) -> NoReturn:
        tree.become_subreaper()
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only for the wake-up: a default one is not delivered
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        gc.freeze()  # children share these pages; a collection would copy them
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._wake.fileno() in ready:
                self._wake.recv(4096)
                self._reap()
            if self._control.fileno() in ready:
                self._receive()

    def _receive(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, 65536, 64)
        except ConnectionError:
            data, descriptors = b"", []
        if not data:
            self._end()
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        self._descriptors += descriptors
        for frame in self._decoder.feed(data):
            self._obey(frame)

    def _obey(self, frame: Frame) -> None:
        match frame:
            case Fork(number=number):
                self._start(number, self._child, self._count)
            case Spawn(number=number):
                self._start(number, _execute_worker, OF_WORKER)
            case Kill(number=number):
                if number in self._pids:  # our child until it is reaped: the pid cannot be another's
                    tree.kill(self._pids[number])
            case _:
                raise AssertionError(f"a fork server does not understand {frame}")

    def _start(self, number: int, enter: Child, count: int) -> None:
        mine, self._descriptors = self._descriptors[:count], self._descriptors[count:]
        me = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            self._send(ForkFailed(number=number, message=str(error)))
        else:
            if pid == 0:
                self._leave_parent(me, mine, enter)
            self._pids[number] = pid
            self._send(Forked(number=number, pid=pid))
        for descriptor in mine:
            os.close(descriptor)

    def _leave_parent(self, parent: int, descriptors: list[int], enter: Child) -> NoReturn:
        """In the new child: keep nothing of the server, take the descriptors, and never return to it."""
        try:
            os.setsid()  # no signal of a terminal, and a kill of its own
            tree.die_with_parent(parent)
            tree.become_subreaper()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for end in (self._control, self._wake, self._waker):
                end.close()
            channel, out, err, *more = descriptors
            for source, target in ((out, 1), (err, 2)):
                os.dup2(source, target)
                os.close(source)
            enter(*[socket.socket(fileno=end) for end in (channel, *more)])
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            flush()
            os._exit(1)

    def _reap(self) -> None:
        gone: list[Exited] = []
        for number, pid in tuple(self._pids.items()):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                del self._pids[number]
                gone.append(Exited(number=number, status=os.waitstatus_to_exitcode(status)))
        tree.end_children(keep={*self._pids.values(), *self._own})
        for frame in gone:
            self._send(frame)

    def _send(self, frame: Frame) -> None:
        try:
            self._control.sendall(encode(frame))
        except ConnectionError:
            self._end()

    def _end(self) -> NoReturn:
        tree.end_children()
        os._exit(0)


def _execute_worker(channel: socket.socket, jobs: socket.socket) -> None:
    """Become a fresh interpreter that runs `worker.spawned`."""
    for end in (channel, jobs):
        os.set_inheritable(end.fileno(), True)
    os.execv(sys.executable, [sys.executable, _MAIN, "worker", str(channel.fileno()), str(jobs.fileno())])
