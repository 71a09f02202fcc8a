"""How a project's file comes to be, and up to date."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from defer_client.errors import NoBackendError, StateFileError
from defer_emulator.lock import LockHeld, ProjectLock
from defer_emulator.store.database import (
    check_sqlite,
    connect,
    explained,
    latest_version,
    migrate,
    stored_version,
)
from defer_emulator.store.filesystem import network_file_system

_LOCK_PATIENCE = 10.0  # seconds: another process that makes the file is done long before


def prepare(root: Path, *, create: bool) -> Path:
    """The path of the project's file, which exists and has the latest version when this returns.

    Raises `NoBackendError` where it is missing and may not be made, and `StateFileError`.
    """
    check_sqlite()
    path = root / ".defer" / "state.db"
    kind = network_file_system(path)
    if kind is not None:
        raise StateFileError(
            f"{path} lies on a network file system ({kind}), where SQLite cannot share a file",
            hint="run `defer dev` on the machine that has the disk, and let others call it by HTTP:"
            " DEFER_ENDPOINT=http://HOST:3337",
        )
    try:
        if not path.exists() and not create:
            raise NoBackendError(f"{root} has no {path.relative_to(root)}", hint="run `defer init` there")
        if not _is_current(path):
            _bring_up_to_date(root, path)
    except sqlite3.DatabaseError as error:
        raise explained(error, path) from error
    except OSError as error:
        raise StateFileError(
            f"{path} cannot be made: {error.strerror}", hint="make the project's folder writable"
        ) from error
    return path


def _is_current(path: Path) -> bool:
    return path.exists() and _version(path) == latest_version()


def _version(path: Path) -> int:
    connection = connect(path)
    try:
        return stored_version(connection, path)
    finally:
        connection.close()


def _bring_up_to_date(root: Path, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    ignore = path.with_name(".gitignore")
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    lock = ProjectLock(root)
    if lock.holder() == os.getpid():  # the emulator itself
        _migrate(path)
        return
    try:
        lock.acquire(timeout=_LOCK_PATIENCE)
    except LockHeld as held:
        raise _in_use(path, held.pid) from None
    try:
        _migrate(path)
    finally:
        lock.release()


def _in_use(path: Path, pid: int) -> StateFileError:
    if path.exists():
        return StateFileError(
            f"{path} has an older version, and the emulator with pid {pid} uses it",
            hint="stop that `defer dev`, start it again with this version, and retry",
        )
    return StateFileError(
        f"{path} is missing, and the emulator with pid {pid} uses it",
        hint="put it back; or stop that `defer dev` and start it again, which makes a new one",
    )


def _migrate(path: Path) -> None:
    connection = connect(path, create=True)
    try:
        migrate(connection, path)
    finally:
        connection.close()
