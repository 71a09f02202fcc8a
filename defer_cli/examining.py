"""What `defer doctor` looks at: a generator of findings for each part of the machine and the project."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sqlite3
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from defer_cli.importing import check
from defer_cli.session import Session
from defer_cli.text import duration
from defer_client import __version__
from defer_client.errors import DeferError
from defer_emulator.lock import ProjectLock
from defer_emulator.presence import Presence, is_alive, read_presence
from defer_emulator.project.check import check_project
from defer_emulator.store.database import OLDEST_SQLITE

MINIMUM_PYTHON = (3, 10)
ANSWER_WITHIN = 2.0  # seconds
NAMES = ("DF011", "DF012", "DF013", "DF020", "DF021")  # an import of a function would give something else
LARGE_WAL = 512_000_000  # bytes
LITTLE_SPACE = 100_000_000  # bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A part that was looked at. `fix` is "" where it is fit."""

    name: str
    ok: bool
    message: str
    fix: str = ""


def examine(session: Session) -> Iterator[Finding]:
    """All parts, one after the other. Raises nothing: what cannot be looked at is told once."""
    told: set[str] = set()
    for name, look in PARTS.items():
        try:
            yield from look(session)
            continue
        except DeferError as error:
            message, fix = error.message, error.hint
        except (OSError, sqlite3.Error) as error:
            message, fix = str(error), ""
        if message not in told:  # without a project, little else can be looked at
            told.add(message)
            yield _problem(name, message, fix or "look at what the message names")


def _fit(name: str, message: str) -> Finding:
    return Finding(name=name, ok=True, message=message)


def _problem(name: str, message: str, fix: str) -> Finding:
    return Finding(name=name, ok=False, message=message, fix=fix)


# --- the machine ------------------------------------------------------------------------------


def _python(_session: Session) -> Iterator[Finding]:
    message = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info >= MINIMUM_PYTHON:
        yield _fit("python", message)
    else:
        yield _problem("python", message, "install Python 3.10 or later")


def _sqlite(_session: Session) -> Iterator[Finding]:
    if sqlite3.sqlite_version_info >= OLDEST_SQLITE:
        yield _fit("sqlite", sqlite3.sqlite_version)
    else:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        yield _problem("sqlite", sqlite3.sqlite_version, f"{oldest} or later is needed: take a newer Python")


# --- the project ------------------------------------------------------------------------------


def _project(session: Session) -> Iterator[Finding]:
    yield _fit("project", str(session.root))


def _config(session: Session) -> Iterator[Finding]:
    session.config  # noqa: B018 (reading it is the check)
    files = (session.root / "defer.toml", session.root / "pyproject.toml")
    used = [file.name for file in files if file.is_file() and _has_settings(file)]
    yield _fit("config", f"{used[0]} can be read" if used else "no settings: the defaults hold")


def _has_settings(file: Path) -> bool:
    return file.name == "defer.toml" or b"[tool.defer" in file.read_bytes()


def _folder(session: Session) -> Iterator[Finding]:
    static = check_project(session.root, session.config)
    folders = ", ".join(folder.relative_to(session.root).as_posix() for folder in static.project.folders)
    several = next((found for found in static.diagnostics if found.code == "DF010"), None)
    if several is None:
        yield _fit("folder", folders)
    else:
        yield _problem("folder", f"two folders hold functions: {folders}", several.fix)
    shadowed = [found for found in static.diagnostics if found.code in NAMES]
    for found in shadowed:
        yield _problem("names", f"{found.place}: {found.message}", found.fix)
    if not shadowed:
        yield _fit("names", "nothing shadows the functions")


def _workers(session: Session) -> Iterator[Finding]:
    """Imports the project in a worker's Python and starts one, as `defer dev` would."""
    result = check(session, start_worker=True)
    python = session.interpreter.described(session.root, result.python)
    yield _fit("workers", f"one was started with {python} ({session.config.worker_start})")
    errors = len({found.file for found in result.diagnostics if found.severity == "error"})
    count = len(result.project.files)
    message = f"{count} file{'s' * (count != 1)}"
    if errors:
        yield _problem("functions", f"{message}, errors in {errors}", "see them with: defer check")
    else:
        yield _fit("functions", message)


# --- its file ---------------------------------------------------------------------------------


def _file(session: Session) -> Iterator[Finding]:
    if session.endpoint:
        return  # calls do not go there
    path = session.root / ".defer" / "state.db"
    if not path.exists():
        yield _fit("file", "none yet; it is made with the first call or defer dev")
        yield _fit("clock", "real time")
        return
    status = session.call(session.operations.clock())  # opens it, with its version and schema
    yield _state_of_file(path)
    offset = status.offset.total_seconds()
    if offset:
        side = "ahead of" if offset > 0 else "behind"
        message = f"{status.mode}, {duration(abs(offset))} {side} real time; defer clock reset ends that"
    else:
        message = f"{status.mode}, real time"
    yield _fit("clock", message)


def _state_of_file(path: Path) -> Finding:
    verdict = _integrity(path)
    if verdict != "ok":
        fix = "stop defer dev, keep a copy of .defer/, then delete .defer/state.db*"
        return _problem("file", f"{path} is damaged: {verdict}", fix)
    wal = path.with_name(f"{path.name}-wal")
    size, in_wal = path.stat().st_size, wal.stat().st_size if wal.exists() else 0
    message = f"{size / 1e6:.1f} MB, sound; WAL {in_wal / 1e6:.1f} MB"
    free = shutil.disk_usage(path.parent).free
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        return _problem("file", f"{path} may not be written", f"chmod u+w {path.parent} {path}")
    if in_wal > max(LARGE_WAL, size):
        fix = "end the programs that keep it open for reading; it shrinks when the last one is gone"
        return _problem("file", f"{message}: it cannot be emptied", fix)
    if free < LITTLE_SPACE:
        return _problem("file", f"{message}; only {free / 1e6:.0f} MB are free on its disk", "make room")
    return _fit("file", message)


def _integrity(path: Path) -> str:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        return str(error)
    finally:
        connection.close()


# --- who serves it ----------------------------------------------------------------------------


def _lock(session: Session) -> Iterator[Finding]:
    """Only the holder of the project's lock runs executions."""
    if session.endpoint:
        return
    holder, presence = ProjectLock(session.root).holder(), read_presence(session.root)
    if holder is None:
        yield _fit("lock", "free")
    elif presence is not None and presence.pid == holder and is_alive(presence):
        yield _fit("lock", f"held by process {holder}")
    else:
        yield _problem(
            "lock",
            f"held by process {holder or '(unknown)'}, which does not serve the project",
            f"it may only be starting: look again, and if it stays so end it with: kill {holder or 'PID'}",
        )


def _emulator(session: Session) -> Iterator[Finding]:
    if session.endpoint:
        return
    presence = read_presence(session.root)
    if presence is not None and is_alive(presence):
        yield _running(presence)
    else:
        yield _fit("emulator", "does not run; start it with: defer dev")


def _port(session: Session) -> Iterator[Finding]:
    """Whether `defer dev` would get the one that it wants."""
    if session.endpoint:
        return
    presence = read_presence(session.root)
    if presence is not None and is_alive(presence):
        yield _fit("port", f"{presence.url.rpartition(':')[2]} is the emulator's")
        return
    from defer_emulator.web.server import DEFAULT_PORT, bind

    with bind(session.config.host, session.config.port) as listener:
        port = listener.getsockname()[1]
    if session.config.port is None and port != DEFAULT_PORT:
        yield _fit("port", f"{DEFAULT_PORT} is taken by another program: defer dev would take {port}")
    else:
        yield _fit("port", f"{port} is free")


def _running(presence: Presence) -> Finding:
    where = f"runs at {presence.url}, process {presence.pid}"
    health = _health(presence.url)
    if health is None:
        fix = f"stop it, and start it again: kill {presence.pid}; defer dev"
        return _problem("emulator", f"{where}, but does not answer", fix)
    if health[1] != __version__:
        message = f"{where}, has version {health[1]}, and this is {__version__}"
        return _problem("emulator", message, "stop it, and start it again: defer dev")
    return _fit("emulator", where)


def _endpoint(session: Session) -> Iterator[Finding]:
    if not session.endpoint:
        return
    session.now()  # that it answers, and takes the token
    yield _fit("endpoint", f"{session.endpoint} answers: calls go there")
    health = _health(session.endpoint)
    if health is None:
        return  # another server of the protocol
    served, version = health
    if served == session.root.name and version == __version__:
        yield _fit("served", f"the endpoint serves {served} with defer {version}")
        return
    here = f"here is {session.root.name} with defer {__version__}"
    yield _problem(
        "served",
        f"the endpoint serves {served} with defer {version}; {here}",
        "unset DEFER_ENDPOINT to use this project's own file, or start defer dev there with this version",
    )


def _health(url: str) -> tuple[str, str] | None:
    """The project and the version that a server names; None where it is not one of ours."""
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=ANSWER_WITHIN) as answer:
            health = json.load(answer)
            return str(health["project"]), str(health["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


PARTS: dict[str, Callable[[Session], Iterator[Finding]]] = {
    "python": _python,
    "sqlite": _sqlite,
    "project": _project,
    "config": _config,
    "folder": _folder,
    "workers": _workers,
    "file": _file,
    "lock": _lock,
    "emulator": _emulator,
    "port": _port,
    "endpoint": _endpoint,
}
