"""What a command shows, on a terminal of some width or in a pipe."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from defer_cli.main import run
from tests.projects import DEFER

ROOT = "/srv/shop"  # stands in the screens for the folder of the project
ROWS = 50
SAME_FOR_ALL = {"PATH": "/usr/bin:/bin", "HOME": "/home/ada", "TERM": "xterm-256color", "LANG": "C.UTF-8"}


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Where a command is run. `columns`: of its terminal; None: its output goes into pipes."""

    name: str
    columns: int | None = 80
    environment: Mapping[str, str | None] = field(default_factory=dict)  # None: not set

    def environ(self) -> dict[str, str]:
        merged = {**SAME_FOR_ALL, "NO_COLOR": "1", **self.environment}
        return {name: value for name, value in merged.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Screen:
    """`text`: what a terminal was sent, or stdout; `notes`: what went to stderr through a pipe."""

    text: str
    notes: str
    code: int

    def __str__(self) -> str:
        parts = [self.text]
        if self.notes:
            parts.append(f"[stderr]\n{self.notes}")
        if self.code:
            parts.append(f"[exit code {self.code}]\n")
        return "".join(parts)


Start = Callable[[Sequence[str], Path, Mapping[str, str], tuple[int, int, int]], Callable[[], int]]


def record(words: Sequence[str], root: Path, where: Surroundings, start: Start) -> Screen:
    """Run a command to its end in the project at `root`."""
    if where.columns is None:
        pipes = os.pipe(), os.pipe()
        ends = [reading for reading, _ in pipes]
        given = os.open(os.devnull, os.O_RDWR), pipes[0][1], pipes[1][1]
    else:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, where.columns, 0, 0))
        ends, given = [master], (slave, slave, slave)
    wait = start(words, root, where.environ(), given)
    for number in set(given):
        os.close(number)
    text, *notes = (_clean(_read(end), root) for end in ends)
    return Screen(text=text, notes="".join(notes), code=wait())


def _read(number: int) -> str:
    """All of it. Commands write too little to fill the second pipe meanwhile."""
    found = b""
    with suppress(OSError):  # a terminal whose other side was closed
        while chunk := os.read(number, 65_536):
            found += chunk
    os.close(number)
    return found.decode()


def _clean(text: str, root: Path) -> str:
    """Readable, and without what differs from machine to machine."""
    text = text.replace("\r\n", "\n").replace(str(root), ROOT)
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", lambda found: f"\\x{ord(found[0]):02x}", text)


def forked(
    words: Sequence[str], root: Path, environment: Mapping[str, str], given: tuple[int, int, int]
) -> Callable[[], int]:
    """The command in a child of this very process: all modules are there already."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            for number, wanted in enumerate(given):
                os.dup2(wanted, number)
            os.chdir(root)
            os.environ.clear()
            os.environ.update(environment)
            encoding = environment.get("PYTHONIOENCODING", "utf-8")
            sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), encoding=encoding)
            sys.stdout, sys.stderr = (
                io.TextIOWrapper(
                    io.FileIO(number, "w", closefd=False),
                    encoding=encoding,
                    line_buffering=os.isatty(number) or number == 2,
                )
                for number in (1, 2)
            )
            code = run(words)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    return lambda: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def installed(
    words: Sequence[str], root: Path, environment: Mapping[str, str], given: tuple[int, int, int]
) -> Callable[[], int]:
    """The command as a person runs it."""
    stdin, stdout, stderr = given
    process = subprocess.Popen(
        [DEFER, *words], cwd=root, env=dict(environment), stdin=stdin, stdout=stdout, stderr=stderr
    )
    return lambda: process.wait(60)
