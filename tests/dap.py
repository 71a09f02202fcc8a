"""A debugger in few lines: the client's side of the Debug Adapter Protocol, as an editor speaks it."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

PATIENCE = 20.0  # seconds


class Debugger:
    """Attached to a process that `debugpy` listens in. Use it as a context manager."""

    def __init__(self, port: int) -> None:
        self._socket = _connected(port)
        self._file = self._socket.makefile("rb")
        self._sequence = 0
        self.events: list[dict[str, Any]] = []

    def attach(self, breakpoints: dict[Path, list[int]]) -> None:
        """Set breakpoints by file and lines, and let the process go."""
        self.request("initialize", {"adapterID": "debugpy", "pathFormat": "path"})
        attaching = self._send("attach", {"justMyCode": True, "restart": True})
        self.wait_for("initialized")
        for file, lines in breakpoints.items():
            where = {"source": {"path": str(file)}, "breakpoints": [{"line": line} for line in lines]}
            answer = self.request("setBreakpoints", where)
            assert all(one["verified"] for one in answer["breakpoints"]), answer
        self.request("configurationDone", {})
        self._answer_to(attaching)

    def stopped(self) -> dict[str, Any]:
        """Wait until it stands somewhere; the innermost frame."""
        event = self.wait_for("stopped")
        self.thread = event["body"]["threadId"]
        trace = self.request("stackTrace", {"threadId": self.thread})
        frame: dict[str, Any] = trace["stackFrames"][0]
        return frame

    def evaluate(self, expression: str, frame: dict[str, Any]) -> str:
        where = {"expression": expression, "frameId": frame["id"]}
        result: str = self.request("evaluate", where)["result"]
        return result

    def go_on(self) -> None:
        self.request("continue", {"threadId": self.thread})

    def request(self, command: str, arguments: dict[str, Any]) -> Any:
        return self._answer_to(self._send(command, arguments))

    def wait_for(self, event: str) -> dict[str, Any]:
        while True:
            for seen in self.events:
                if seen["event"] == event:
                    self.events.remove(seen)
                    return seen
            self._receive()

    def _send(self, command: str, arguments: dict[str, Any]) -> int:
        self._sequence += 1
        message = {"seq": self._sequence, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(message).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        return self._sequence

    def _answer_to(self, sequence: int) -> Any:
        while True:
            message = self._receive()
            if message["type"] == "response" and message["request_seq"] == sequence:
                assert message["success"], message
                return message.get("body")

    def _receive(self) -> dict[str, Any]:
        length = 0
        while line := self._file.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name == b"Content-Length" else length
        assert length, "the debugged process has closed the connection"
        message: dict[str, Any] = json.loads(self._file.read(length))
        if message["type"] == "event":
            self.events.append(message)
        return message

    def __enter__(self) -> Debugger:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()
        self._socket.close()


def _connected(port: int) -> socket.socket:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
