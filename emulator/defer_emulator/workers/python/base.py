"""The base fork server: one in each emulator's life. It holds what every worker needs, already imported."""

from __future__ import annotations

import asyncio  # noqa: F401 - preloaded, as the next ones: a fork shares them
import concurrent.futures.thread  # noqa: F401
import faulthandler
import logging  # noqa: F401
import random  # noqa: F401
import socket
import subprocess  # noqa: F401
import threading  # noqa: F401
import traceback  # noqa: F401
from typing import NoReturn

from defer_emulator.workers.python import generation
from defer_emulator.workers.python.fork_server import OF_GENERATION, ForkServer


def main(descriptor: int) -> NoReturn:
    """Serve the socket with that number until its other end is gone."""
    faulthandler.enable()  # a crash in C code leaves its traceback in the attempt's log
    ForkServer(socket.socket(fileno=descriptor), generation.main, OF_GENERATION).serve()
