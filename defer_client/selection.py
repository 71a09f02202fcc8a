"""Environment → backend: where a call goes, in the order that the documentation gives.

1. inside a worker, to its emulator; 2. a backend that the program asked for (`use_backend`, `DEFER_BACKEND`);
3. under pytest, nowhere; 4. `DEFER_ENDPOINT`, by HTTP; 5. the file of the nearest project; 6. nowhere.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal, NamedTuple

from defer_client.errors import NoBackendError

if TYPE_CHECKING:
    from defer_client.backend import Backend

STATE_FOLDER = ".defer"
TEST_PROCESS = "DEFER_TEST_PROCESS"
"""Environment: the process that runs tests. Those that it starts by `multiprocessing` are its tests' too."""


class Project(NamedTuple):
    root: str
    inode: int  # of its state folder: one that was deleted and made anew is another project


class Choice(NamedTuple):
    """What the environment says, before anything is opened. Each call makes one: tuples are quick."""

    kind: Literal["inline", "http", "local"]
    endpoint: str = ""
    token: str = ""
    execution_token: str = ""  # of the execution that this process was started by, "<id>.<secret>"
    project: Project | None = None


_worker: tuple[int, Backend] | None = None  # with the process it is valid in
_execution: ContextVar[Callable[[], Backend] | None] = ContextVar("defer_execution_backend", default=None)
_given: list[Backend] = []
_projects: dict[tuple[str | None, str | None], Project] = {}
_opened: dict[tuple[int, Choice], Backend] = {}  # by process: connections do not survive a fork


def current_backend(source: str | None = None) -> Backend:
    """The backend for a call made now. `source` is the file of the called function, "" if it has none.

    Raises `NoBackendError`, and what opening the backend raises.
    """
    backend = _worker_backend()
    if backend is not None:
        return backend
    give = _execution.get()
    if give is not None:
        return give()
    if _given:
        return _given[-1]
    key = (os.getpid(), _chosen(source))
    opened = _opened.get(key)
    if opened is None:
        opened = _opened[key] = _open(key[1])
    return opened


def defer_enabled() -> bool:
    """Whether calls made now go to a server or a project's file, rather than nowhere or running inline."""
    if _worker_backend() is not None or _execution.get() is not None or _given:
        return True
    try:
        return _chosen(None).kind != "inline"
    except NoBackendError:
        return False


def _chosen(source: str | None) -> Choice:
    """The choice of this process. Raises `NoBackendError`, also in tests that do not say where calls go."""
    if not os.environ.get("DEFER_BACKEND") and _is_pytest():
        raise NoBackendError(
            "a deferred function was called under pytest without the fixture `defer_emulator`: "
            "a test never sends real work",
            hint="add the argument defer_emulator to the test; where it really wants a server or a file,"
            " set DEFER_BACKEND=http or DEFER_BACKEND=local",
        )
    return choose(os.environ, _imported() if source is None else source)


def _imported() -> str | None:
    """The file of a function that lies in a project: what a question about no function asks about."""
    from defer_client.functions import declared

    files = (function._source for function in list(declared.values()))
    return next((file for file in files if find_project(file)), None)


def _is_pytest() -> bool:
    """Whether this process runs tests, has run them, collects them or belongs to one that does.

    A program that a test starts is itself. Threads and exit handlers of tests outlive their session.
    """
    if "defer_emulator.pytest_plugin" in sys.modules:  # which only pytest imports, before any conftest.py
        return True
    if "pytest" in sys.modules:  # the plugin may be off
        return "PYTEST_CURRENT_TEST" in os.environ or "PYTEST_VERSION" in os.environ
    multiprocessing = sys.modules.get("multiprocessing.process")
    parent = multiprocessing and multiprocessing.parent_process()
    return parent is not None and str(parent.pid) == os.environ.get(TEST_PROCESS)


def choose(environment: Mapping[str, str], source: str | None) -> Choice:
    """The choice where neither a worker nor the program has made one. Raises `NoBackendError`."""
    asked = environment.get("DEFER_BACKEND", "")
    if asked not in ("", "inline", "http", "local"):
        raise NoBackendError(
            f"DEFER_BACKEND={asked} is unknown", hint='set it to "inline", "local" or "http", or not at all'
        )
    if asked == "inline":
        return Choice(kind="inline")
    execution_token = environment.get("DEFER_EXECUTION_TOKEN", "")
    endpoint = environment.get("DEFER_ENDPOINT", "")
    if endpoint and asked != "local":
        token = environment.get("DEFER_TOKEN", "")
        return Choice(kind="http", endpoint=endpoint, token=token, execution_token=execution_token)
    if asked == "http":
        raise NoBackendError(
            "DEFER_BACKEND=http needs DEFER_ENDPOINT", hint="set it, such as http://127.0.0.1:3337"
        )
    project = find_project(source)
    if project is None:
        here = _working_directory() or "the working directory, which was deleted,"
        raise NoBackendError(
            f"no project found: there is no folder {STATE_FOLDER}/ in {here} or above it, "
            "and DEFER_ENDPOINT is not set",
            hint="run `defer init` in the project's root, or set DEFER_ENDPOINT=http://127.0.0.1:3337",
        )
    return Choice(kind="local", project=project, execution_token=execution_token)


def find_project(source: str | None = None) -> Project | None:
    """The nearest folder with `.defer/`, from the working directory up, else from the file `source` up."""
    here = _working_directory()
    known = _projects.get((here, source))
    if known is not None and _inode(known.root) == known.inode:
        return known
    for start in (here, source and os.path.dirname(os.path.abspath(source))):  # noqa: PTH100, PTH120
        folder = start
        while folder:
            inode = _inode(folder)
            if inode is not None:
                found = _projects[here, source] = Project(folder, inode)
                return found
            above = os.path.dirname(folder)  # noqa: PTH120 (a Path for each level costs more than a call)
            folder = above if above != folder else None
    return None


def set_worker_backend(backend: Backend | None) -> None:
    """For the worker: from now on every call of this process goes there.

    Not inherited by fork: a child must not write into its parent's pipe.
    """
    global _worker
    _worker = None if backend is None else (os.getpid(), backend)


def set_execution_backend(give: Callable[[], Backend]) -> None:
    """For runners in this process: calls of the present context, an execution's, go to what `give` returns.

    `give` raises when the execution is over.
    """
    _execution.set(give)


@contextmanager
def use_backend(backend: Backend) -> Iterator[None]:
    """Send all calls of this process to `backend` in the block: for tests and tools."""
    _given.append(backend)
    try:
        yield
    finally:
        _given.remove(backend)


def _worker_backend() -> Backend | None:
    return _worker[1] if _worker is not None and _worker[0] == os.getpid() else None


def _working_directory() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109
    except OSError:  # it was deleted
        return None


def _inode(folder: str) -> int | None:
    try:
        return os.stat(f"{folder}/{STATE_FOLDER}/").st_ino  # noqa: PTH116
    except OSError:
        return None


def _open(choice: Choice) -> Backend:
    if choice.kind == "inline":
        from defer_client.inline import InlineBackend

        return InlineBackend()
    if choice.kind == "http":
        try:
            from defer_client.http import HttpBackend
        except ModuleNotFoundError as error:
            raise NoBackendError(
                f"DEFER_ENDPOINT={choice.endpoint} is set, but {error.name}, which calls by HTTP need, "
                "is not installed",
                hint="pip install httpx, or set DEFER_BACKEND=local to use the project's file",
            ) from error
        return HttpBackend(choice.endpoint, choice.token, execution_token=choice.execution_token)
    from pathlib import Path

    from defer_emulator.backend import open_backend

    assert choice.project is not None
    parent = choice.execution_token.partition(".")[0] or None
    backend: Backend = open_backend(Path(choice.project.root), parent)
    return backend
