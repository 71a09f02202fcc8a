"""The convention: where a project's root, its `defer/` folder and its function files are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from defer_client.errors import DeferError

if TYPE_CHECKING:  # finding the root, which most commands do, needs no configuration
    from defer_emulator.config import Config

MARKERS = (".defer", "defer.toml", "pyproject.toml")
"""Any of these makes a folder the root of a project."""

IGNORED_FOLDERS = frozenset({"tests", "test", "spec", "specs", "node_modules", "__pycache__"})
FOREIGN_FOLDERS = frozenset({"site-packages", "dist-packages", "__pypackages__", "build", "dist"})
"""Folders of others: no `defer/` is looked for in them. Inside `defer/` the names are free."""

NEVER_OWN = frozenset({"node_modules", "__pycache__"}) | FOREIGN_FOLDERS


class ProjectNotFound(DeferError):
    """There is no project here, or it has no folder named `defer`."""

    code = "no_project"


class TooManyFolders(DeferError):
    """There are two folders named `defer`, and the configuration does not say which to use."""

    code = "too_many_folders"

    def __init__(self, root: Path, folders: tuple[Path, ...]) -> None:
        names = [_relative(root, folder) for folder in folders]
        super().__init__(
            f"{root} has {len(names)} folders with functions: {', '.join(names)}",
            hint=f"keep one, or list all in the configuration: {folders_setting(names)}",
        )
        self.folders = folders


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFile:
    """A Python file of the project. In `defer/`, it should hold the function that is named after it."""

    path: Path
    relative: str  # to the root, with forward slashes
    module: str  # dotted, the name under which the application imports it
    function: str  # the expected name of its function

    @property
    def is_importable(self) -> bool:
        """Whether every part of `module` is a Python name, and no name of a file or folder has a dot."""
        from keyword import iskeyword

        parts = self.module.split(".")
        return self.path.with_suffix("").parts[-len(parts) :] == tuple(parts) and all(
            part.isidentifier() and not iskeyword(part) for part in parts
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """What the convention says of a folder: nothing has been read yet but names."""

    root: Path
    folders: tuple[Path, ...]  # those named `defer`, or those of the configuration
    import_paths: tuple[Path, ...]  # the first entries of `sys.path`, in this order
    files: tuple[SourceFile, ...]  # of the functions, by path


def folders_setting(names: list[str]) -> str:
    """The line of the configuration that lists these folders."""
    return f"folders = [{', '.join(f'{name!r}' for name in names)}]".replace("'", '"')


# --- the root -------------------------------------------------------------------------------


def find_root(start: Path) -> Path:
    """The root of the project that `start` is in.

    The nearest ancestor with `.defer/`, `defer.toml` or `pyproject.toml`; else the folder that holds
    `defer/`: above `start`, or the only one below it. Raises `ProjectNotFound`.
    """
    start = Path(os.path.abspath(start))  # noqa: PTH100 (`resolve` would follow links out of the project)
    ancestors = [folder for folder in (start, *start.parents) if folder.is_dir()]
    for folder in ancestors:
        if _is_root(folder):
            return folder
    for folder in ancestors:
        if _is_function_folder(folder / "defer"):
            return folder
    below = _search(start)
    if below:
        return below[0].parent if len(below) == 1 else start
    raise ProjectNotFound(
        f"no project in {start}: neither it nor a folder above has defer/, defer.toml or pyproject.toml",
        hint="defer init starts one here",
    )


def _is_root(folder: Path) -> bool:
    return (
        (folder / ".defer").is_dir()
        or (folder / "defer.toml").is_file()
        or (folder / "pyproject.toml").is_file()
    )


def _is_function_folder(folder: Path) -> bool:
    """Whether a folder named `defer` can be the one: not a project (a clone of one) of its own."""
    return folder.is_dir() and not _is_root(folder) and _has_python(folder)


# --- the folders of functions -----------------------------------------------------------------


def find_folders(root: Path, config: Config) -> tuple[Path, ...]:
    """The folders that hold functions: those of the configuration, else all named `defer`.

    Hidden folders, virtual environments, dependencies, tests, links to folders and nested projects are not
    searched. Folders without a Python file count only where there is no other. Raises `ProjectNotFound`.
    """
    if config.folders:
        return tuple(dict.fromkeys(_configured(root, name) for name in config.folders))
    found = _search(root)
    if found:
        return found
    raise ProjectNotFound(
        f"no folder named defer/ in {root}", hint="defer init creates it, or: mkdir defer" + _nested(root)
    )


def _configured(root: Path, name: str) -> Path:
    folder = Path(os.path.normpath(root / name))
    if not folder.is_relative_to(root) or folder == root:
        raise ProjectNotFound(
            f"folders: {name!r} is not a folder below {root}", hint="write it relative to the project's root"
        )
    if not folder.is_dir():
        raise ProjectNotFound(
            f"folders: {name!r} does not exist in {root}",
            hint=f"create it, or correct the setting: mkdir {name}",
        )
    return folder


def _search(root: Path) -> tuple[Path, ...]:
    found = [folder for folder, _ in walk(root) if folder.name == "defer" and folder != root]
    real = {folder.resolve() for folder in found if not folder.is_symlink()}
    found = [folder for folder in found if not (folder.is_symlink() and folder.resolve() in real)]
    return tuple(folder for folder in found if _has_python(folder)) or tuple(found)


def walk(root: Path) -> Iterator[tuple[Path, list[Path]]]:
    """The folders of the application with their Python files, sorted by name.

    Without hidden folders, tests, dependencies, tools and nested projects. A folder named `defer` is given,
    but not searched for more; it may be a link to a folder, all others may not.
    """
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        names, folders, files = _scan(folder)
        if folder != root and not names.isdisjoint(MARKERS):
            continue
        yield folder, files
        if folder.name == "defer" and folder != root:
            continue
        link = folder / "defer"
        if "defer" in names and link.is_symlink() and os.path.isdir(link):  # noqa: PTH112 (loops)
            waiting.append(link)
        waiting.extend(inner for inner in reversed(folders) if inner.name not in FOREIGN_FOLDERS)


def python_files(folder: Path, ignored: frozenset[str] = IGNORED_FOLDERS) -> Iterator[Path]:
    """All Python files below a folder, but for ignored folders and links to folders."""
    waiting = [folder]
    while waiting:
        _, folders, files = _scan(waiting.pop(), ignored)
        yield from files
        waiting.extend(reversed(folders))


def own_python_files(root: Path) -> Iterator[Path]:
    """All Python files that are not of others: the tests, too."""
    return python_files(root, NEVER_OWN)


def _scan(folder: Path, ignored: frozenset[str] = IGNORED_FOLDERS) -> tuple[set[str], list[Path], list[Path]]:
    """All names in a folder, the folders that are not ignored, the Python files. Nothing of a virtual
    environment, nor of what cannot be read."""
    try:
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError:
        entries = []
    names = {entry.name for entry in entries}
    if "pyvenv.cfg" in names:
        return set(), [], []
    visible = [entry for entry in entries if not entry.name.startswith(".")]
    folders = [
        Path(entry.path)
        for entry in visible
        if entry.is_dir(follow_symlinks=False) and entry.name not in ignored
    ]
    # A link to nothing is a file, to be reported as unreadable. A pipe or a socket is none.
    files = [
        Path(entry.path)
        for entry in visible
        if entry.name.endswith(".py")
        and (entry.is_file(follow_symlinks=False) or (entry.is_symlink() and not os.path.isdir(entry.path)))  # noqa: PTH112
    ]
    return names, folders, files


def _has_python(folder: Path) -> bool:
    return next(python_files(folder), None) is not None


def _nested(root: Path) -> str:
    """A hint at projects inside this one, which are not searched."""
    nested = [folder.name for folder in _scan(root)[1] if _is_root(folder)]
    return f"; {nested[0]}/ is a project of its own: cd {nested[0]}" if nested else ""


# --- the files --------------------------------------------------------------------------------


def find_project(root: Path, config: Config) -> Project:
    """The project at `root`. Raises `ProjectNotFound`, `TooManyFolders`."""
    folders = find_folders(root, config)
    if len(folders) > 1 and not config.folders:
        raise TooManyFolders(root, folders)
    return load_project(root, folders)


def load_project(root: Path, folders: tuple[Path, ...]) -> Project:
    """The project with these folders of functions."""
    import_paths = tuple(dict.fromkeys([*(import_path(folder) for folder in folders), root]))
    files = (
        source_file(root, import_path(folder), path)
        for folder in folders
        for path in python_files(folder)
        if is_function_file(path.name)
    )
    unique = {file.path: file for file in files}  # a configured folder may be inside another
    return Project(
        root=root,
        folders=folders,
        import_paths=import_paths,
        files=tuple(sorted(unique.values(), key=lambda file: file.relative)),
    )


def import_path(folder: Path) -> Path:
    """The entry of `sys.path` for a folder of functions: what holds its outermost package."""
    parent = folder.parent
    while (
        (parent / "__init__.py").is_file()
        and parent.name.isidentifier()
        and not (parent / "pyproject.toml").is_file()  # a project's folder is no package of itself
        and not (parent / "defer.toml").is_file()
    ):
        parent = parent.parent
    return parent


def source_file(root: Path, base: Path, path: Path) -> SourceFile:
    """A file as its project knows it; `base` is the entry of `sys.path` that it is found by."""
    parts = path.relative_to(base).with_suffix("").parts
    return SourceFile(
        path=path,
        relative=_relative(root, path),
        module=".".join(parts[:-1] if parts[-1] == "__init__" else parts),
        function=path.stem,
    )


def is_function_file(name: str) -> bool:
    """Whether a Python file of that name in `defer/` holds a function."""
    return not name.startswith("_") and not is_test(name)


def is_test(name: str) -> bool:
    """Whether a Python file of that name belongs to the tests."""
    return name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py"


def _relative(root: Path, path: Path) -> str:
    """The name of a file in messages and JSON: bytes that are no UTF-8 are shown as `�`."""
    text = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
