"""Which functions the emulator of a test knows: those that its process has imported, and the project's."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from defer_client.errors import DeferError
from defer_client.functions import DeferredFunction, declared
from defer_emulator.config import Config
from defer_emulator.domain.functions import FunctionSpec
from defer_emulator.domain.jobs import Job
from defer_emulator.generations import Judgement, judge
from defer_emulator.project.finder import Project, SourceFile, find_project, find_root
from defer_emulator.runner.loading import ImportProblem, LoadResult, function_spec
from defer_emulator.scheduler.loop import Scheduler
from defer_emulator.store.store import Store
from defer_emulator.workers.python.describe import describe_function, find_function, import_source, problem
from defer_emulator.workers.python.environment import call_hook

Deferred = DeferredFunction[..., Any]


class Functions:
    """The functions of a test, by name.

    Of two with one name, that of `namespace` (the test's module) counts, else the latest. Those that are
    written in `foreign_files` (other tests) do not exist.
    """

    def __init__(
        self, project: LoadedProject, namespace: Mapping[str, Any], foreign_files: Collection[str] = ()
    ) -> None:
        self._project = project
        self._namespace = namespace
        self._foreign = foreign_files
        self._known: dict[str, Deferred] = {}
        self._adopted: dict[str, Deferred] = {}  # by a scheduler

    def find(self, job: Job) -> Deferred:
        """The function of a job."""
        return self._known[job.function]

    def named(self, name: str) -> Deferred | None:
        """The function of that name, if its code is there."""
        return self._known.get(name)

    def register(self, store: Store) -> None:
        """Write down which functions there are now."""
        judgement = self._judge()
        with store.write() as tx:
            tx.register(judgement.functions, judgement.broken)

    def adopt(self, scheduler: Scheduler) -> bool:
        """Tell the scheduler which functions there are now; whether that is news."""
        if self._present() == self._adopted:
            return False
        judgement = self._judge()
        self._adopted = self._known
        scheduler.adopt(judgement.functions, judgement.broken)
        return True

    def _judge(self) -> Judgement:
        self._known = present = self._present()
        return judge(
            LoadResult(
                generation=1,
                functions=[_spec(function, self._project.root) for function in present.values()],
                problems=[broken for broken in self._project.problems if broken.function not in present],
                modules=(),
                unforkable=None,
                output=(),
            )
        )

    def _present(self) -> dict[str, Deferred]:
        own = (value for value in self._namespace.values() if isinstance(value, DeferredFunction))
        return {
            **{name: one for name, one in declared.items() if self._is_there(one)},
            **{one.name: one for one in own},
        }

    def _is_there(self, function: Deferred) -> bool:
        return function.__module__ in sys.modules and _file(function) not in self._foreign


class LoadedProject:
    """A project whose files have been imported into this process."""

    def __init__(self, root: Path, config: Config, problems: Collection[ImportProblem]) -> None:
        self.root = root
        self.config = config
        self.problems = problems


@cache
def load_project_of(start: Path) -> LoadedProject:
    """The project that the folder `start` is in, all of its functions imported, once in each process.

    Where there is none, nothing is imported. Raises `ConfigError`, and what its `setup` raises.
    """
    try:
        root = find_root(start)
    except DeferError:
        return LoadedProject(start, Config(), ())
    return _load(root)


@cache
def _load(root: Path) -> LoadedProject:
    config = Config.load(root, os.environ)
    try:
        project = find_project(root, config)
    except DeferError:
        return LoadedProject(root, config, ())
    sys.path += [path for path in map(str, project.import_paths) if path not in sys.path]
    call_hook(config.setup)
    return LoadedProject(root, config, _import_all(project))


def _import_all(project: Project) -> list[ImportProblem]:
    """Import every function's file that has not been imported, under whatever name; what is wrong."""
    imported = {
        os.path.realpath(file)
        for module in tuple(sys.modules.values())
        if isinstance(file := getattr(module, "__file__", None), str)
    }
    files = [file for file in project.files if os.path.realpath(file.path) not in imported]
    return [wrong for file in files if file.is_importable and (wrong := _import(project.root, file))]


def _import(root: Path, file: SourceFile) -> ImportProblem | None:
    try:
        find_function(import_source(file.module, str(root), file.relative), file.function)
    except (Exception, SystemExit) as error:
        found = problem(error, str(root), file.relative)
        return ImportProblem(function=file.function, source=file.relative, **found)
    return None


@cache
def _spec(function: Deferred, root: Path) -> FunctionSpec:
    file = _file(function)
    relative = os.path.relpath(file, root) if file.startswith(str(root)) else file
    relative = relative.replace(os.sep, "/")
    return function_spec(describe_function(function, function.name, function.__module__, relative))


def _file(function: Deferred) -> str:
    code = getattr(inspect.unwrap(function.original), "__code__", None)
    return "" if code is None else code.co_filename
