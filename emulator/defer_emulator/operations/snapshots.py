"""Snapshots: the queue, the history and the clock of a project, kept under a name."""

from __future__ import annotations

import re
import shutil
from datetime import datetime, timezone
from pathlib import Path

from defer_client.errors import Conflict, DeferError, InvalidOption, StateFileError
from defer_emulator.lock import LockHeld, ProjectLock
from defer_emulator.store.snapshots import Copy, copy_to, put_back, read_copy, start_project
from defer_emulator.store.store import Store

SUFFIX = ".db"
KEPT = "before-restore"  # begins the name of what a restore keeps of the state before

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_SHARED = ("node_modules",)  # that a fork refers to; virtual environments too
_LEFT_OUT = (".defer", ".git", ".hg", ".svn", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache")


class SnapshotNotFound(DeferError):
    """There is no snapshot of that name."""

    code = "snapshot_not_found"


class Snapshots:
    """Those of the project at `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / ".defer" / "snapshots"

    def save(self, store: Store, name: str, *, replace: bool = False) -> Copy:
        """Keep the present state, whatever runs meanwhile. Raises `Conflict` for a name that is taken."""
        path = self._path(name)
        if path.exists() and not replace:
            raise Conflict(
                f"there is a snapshot {name!r} already",
                hint=f"take another name, or replace it: defer snapshot save {name} --replace",
            )
        return copy_to(store.database, path)

    def all(self) -> list[Copy]:
        """The newest first. A file that cannot be read is left out."""
        found: list[Copy] = []
        for path in self._folder.glob(f"*{SUFFIX}"):
            try:
                found.append(read_copy(path))
            except (StateFileError, OSError):
                continue
        return sorted(found, key=lambda copy: (copy.saved_at, copy.path.name), reverse=True)

    def restore(self, store: Store, name: str) -> tuple[Copy, Copy]:
        """Go back to a snapshot: it, and the one that keeps the state before.

        What ran when it was saved is ended as interrupted by the next emulator, or tried again.
        Raises `SnapshotNotFound`, and `Conflict` while an emulator runs.
        """
        path = self._existing(name)
        lock = ProjectLock(self._root)
        try:
            lock.acquire()
        except LockHeld as held:
            raise Conflict(
                f"defer dev serves this project (process {held.pid}): its executions would run on in another"
                " state",
                hint=f"stop it, restore, and start it again: kill {held.pid}",
            ) from None
        try:
            return read_copy(path), put_back(path, store.database, self._unused(KEPT))
        finally:
            lock.release()

    def delete(self, name: str) -> None:
        """Raises `SnapshotNotFound`."""
        self._existing(name).unlink(missing_ok=True)

    def fork(self, name: str, target: Path | None = None) -> Path:
        """Another project with the state of a snapshot; its folder. The snapshot and this project stay as
        they are.

        A `target` that does not exist becomes a copy of this project's files; one that exists gets the state
        alone. None: a folder in `.defer/forks`. Raises `SnapshotNotFound`, and `Conflict` where there is a
        state already.
        """
        path = self._existing(name)
        folder = target or self._root / ".defer" / "forks" / name
        if (folder / ".defer" / "state.db").exists():
            raise Conflict(
                f"{folder} has a state already", hint="name another folder, or delete .defer/ in that one"
            )
        try:
            if not folder.exists():
                _copy_project(self._root, folder)
            start_project(path, folder / ".defer" / "state.db")
            (folder / ".defer" / ".gitignore").write_text("*\n", encoding="utf-8")
        except OSError as error:
            raise StateFileError(
                f"{error.filename or folder} cannot be made: {error.strerror}", hint="look at its permissions"
            ) from error
        return folder

    def _path(self, name: str) -> Path:
        if _NAME.fullmatch(name) is None:
            raise InvalidOption(
                f"{name[:60]!r} cannot be the name of a snapshot",
                hint="take letters, digits, dots, dashes and underscores: before-import",
            )
        return self._folder / f"{name}{SUFFIX}"

    def _existing(self, name: str) -> Path:
        path = self._path(name)
        if not path.is_file():
            raise SnapshotNotFound(
                f"there is no snapshot {name!r}", hint="`defer snapshot list` shows what there is"
            )
        return path

    def _unused(self, beginning: str) -> Path:
        now = datetime.now(timezone.utc)
        names = (f"{beginning}-{now:%Y%m%dT%H%M%S}", f"{beginning}-{now:%Y%m%dT%H%M%S.%f}")
        return next((path for path in map(self._path, names) if not path.exists()), self._path(names[-1]))


def name_of(copy: Copy) -> str:
    """The name of a snapshot."""
    return copy.path.name.removesuffix(SUFFIX)


def _copy_project(root: Path, target: Path) -> None:
    """The project's own files; environments and packages are referred to, not copied."""
    shared: list[Path] = []

    def ignored(folder: str, names: list[str]) -> list[str]:
        left_out = []
        for name in names:
            path = Path(folder, name)
            if _is_shared(path):
                shared.append(path)
            elif name not in _LEFT_OUT and path != target and _can_be_copied(path):
                continue
            left_out.append(name)
        return left_out

    shutil.copytree(root, target, symlinks=True, ignore=ignored)
    for path in shared:
        (target / path.relative_to(root)).symlink_to(path)


def _is_shared(path: Path) -> bool:
    return path.is_dir() and (path.name in _SHARED or (path / "pyvenv.cfg").exists())


def _can_be_copied(path: Path) -> bool:
    """No socket or pipe."""
    return path.is_symlink() or path.is_dir() or path.is_file()
