"""One load of the project's code: imported once, then forked into workers."""

from __future__ import annotations

import socket
from typing import NoReturn

from defer_emulator.runner.frames import Decoder, Described, Importing, Load, ProtocolError, encode
from defer_emulator.workers.python import worker
from defer_emulator.workers.python.describe import describe, problem, python_version
from defer_emulator.workers.python.environment import prepare
from defer_emulator.workers.python.fork_server import OF_WORKER, ForkServer
from defer_emulator.workers.python.printing import flush


def main(control: socket.socket) -> NoReturn:
    """Import what the pool asks for, say what it was, and serve forks of it."""
    load = _receive(control)
    described = _load(load, control)
    flush()  # the imports may have closed or replaced the streams
    control.sendall(encode(described))
    ForkServer(control, lambda channel, jobs: worker.forked(channel, jobs, load), OF_WORKER).serve()


def _receive(control: socket.socket) -> Load:
    decoder = Decoder()
    while data := control.recv(65536):
        for frame in decoder.feed(data):
            if isinstance(frame, Load):
                return frame
    raise ProtocolError("a generation is told first what to load")


def _load(load: Load, control: socket.socket) -> Described:
    def announce(file: str) -> None:
        control.sendall(encode(Importing(file=file)))

    announce("")
    try:
        prepare(load)
    except BaseException as error:  # nothing can be imported without it
        said = problem(error, load.root, "")
        if load.setup:
            said["message"] = f"setup {load.setup} failed: {said['message']}"
        problems = [
            {**said, "source": file, "function": name, "file": said["file"] or file}
            for _, file, name in load.modules
        ]
        return Described(
            functions=[], problems=problems, modules=[], unforkable=None, python=python_version()
        )
    return describe(load, announce)
