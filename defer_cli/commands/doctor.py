"""`defer doctor`: whether this machine and this project are fit to run."""

from __future__ import annotations

import json
import platform
import socket
import sqlite3
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import typer

from defer_cli.importing import check
from defer_cli.session import Session
from defer_cli.text import duration
from defer_client import __version__
from defer_client.errors import DeferError
from defer_emulator.lock import ProjectLock
from defer_emulator.presence import is_alive, read_presence
from defer_emulator.project.check import check_project
from defer_emulator.store.database import OLDEST_SQLITE

MINIMUM_PYTHON = (3, 10)
DEFAULT_PORT = 3337
CONNECT_TIMEOUT = 2.0  # seconds
NAMES = ("DF011", "DF012", "DF013", "DF020")  # an import of a function would give something else


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    name: str
    ok: bool
    message: str
    fix: str = ""


def doctor(ctx: typer.Context) -> int:
    """Check this machine and this project, with a fix for each problem. Exit code 1 when there is one."""
    session: Session = ctx.obj
    found: list[Finding] = []
    for name, look in CHECKS.items():
        try:
            found.extend(look(session))
        except DeferError as error:
            found.append(Finding(name=name, ok=False, message=error.message, fix=error.hint))
        except (OSError, sqlite3.Error) as error:
            found.append(
                Finding(name=name, ok=False, message=str(error), fix="look at what the message names")
            )
    if session.output.is_text:
        for finding in found:
            _show(session, finding)
    else:
        session.output.rows(asdict(finding) for finding in found)
    return 0 if all(finding.ok for finding in found) else 1


def _show(session: Session, finding: Finding) -> None:
    mark = session.output.style("ok", "green") if finding.ok else session.output.style("!!", "red")
    session.output.line(f"{mark}  {finding.name:<9} {finding.message}")
    if not finding.ok and finding.fix:
        session.output.line(f"              fix: {finding.fix}")


def _python(_session: Session) -> Iterator[Finding]:
    yield Finding(
        name="python",
        ok=sys.version_info >= MINIMUM_PYTHON,
        message=f"{platform.python_version()} at {sys.executable}",
        fix="install Python 3.10 or later",
    )


def _sqlite(_session: Session) -> Iterator[Finding]:
    yield Finding(
        name="sqlite",
        ok=sqlite3.sqlite_version_info >= OLDEST_SQLITE,
        message=sqlite3.sqlite_version,
        fix=f"SQLite {'.'.join(map(str, OLDEST_SQLITE))} or later is needed: take a newer Python",
    )


def _project(session: Session) -> Iterator[Finding]:
    yield Finding(name="project", ok=True, message=str(session.root))


def _config(session: Session) -> Iterator[Finding]:
    session.config  # noqa: B018 (reading it is the check)
    yield Finding(name="config", ok=True, message="can be read")


def _folder(session: Session) -> Iterator[Finding]:
    static = check_project(session.root, session.config)
    folders = ", ".join(folder.relative_to(session.root).as_posix() for folder in static.project.folders)
    yield Finding(
        name="folder",
        ok=bool(folders),
        message=folders or "no defer/ folder holds functions",
        fix="make one with: defer init",
    )
    shadowed = [found for found in static.diagnostics if found.code in NAMES]
    for found in shadowed:
        sound = found.severity == "warning"
        advice = f"; {found.fix}" if sound else ""
        yield Finding(
            name="names", ok=sound, message=f"{found.place}: {found.message}{advice}", fix=found.fix
        )
    if not shadowed:
        yield Finding(name="names", ok=True, message="nothing shadows the functions")


def _workers(session: Session) -> Iterator[Finding]:
    """Imports the project in a worker's Python, which proves that it starts."""
    result = check(session)
    python = session.config.python or sys.executable
    yield Finding(name="workers", ok=True, message=f"start with {python} ({session.config.worker_start})")
    errors = len({found.file for found in result.diagnostics if found.severity == "error"})
    count = len(result.project.files)
    yield Finding(
        name="functions",
        ok=not errors,
        message=f"{count} file{'s' * (count != 1)}" + (f", {errors} with errors" if errors else ""),
        fix="see them with: defer check",
    )


def _lock(session: Session) -> Iterator[Finding]:
    """Only the holder of the project's lock runs executions."""
    if session.endpoint:
        return
    holder, presence = ProjectLock(session.root).holder(), read_presence(session.root)
    if holder is None:
        yield Finding(name="lock", ok=True, message="free")
        return
    served = presence is not None and presence.pid == holder and is_alive(presence)
    yield Finding(
        name="lock",
        ok=served,
        message=f"held by process {holder}" + ("" if served else ", which does not serve the project"),
        fix=f"it may only be starting: look again, and if it stays so end it with: kill {holder}",
    )


def _file(session: Session) -> Iterator[Finding]:
    if session.endpoint:
        return  # calls do not go there
    path = session.root / ".defer" / "state.db"
    if not path.exists():
        yield Finding(name="file", ok=True, message="none yet; it is made with the first call or defer dev")
        return
    status = session.call(session.operations.clock())  # opens it, with its version and schema
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    finally:
        connection.close()
    wal = path.with_name(f"{path.name}-wal")
    sizes = f"{path.stat().st_size / 1e6:.1f} MB"
    if wal.exists():
        sizes += f", WAL {wal.stat().st_size / 1e6:.1f} MB"
    yield Finding(
        name="file",
        ok=verdict == "ok",
        message=sizes if verdict == "ok" else f"{path} is damaged: {verdict}",
        fix="stop defer dev, keep a copy of .defer/, then delete .defer/state.db",
    )
    offset = status.offset.total_seconds()
    moved = (
        f"{duration(abs(offset))} {'ahead of' if offset > 0 else 'behind'} real time"
        if offset
        else "real time"
    )
    yield Finding(name="clock", ok=True, message=f"{status.mode}, {moved}")


def _emulator(session: Session) -> Iterator[Finding]:
    if session.endpoint:
        return
    presence = read_presence(session.root)
    if presence is not None and is_alive(presence):
        yield Finding(name="emulator", ok=True, message=f"runs at {presence.url}, process {presence.pid}")
        return
    yield Finding(name="emulator", ok=True, message="does not run; start it with: defer dev")
    port = session.config.port or DEFAULT_PORT
    with socket.socket() as probe:
        taken = probe.connect_ex((session.config.host, port)) == 0
    yield Finding(
        name="port",
        ok=not taken or session.config.port is None,
        message=f"{port} is {'taken by another program' if taken else 'free'}",
        fix="choose another port in the configuration, or with: defer dev --port N",
    )


def _endpoint(session: Session) -> Iterator[Finding]:
    if not session.endpoint:
        return
    session.now()  # that it answers, and takes the token
    yield Finding(name="endpoint", ok=True, message=f"{session.endpoint} answers: calls go there")
    try:
        with urllib.request.urlopen(f"{session.endpoint.rstrip('/')}/health", timeout=CONNECT_TIMEOUT) as got:
            health = json.load(got)
            served, version = str(health["project"]), str(health["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return  # another server of the protocol
    yield Finding(
        name="served",
        ok=served == session.root.name and version == __version__,
        message=f"the endpoint serves {served} with defer {version}; here is {session.root.name}"
        f" with defer {__version__}",
        fix="unset DEFER_ENDPOINT to use this project's own file, or start defer dev there with this version",
    )


CHECKS: dict[str, Callable[[Session], Iterator[Finding]]] = {
    "python": _python,
    "sqlite": _sqlite,
    "project": _project,
    "config": _config,
    "folder": _folder,
    "workers": _workers,
    "file": _file,
    "lock": _lock,
    "emulator": _emulator,
    "endpoint": _endpoint,
}
