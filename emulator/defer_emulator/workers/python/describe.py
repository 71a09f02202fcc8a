"""What the project's files hold, found by importing them: functions, problems, and whether one may fork."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import linecache
import os
import stat
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

from defer_client.functions import DeferredFunction
from defer_emulator.runner.frames import Described, JsonObject, Load
from defer_emulator.workers.python.traces import is_of_project, last_place, without_our_frames

_LONGEST_TRACEBACK = 4_000  # characters of its end


class ImportRefused(Exception):
    """A module that was imported is not the file that the project means."""


def describe(load: Load, announce: Callable[[str], None]) -> Described:
    """Import every file, each for itself. `announce` is told a file's name before its import."""
    functions: list[JsonObject] = []
    problems: list[JsonObject] = []
    unforkable: str | None = None
    before = _sockets()
    for module_name, file, name in load.modules:
        announce(file)
        try:
            module = import_source(module_name, load.root, file)
            functions.append(describe_function(find_function(module, name), name, module_name, file))
        except BaseException as error:
            problems.append({"source": file, "function": name, **problem(error, load.root, file)})
        unforkable = unforkable or _left_behind(file, before)
    return Described(
        functions=functions,
        problems=problems,
        modules=_project_files(load.root),
        unforkable=unforkable,
        python=python_version(),
    )


def python_version() -> str:
    """`3.12.1`."""
    return ".".join(map(str, sys.version_info[:3]))


def problem(error: BaseException, root: str, source: str) -> JsonObject:
    """Why a file cannot be used, and the last place of the project that led there."""
    place = last_place(error, root)
    without_our_frames(error)
    if isinstance(error, SyntaxError):
        said = f"{type(error).__name__}: {error.msg}"
    elif isinstance(error, SystemExit):
        said = f"importing it called sys.exit({error.code!r})"
    elif isinstance(error, ImportRefused):
        said = str(error)
    else:
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return {
        "file": os.path.relpath(place[0], root).replace(os.sep, "/") if place else source,
        "line": place[1] if place else 1,
        "message": said,
        "traceback": trace[-_LONGEST_TRACEBACK:],
    }


def find_function(module: ModuleType, name: str) -> DeferredFunction[..., Any]:
    """The deferred function of that name. Raises `ImportRefused`."""
    found = getattr(module, name, None)
    if isinstance(found, DeferredFunction):
        return found
    if callable(found):
        raise ImportRefused(f"{name} is no background function: put @defer above it")
    raise ImportRefused(f"no background function named {name}: a file holds one, named after the file")


def import_source(name: str, root: str, file: str) -> ModuleType:
    """The module of that name, which must be that file. Raises `ImportRefused` and what importing raises."""
    module = importlib.import_module(name)
    source = getattr(module, "__file__", None)
    if source is None or os.path.realpath(source) != os.path.realpath(os.path.join(root, file)):
        raise ImportRefused(f"`import {name}` gives {source or 'a namespace package'}, not this file")
    return module


def describe_function(function: DeferredFunction[..., Any], name: str, module: str, file: str) -> JsonObject:
    """A `FunctionSpec` as JSON. `file` is the function's, relative to the project's root."""
    original = inspect.unwrap(function.original)
    code = getattr(original, "__code__", None)
    options = function.options
    doc = inspect.getdoc(original)
    return {
        "name": name,
        "module": module,
        "file": file,
        "line": 1 if code is None else _line_of_def(code.co_filename, code.co_firstlineno),
        "kind": function.kind,
        "cron": function.cron_expression,
        "retry": asdict(options.retry),
        "concurrency": options.concurrency,
        "max_duration": options.max_duration,
        "max_concurrency_action": options.max_concurrency_action,
        "parameters": [_parameter(parameter) for parameter in function.signature.parameters.values()],
        "is_async": inspect.iscoroutinefunction(original),
        "doc": doc.strip().splitlines()[0] if doc and doc.strip() else None,
    }


def _line_of_def(file: str, first: int) -> int:
    """A decorated function's code begins at its first decorator; its `def` is what a reader looks for."""
    for line in range(first, first + 100):
        text = linecache.getline(file, line).lstrip()
        if text.startswith(("def ", "async def ", "async  def ")):
            return line
        if not text:
            break
    return first


def _parameter(parameter: inspect.Parameter) -> JsonObject:
    empty = inspect.Parameter.empty
    annotation = parameter.annotation
    return {
        "name": parameter.name,
        "kind": parameter.kind.name.lower(),
        "required": parameter.default is empty
        and parameter.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD),
        "annotation": None if annotation is empty else _written(annotation),
        "default": None if parameter.default is empty else _safe_repr(parameter.default),
    }


def _written(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _safe_repr(value: object) -> str:
    try:
        return repr(value)[:200]
    except Exception:
        return f"<{type(value).__name__}>"


def _project_files(root: str) -> list[str]:
    return sorted({file for file in _module_files() if is_of_project(file, root)})


def _module_files() -> Iterator[str]:
    for module in tuple(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            yield str(Path(file).absolute())


def _left_behind(file: str, sockets: set[int]) -> str | None:
    """What makes a fork unsafe: threads do not survive it, and connections must not be shared."""
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            return f"importing {file} left a thread running ({thread.name})"
    if _sockets() - sockets:
        return f"importing {file} left a socket or an event loop open"
    return None


def _sockets() -> set[int]:
    found: set[int] = set()
    for name in os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                found.add(int(name))
    return found
