"""Debugging executions in workers: which port, and whether the project's Python can."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence

from defer_client.errors import Conflict, DeferError

FIRST_PORT = 5678  # what the documentation of debugpy uses, and so the settings of many editors
HOST = "127.0.0.1"
_LOOKED_AT = 100  # ports


class DebuggerMissing(DeferError):
    """The project's Python has no debugger that one could attach to."""

    code = "workers_unavailable"


class DebugPortTaken(Conflict):
    code = "port_taken"


def require_debugger(python: str) -> None:
    """Raises `DebuggerMissing` unless that interpreter has debugpy."""
    look = "import importlib.util, sys; sys.exit(importlib.util.find_spec('debugpy') is None)"
    found = subprocess.run([python, "-c", look], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if found.returncode != 0:
        raise DebuggerMissing(
            f"the project's Python ({python}) has no debugpy, which --debug needs",
            hint=f"install it there: {python} -m pip install debugpy; or debug one execution in your"
            " terminal: defer run NAME --debug",
        )


def debug_ports(functions: Sequence[str], first: int | None) -> dict[str, int]:
    """A port for each function. One that was asked for must be free; else the next free ones are taken.

    Raises `DebugPortTaken`.
    """
    ports: dict[str, int] = {}
    port = FIRST_PORT if first is None else first
    for name in dict.fromkeys(functions):
        while not _is_free(port):
            if first is not None or port >= FIRST_PORT + _LOOKED_AT:
                raise DebugPortTaken(
                    f"port {port} is taken, so no debugger could attach there",
                    hint="choose another one with --debug-port",
                )
            port += 1
        ports[name] = port
        port += 1
    return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError):
            return False
    return True
