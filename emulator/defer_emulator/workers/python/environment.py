"""The surroundings of the project's code: directory, import path, environment, hooks."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Mapping
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from typing import Any

from defer_emulator.runner.frames import Load
from defer_emulator.workers.python.traces import is_of_project

_FRESH = 2.0  # seconds


class _FreshSourceLoader(SourceFileLoader):
    """Compiles what was saved just now instead of trusting a `.pyc`.

    A `.pyc` is told from its source by size and whole seconds: of two saves within one second, it can
    hold the first.
    """

    def path_stats(self, path: str) -> Mapping[str, Any]:
        stats = super().path_stats(path)
        if abs(time.time() - stats["mtime"]) < _FRESH:
            raise OSError  # "no stats": the import system neither reads nor writes a `.pyc`
        return stats


def prepare(load: Load) -> None:
    """Become a process of the project. Raises what its `setup` raises."""
    os.environ.update(load.env)
    os.chdir(load.root)
    sys.path[:0] = load.import_paths
    loaders = [
        (ExtensionFileLoader, EXTENSION_SUFFIXES),
        (_FreshSourceLoader, SOURCE_SUFFIXES),
        (SourcelessFileLoader, BYTECODE_SUFFIXES),
    ]
    make_finder = FileFinder.path_hook(*loaders)

    def finder_of_project(path: str) -> FileFinder:
        if not is_of_project(os.path.join(path, ""), load.root):
            raise ImportError("not of the project")
        return make_finder(path)  # type: ignore[return-value]

    sys.path_hooks.insert(0, finder_of_project)
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()
    call_hook(load.setup)


def call_hook(hook: str | None) -> None:
    """Call a `module:function` of the config, if there is one. Raises what it raises."""
    if hook is None:
        return
    module, _, name = hook.partition(":")
    target: Any = importlib.import_module(module)
    for part in name.split("."):
        target = getattr(target, part)
    target()
