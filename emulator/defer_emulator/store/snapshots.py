"""Copies of a project's file, each a whole one at one instant, and the way back from them."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

from defer_client.errors import Conflict, StateFileError
from defer_emulator.clock import EmulatedClock, to_datetime
from defer_emulator.store.database import (
    PATIENCE,
    Database,
    connect,
    explained,
    latest_version,
    migrate,
    stored_version,
)
from defer_emulator.store.queries import SQL

_DRAFT = ".draft-"
_UNLOCKED = 10.0  # seconds, far more than a draft exists before it is locked
_PAGES = 8  # of a copy, until it is looked whether somebody has written: fewer than the tables alone take
_PAUSE = 0.002  # seconds between two tries while others write
_TRIES = 5
_BUSY = (5, 6)  # SQLITE_BUSY, SQLITE_LOCKED: named from Python 3.11 on


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """What a copy holds. The last four are None where its version is not that of this program."""

    path: Path
    saved_at: datetime  # real time
    size: int  # bytes
    version: int  # of the schema
    executions: int | None = None
    unfinished: int | None = None  # that wait or ran at that time
    now: datetime | None = None  # what the emulated clock showed
    revision: int | None = None


def copy_to(database: Database, target: Path) -> Copy:
    """Copy the file as it is at this instant; others read and write meanwhile. Raises `StateFileError`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with _drafts(target.parent) as folder:
        draft = folder / target.name
        database.maintain(f"VACUUM INTO {_quoted(draft)}")
        _sync(draft)
        draft.replace(target)
    return read_copy(target)


def read_copy(path: Path) -> Copy:
    """Raises `StateFileError` for what is no copy of a project's file."""
    status = path.stat()
    saved_at = datetime.fromtimestamp(status.st_mtime, timezone.utc)
    with _explaining(path), closing(_open_copy(path)) as connection:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version != latest_version():
            return Copy(path=path, saved_at=saved_at, size=status.st_size, version=version)
        stored_version(connection, path)
        project = connection.execute(SQL["project"]).fetchone()
        clock = EmulatedClock(offset=project["time_offset"], frozen_at=project["frozen_at"])
        count, unfinished = connection.execute(SQL["count_executions"]).fetchone()
    return Copy(
        path=path,
        saved_at=saved_at,
        size=status.st_size,
        version=version,
        executions=count,
        unfinished=unfinished,
        now=to_datetime(clock.at(status.st_mtime_ns // 1_000)),
        revision=project["revision"],
    )


def put_back(copy: Path, database: Database, keep_as: Path) -> Copy:
    """Make the file what the copy is, in one instant, also for those who have it open. What it was before is
    kept as another copy, which is returned: nothing that was acknowledged gets lost between the two.

    Its caller holds the project's lock. Raises `StateFileError`, and `Conflict` when others write all the
    time.
    """
    assert database.path is not None
    with _drafts(copy.parent) as folder:
        source = _up_to_date(copy, folder, database.path)
        for _ in range(_TRIES):
            kept = copy_to(database, keep_as)
            assert kept.revision is not None
            if _overwrite(source, database.path, kept.revision):
                return kept
            keep_as.unlink()
    raise Conflict(
        f"others write to {database.path} all the time, so that no copy of it is its latest state",
        hint="stop the applications that call functions of this project, and try again",
    )


def start_project(copy: Path, path: Path) -> None:
    """A file for another project at `path`, with what the copy holds. Raises `StateFileError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _drafts(path.parent) as folder:
        draft = folder / path.name
        shutil.copyfile(copy, draft)
        with _explaining(copy), closing(connect(draft)) as connection:
            migrate(connection, copy)
            # Of its own, for it marks the processes of its executions.
            connection.execute(SQL["rename_project"], (str(uuid.uuid4()),))
            connection.execute(SQL["forget_foreground"])
        for left in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            left.unlink(missing_ok=True)  # of a file that was deleted: SQLite would apply it to this one
        draft.replace(path)


def _overwrite(source: Path, target: Path, revision: int) -> bool:
    """Copy `source` over `target`, unless that has another revision by now: then nothing is changed."""
    looked, deadline = False, time.monotonic() + PATIENCE

    def look(status: int, _remaining: int, _total: int) -> None:
        nonlocal looked
        if status in _BUSY:
            if time.monotonic() > deadline:
                raise StateFileError(f"{target} was locked by another process for more than {PATIENCE:.0f} s")
        elif not looked:  # from now on nobody else can write
            looked = True
            if reader.execute(SQL["project"]).fetchone()["revision"] != revision:
                raise _Outdated

    with (
        _explaining(target),
        closing(_open_copy(source)) as copy,
        closing(connect(target)) as writer,
        closing(connect(target)) as reader,
    ):
        reader.row_factory = sqlite3.Row
        try:
            copy.backup(writer, pages=_PAGES, progress=look, sleep=_PAUSE)
        except _Outdated:
            return False
        writer.execute(SQL["raise_revision"], (revision,))
    return True


class _Outdated(Exception):
    pass


def _up_to_date(copy: Path, folder: Path, live: Path) -> Path:
    """The copy itself, or one of it in `folder`, with the version and the page size of the live file."""
    with _explaining(copy), closing(_open_copy(copy)) as connection, closing(connect(live)) as present:
        version = stored_version(connection, copy)
        page_size = present.execute("PRAGMA page_size").fetchone()[0]
        if version == latest_version() and connection.execute("PRAGMA page_size").fetchone()[0] == page_size:
            return copy
    draft = folder / copy.name
    shutil.copyfile(copy, draft)
    with _explaining(copy), closing(connect(draft)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute(f"PRAGMA page_size = {page_size}")
        connection.execute("VACUUM")
        migrate(connection, copy)
    return draft


def _open_copy(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


@contextmanager
def _drafts(folder: Path) -> Iterator[Path]:
    """A folder for what is not ready yet: nobody takes half a copy for a whole one."""
    try:
        _clear_drafts(folder)
        with TemporaryDirectory(prefix=_DRAFT, dir=folder) as name, _locked(Path(name)):
            yield Path(name)
    except OSError as error:
        raise StateFileError(
            f"{error.filename or folder} cannot be written: {error.strerror}",
            hint="free some space, and look at the permissions of the folder",
        ) from error


def _clear_drafts(folder: Path) -> None:
    """Delete those whose process was killed."""
    for draft in folder.glob(f"{_DRAFT}*"):
        with suppress(OSError):  # somebody is at work there, or was quicker
            if time.time() - draft.stat().st_mtime > _UNLOCKED:
                with _locked(draft):
                    shutil.rmtree(draft)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Until the end of the block, or of the process. Raises `BlockingIOError` where somebody else has it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _explaining(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise explained(error, path) from error


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _quoted(path: Path) -> str:
    doubled = str(path.absolute()).replace("'", "''")
    return f"'{doubled}'"
