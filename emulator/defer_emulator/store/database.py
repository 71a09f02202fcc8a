"""One SQLite file: how it is opened, checked, migrated, read and written."""

from __future__ import annotations

import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import TypeVar

from defer_client.errors import StateFileError
from defer_emulator.store.queries import SQL

T = TypeVar("T")
Values = Sequence[str | int] | Mapping[str, str | int]

APPLICATION_ID = 0x64656672  # "defr": says whose file it is
OLDEST_SQLITE = (3, 37, 0)  # STRICT tables
MIGRATIONS = Path(__file__).with_name("migrations")

PATIENCE = 10.0  # seconds to wait for another writer
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0002, 0.005  # seconds between two tries

_OWN_CHECKPOINT = 4_000  # pages in the log after which a commit copies them into the file,
_LATE_CHECKPOINT = 20_000  # and where something else does so all the time

_PRAGMAS = """
    PRAGMA journal_size_limit = 67108864;
    PRAGMA cache_size = -16000;
    PRAGMA temp_store = MEMORY;
"""

# Connections of a parent process: not even closing them is safe in its child.
_inherited: list[sqlite3.Connection] = []


class Database:
    """A connection that is made on first use, again after a fork, and again when the file was replaced.

    Threads take turns: SQLite lets only one of them write anyway, and handing over inside a process is
    quicker than two connections that poll for each other's lock. Without a path it lives in memory.
    All methods raise `StateFileError` when the file cannot be used.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.is_checkpointed = False  # something copies the log into the file meanwhile; for new connections
        self._pid = os.getpid()
        self._turn = RLock()
        self._connection: sqlite3.Connection | None = None
        self._connected = 0  # how often
        self._file: tuple[int, int] | None = None  # device and inode behind the connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the write lock from its beginning."""
        with self._use() as connection:
            if connection.in_transaction:
                raise RuntimeError("a write transaction inside another one")
            if self._was_replaced():
                connection = self._reconnect()
            self._patiently(connection, "BEGIN IMMEDIATE")
            with _ended(connection):
                yield connection

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """All statements of the block see the file as it was at its beginning."""
        with self._use() as connection:
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            with _ended(connection):
                self._patiently(connection, "SELECT 1 FROM project")
                yield connection

    def select(self, statement: str, values: Values = ()) -> Sequence[sqlite3.Row]:
        """One statement, which sees one state of the file without a transaction around it."""
        with self._use() as connection:
            return self._patiently(connection, statement, values)

    def maintain(self, script: str) -> None:
        """Statements that take care of the file itself, outside of any transaction, to their ends."""
        with self._use() as connection:
            if connection.in_transaction:
                raise RuntimeError("maintenance inside a transaction")
            self._as_soon_as_possible(lambda: connection.executescript(script))

    def data_version(self) -> int:
        """A number that changes when another connection has written. Costs 3 µs."""
        with self._use() as connection:
            version: int = connection.execute("PRAGMA data_version").fetchone()[0]
            return self._connected << 32 | version  # each connection counts from the same number on

    def close(self) -> None:
        if self._connection is not None and self._pid == os.getpid():
            with self._turn:
                self._connection.close()
                self._connection = None

    # --- connecting -------------------------------------------------------------------------

    @contextmanager
    def _use(self) -> Iterator[sqlite3.Connection]:
        if self._pid != os.getpid():
            self._forget()
        with self._turn:
            try:
                yield self._connection or self._connect()
            except sqlite3.DatabaseError as error:
                if type(error) not in (sqlite3.DatabaseError, sqlite3.OperationalError):
                    raise  # a bug of ours, not the file's fault
                raise explained(error, self.path) from error

    def _forget(self) -> None:
        """After a fork: the connection and the lock are the parent's."""
        if self._connection is not None:
            _inherited.append(self._connection)
        self._pid, self._turn, self._connection = os.getpid(), RLock(), None

    def _was_replaced(self) -> bool:
        return self.path is not None and _identity(self.path) != self._file

    def _reconnect(self) -> sqlite3.Connection:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        return self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = connect(self.path)
        try:
            check_version(connection, self.path)
            connection.executescript(_PRAGMAS)
            pages = _LATE_CHECKPOINT if self.is_checkpointed else _OWN_CHECKPOINT
            connection.execute(f"PRAGMA wal_autocheckpoint = {pages}")
            durability = self._patiently(connection, "SELECT durability FROM project")[0][0]
            connection.execute(f"PRAGMA synchronous = {'FULL' if durability == 'full' else 'NORMAL'}")
            connection.execute("PRAGMA busy_timeout = 0")  # from now on `_patiently` waits
        except BaseException:
            connection.close()
            raise
        connection.row_factory = sqlite3.Row
        self._file = None if self.path is None else _identity(self.path)
        self._connection = connection
        self._connected += 1
        return connection

    def _patiently(
        self, connection: sqlite3.Connection, statement: str, values: Values = ()
    ) -> Sequence[sqlite3.Row]:
        """Execute as soon as no other process is in the way. SQLite's own waits are far longer."""
        return self._as_soon_as_possible(lambda: connection.execute(statement, values).fetchall())

    def _as_soon_as_possible(self, action: Callable[[], T]) -> T:
        pause, deadline = _FIRST_PAUSE, 0.0
        while True:
            try:
                return action()
            except sqlite3.OperationalError as error:
                if not _is_busy(error):
                    raise
            now = time.monotonic()
            deadline = deadline or now + PATIENCE
            if now > deadline:
                raise StateFileError(
                    f"{self.path} was locked by another process for more than {PATIENCE:.0f} s",
                    hint="find it with `fuser -v` on that file: a debugger or a database browser in a"
                    " transaction, perhaps; close it and try again",
                )
            time.sleep(pause)
            pause = min(pause * 1.2, _LONGEST_PAUSE)


def connect(path: Path | None, *, create: bool = False) -> sqlite3.Connection:
    """A bare connection in autocommit mode. The file must exist, unless `create`. Without a path it is a
    new database in memory, migrated.

    It waits for whoever makes the file, or recovers it after a crash, just now.
    """
    options = {
        "isolation_level": None,
        "check_same_thread": False,
        "timeout": PATIENCE,
        "cached_statements": 256,
    }
    if path is None:
        connection = sqlite3.connect(":memory:", **options)  # type: ignore[arg-type]
        migrate(connection, None)
        return connection
    mode = "rwc" if create else "rw"
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, **options)  # type: ignore[arg-type]


@contextmanager
def _ended(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit the open transaction at the end of the block, or roll it back."""
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled it back already
            connection.execute("ROLLBACK")
        raise


# --- versions -----------------------------------------------------------------------------------


def migrations() -> list[Path]:
    """The numbered scripts, in order. The number of the last is the version of the file."""
    return sorted(MIGRATIONS.glob("[0-9]*.sql"))


def latest_version() -> int:
    return int(migrations()[-1].name.partition("_")[0])


def stored_version(connection: sqlite3.Connection, path: Path | None) -> int:
    """The version of the file, 0 for a new one. Raises `StateFileError` for another program's."""
    owner: int = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if owner != APPLICATION_ID:
        if owner or version or connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
            raise StateFileError(
                f"{path} is a database of another program",
                hint="move it away; `defer init` makes a new one",
            )
        return 0
    if version > latest_version():
        raise StateFileError(
            f"{path} was made by a newer defer (version {version} of the file; this one knows"
            f" {latest_version()})",
            hint="upgrade: pip install --upgrade defer-cli",
        )
    return version


def check_version(connection: sqlite3.Connection, path: Path | None) -> None:
    """Raise `StateFileError` unless the file is ours and of this version."""
    version = stored_version(connection, path)
    if version != latest_version():
        raise StateFileError(
            f"{path} has version {version} of the file; this defer needs {latest_version()}",
            hint="start `defer dev` once: it brings the file up to date",
        )


def migrate(connection: sqlite3.Connection, path: Path | None) -> None:
    """Bring the file to the latest version, each step whole or not at all. Its caller holds the lock."""
    if path is not None:
        # Each call dirties a page of each index: half the usual size, half of that to copy and to sum up.
        connection.execute("PRAGMA page_size = 2048")
        connection.execute("PRAGMA journal_mode = WAL")
    for script in migrations():
        number = int(script.name.partition("_")[0])
        if number <= stored_version(connection, path):
            continue
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {script.read_text(encoding='utf-8')}")
            connection.execute(SQL["create_project"], (str(uuid.uuid4()), time.time_ns() // 1_000))
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


# --- what went wrong ----------------------------------------------------------------------------


def check_sqlite(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> None:
    """Raise `StateFileError` when this Python's SQLite is too old."""
    if version < OLDEST_SQLITE:
        raise StateFileError(
            f"this Python has SQLite {'.'.join(map(str, version))}; defer needs"
            f" {'.'.join(map(str, OLDEST_SQLITE))} or newer",
            hint="use a newer Python, or one that is linked with a newer SQLite",
        )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 (every write pays for it)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return "locked" in str(error) or "busy" in str(error)


_EXPLANATIONS = (
    ("not a database", "is not a database", "move it away; `defer init` makes a new one"),
    (
        "malformed",
        "is damaged",
        "`defer doctor` looks at it; else move it away, `defer init` makes a new one",
    ),
    ("readonly", "is read-only, so nothing was stored", "make the file and its folder writable"),
    ("full", "cannot grow: the disk is full, and nothing was stored", "free some space and try again"),
    (
        "unable to open",
        "cannot be opened",
        "`defer init` makes a missing one; else look at the permissions of the folder",
    ),
    ("disk I/O", "cannot be read or written: an I/O error, and nothing was stored", "look at the disk"),
)


def explained(error: sqlite3.DatabaseError, path: Path | None) -> StateFileError:
    reason = str(error)
    for mark, what, hint in _EXPLANATIONS:
        if mark in reason:
            return StateFileError(f"{path} {what}", hint=hint)
    return StateFileError(f"{path}: {reason}", hint="`defer doctor` looks for the cause")
