"""One emulator per project."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import weakref
from pathlib import Path
from types import TracebackType

from defer_client.errors import StateFileError

_RETRY = 0.01  # seconds


class LockHeld(Exception):
    """Another process holds the lock. `pid` is 0 when it did not say who it is."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"the project is locked by process {pid or '(unknown)'}")
        self.pid = pid


class ProjectLock:
    """The lock `.defer/lock`: its holder alone migrates the project's file and runs executions.

    It lives as long as its process, and no child inherits it; a file that a dead process left behind
    is no obstacle.

    >>> import tempfile
    >>> with ProjectLock(Path(tempfile.mkdtemp())) as lock:
    ...     lock.holder() == os.getpid()
    True
    """

    def __init__(self, root: Path) -> None:
        self.path = root / ".defer" / "lock"
        self._file: int | None = None

    @property
    def is_held(self) -> bool:
        """By this very object."""
        return self._file is not None

    def acquire(self, timeout: float = 0.5) -> None:
        """Take it, waiting up to `timeout` seconds. Raises `LockHeld`, and `StateFileError` where it cannot
        be written.

        The folder `.defer` is made if it is missing.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StateFileError(
                f"{self.path} cannot be written: {error.strerror}",
                hint="make the file and its folder writable",
            ) from None
        deadline = time.monotonic() + timeout
        while not _try_lock(file, fcntl.LOCK_EX):
            if time.monotonic() >= deadline:
                os.close(file)
                raise LockHeld(self._written_pid())
            time.sleep(_RETRY)
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file
        _held.add(self)

    def release(self) -> None:
        if self._file is not None:
            _held.discard(self)
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None

    def holder(self) -> int | None:
        """The pid of the process that holds it now, 0 if it did not say; None when nobody does."""
        try:
            file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return None if _try_lock(file, fcntl.LOCK_SH) else self._written_pid()
        finally:
            os.close(file)

    def _written_pid(self) -> int:
        try:
            return int(self.path.read_text())
        except (OSError, ValueError):
            return 0

    def _forget(self) -> None:
        """Drop it in a forked child, without unlocking it for the parent."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> ProjectLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _try_lock(file: int, operation: int) -> bool:
    try:
        fcntl.flock(file, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


_held: weakref.WeakSet[ProjectLock] = weakref.WeakSet()


def _forget_all() -> None:
    for lock in list(_held):
        with contextlib.suppress(OSError):
            lock._forget()
    _held.clear()


os.register_at_fork(after_in_child=_forget_all)
