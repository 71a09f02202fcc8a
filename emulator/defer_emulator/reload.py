"""Notices which of the project's files were saved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from watchfiles import Change, awatch

DEBOUNCE = 20  # ms: saves this close together are one change; an editor's save is several events
STEP = 8  # ms
WATCHED_SUFFIXES = (".py", ".toml")
SKIPPED_FOLDERS = frozenset({"__pycache__", "node_modules", "venv", "env", "site-packages", "build", "dist"})


async def watch(root: Path, env_file: Path) -> AsyncIterator[frozenset[Path]]:
    """Yield the sets of changed files of a project, for ever.

    An empty set: files may have changed that nobody could see, because the watch has just begun or a
    folder has just appeared; whoever knows the files looks at them now.

    A folder that appears or goes below the root starts the watch anew. Hidden folders, virtual
    environments and `node_modules` are not watched: they can hold tens of thousands of folders.
    """
    while True:
        folders = _watched_folders(root)
        stop = asyncio.Event()
        async for changed in _changes(root, folders, stop):
            files = frozenset(path for path in changed if path.suffix in WATCHED_SUFFIXES or path == env_file)
            if files:
                yield files
            if not changed or any(path.is_dir() for path in changed - files):
                yield frozenset()
            if _watched_folders(root) != folders:
                stop.set()


async def _changes(root: Path, folders: frozenset[Path], stop: asyncio.Event) -> AsyncIterator[set[Path]]:
    """The changes of the root itself and of everything below `folders`, until `stop`; first an empty set."""
    queue: asyncio.Queue[set[Path] | None] = asyncio.Queue()

    async def follow(paths: list[Path], recursive: bool) -> None:
        async for changes in awatch(
            *paths,
            recursive=recursive,
            watch_filter=partial(_is_watched, root),
            debounce=DEBOUNCE,
            step=STEP,
            stop_event=stop,
            ignore_permission_denied=True,
        ):
            queue.put_nowait({Path(path) for _, path in changes})

    tasks = [asyncio.create_task(follow([root], False))]
    if folders:
        tasks.append(asyncio.create_task(follow(sorted(folders), True)))
    try:
        await asyncio.sleep(0)  # now the tasks have begun to watch
        yield set()
        while not stop.is_set():
            changed = await queue.get()
            if changed:
                yield changed
    finally:
        stop.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _watched_folders(root: Path) -> frozenset[Path]:
    try:
        return frozenset(entry for entry in root.iterdir() if entry.is_dir() and not _is_skipped(entry))
    except OSError:
        return frozenset()


def _is_skipped(folder: Path) -> bool:
    name = folder.name
    return name.startswith(".") or name in SKIPPED_FOLDERS or (folder / "pyvenv.cfg").exists()


def _is_watched(root: Path, _change: Change, path: str) -> bool:
    """Whatever the folders are named that the project lies in: those of the project itself count."""
    folder = Path(path).parent
    below = folder.relative_to(root) if folder.is_relative_to(root) else folder
    return SKIPPED_FOLDERS.isdisjoint(below.parts)
