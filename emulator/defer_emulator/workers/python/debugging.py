"""Attaching a debugger to one execution. `debugpy` is the project's own: it is imported for that alone."""

from __future__ import annotations

import os
import socket
import sys
import time
from typing import Any

_FREE_WITHIN = 10.0  # seconds for the debugger of the execution before to leave the port
_GOODBYE = 0.15  # seconds for the debugger to hear that it is over
_PAUSE = 0.02  # seconds


def wait_for_debugger(port: int) -> None:
    """Listen, and return when a debugger has attached and has set its breakpoints.

    Raises `ModuleNotFoundError` without debugpy, `RuntimeError` when the port stays taken.
    """
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # a warning in every log otherwise
    import debugpy

    address = ("127.0.0.1", port)
    _wait_until_free(address)
    sys.stderr.write(f"defer: waiting for a debugger to attach to 127.0.0.1:{port}\n")
    debugpy.listen(address)
    debugpy.wait_for_client()


def say_goodbye() -> None:
    """Tell the debugger that this process ends, so that it can wait for the next one."""
    pydevd: Any = sys.modules.get("pydevd")
    if pydevd is not None:
        try:
            pydevd.stoptrace()
        except Exception:  # it is not ours, and the process ends anyway
            pass
        time.sleep(_GOODBYE)


def _wait_until_free(address: tuple[str, int]) -> None:
    deadline = time.monotonic() + _FREE_WITHIN
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
                return
            except OSError as error:
                if time.monotonic() > deadline:
                    raise RuntimeError(
                        f"no debugger can attach to 127.0.0.1:{address[1]}: {os.strerror(error.errno or 0)}"
                    ) from None
        time.sleep(_PAUSE)
