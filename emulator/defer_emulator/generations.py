"""The project's code, generation after generation: what is found, loaded, judged, and taken over."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from defer_client.errors import DeferError
from defer_emulator.config import Config
from defer_emulator.domain import cron
from defer_emulator.domain.functions import BrokenFunction, FunctionSpec
from defer_emulator.notify.events import Bus, Reloaded, Trouble
from defer_emulator.project.check import Imported, ImportFailure, check_project
from defer_emulator.project.diagnostics import Diagnostic
from defer_emulator.project.finder import Project, find_project
from defer_emulator.runner.loading import LoadRequest, LoadResult, ModuleFile

if TYPE_CHECKING:  # `defer check` needs a part of this module, and none of them
    from defer_emulator.runner.pool import ProcessPool
    from defer_emulator.scheduler.loop import Scheduler

CONFIG_FILES = ("defer.toml", "pyproject.toml")
_COARSE = 20_000_000  # ns: how much older than the moment of its save a file may look


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """Which functions of a load can run, and why the others cannot."""

    functions: tuple[FunctionSpec, ...]
    broken: Mapping[str, BrokenFunction]  # by name


def judge(result: LoadResult) -> Judgement:
    """A function whose file failed, or that the scheduler could not honour, is broken; the others run."""
    broken = {
        problem.function: BrokenFunction(
            reason=f"{problem.file}:{problem.line}: {problem.message}", file=problem.source
        )
        for problem in result.problems
    }
    for spec in result.functions:
        reason = refusal(spec, result.functions)
        if reason is not None:
            place = f"{spec.file}:{spec.line}"
            broken[spec.name] = BrokenFunction(
                reason=f"{place}: {reason}", module=spec.module, file=spec.file, line=spec.line
            )
    functions = tuple(spec for spec in result.functions if spec.name not in broken)
    return Judgement(functions=functions, broken=broken)


def refusal(spec: FunctionSpec, functions: Sequence[FunctionSpec]) -> str | None:
    """Why a function that was imported, beside these others, cannot run; None where it can."""
    files = sorted(other.file for other in functions if other.name == spec.name)
    if len(files) > 1:
        return f"more than one function is named {spec.name}: {', '.join(files)}"
    if spec.kind != "cron":
        return None
    if spec.parameters:
        return f"a cron takes no parameters, {spec.name} has {spec.parameters[0].name!r}"
    reason = cron.validate(spec.cron or "")
    return None if reason is None else f"cron {spec.cron!r}: {reason}"


def load_request(project: Project, config: Config) -> LoadRequest:
    """What the pool has to load of a project."""
    from dotenv import dotenv_values

    env = dotenv_values(project.root / config.env_file)
    return LoadRequest(
        modules=[
            ModuleFile(module=source.module, file=source.relative, function=source.function)
            for source in project.files
            if source.is_importable
        ],
        import_paths=[str(path) for path in project.import_paths],
        env={name: value for name, value in env.items() if value is not None},
        setup=config.setup,
        after_fork=config.after_fork,
    )


def imported(result: LoadResult) -> Imported:
    """What a load tells the rules of `defer check`."""
    return Imported(
        functions=result.functions,
        failures=[
            ImportFailure(file=problem.source, message=problem.message, at=problem.file, line=problem.line)
            for problem in result.problems
        ],
        python=result.python,
    )


class Generations:
    """Loads the code at the start and after each save."""

    def __init__(
        self,
        *,
        root: Path,
        config: Config,
        pool: ProcessPool,
        scheduler: Scheduler,
        bus: Bus,
        on_diagnostics: Callable[[Sequence[Diagnostic]], None],
    ) -> None:
        self._root = root
        self._config = config
        self._pool = pool
        self._scheduler = scheduler
        self._bus = bus
        self._on_diagnostics = on_diagnostics
        self._checking: asyncio.Task[None] | None = None
        self._result: LoadResult | None = None  # of the latest load
        self._project: Project | None = None
        self._watched: frozenset[Path] = frozenset()  # files whose change matters
        self._read_since = time.time_ns()  # when the latest load began to read files
        self._judgement = Judgement(functions=(), broken={})

    async def load_first(self) -> LoadResult:
        """Raises `ProjectNotFound`, `TooManyFolders`, `WorkersUnavailable`."""
        return await self._load()

    async def reload(self, changed: frozenset[Path]) -> None:
        """Take over saved files. What cannot be loaded is told, and the code before stays."""
        if self._matters(changed):
            await self._reload(changed)
        elif self._result is not None and any(path.suffix == ".py" for path in changed):
            self.check(self._result)  # code that calls the functions, perhaps wrongly

    async def catch_up(self, *, at_start: bool) -> None:
        """Take over what was saved while nobody could notice: after the load at the start, or in a folder
        that has appeared, where a file may be that another one could not import."""
        changed = self._unnoticed()
        if changed or (self._judgement.broken and not at_start):
            await self._reload(changed)

    async def _reload(self, changed: frozenset[Path]) -> None:
        begun, before = time.monotonic(), self._judgement
        try:
            if any(path.name in CONFIG_FILES for path in changed):
                config = Config.load(self._root, os.environ)
                self._config = replace(config, python=self._config.python)  # one, all its life
            result = await self._load()
        except DeferError as error:
            self._bus.publish(Trouble(message=error.message, hint=error.hint))
            return
        seconds = time.monotonic() - begun
        self._bus.publish(_reloaded(result.generation, self._root, changed, before, self._judgement, seconds))
        self.check(result)

    def check(self, result: LoadResult) -> None:
        """Run the rules over all files, beside the scheduler; only the latest load is of interest."""
        if self._checking is not None:
            self._checking.cancel()
        self._checking = asyncio.get_running_loop().create_task(self._check(result))

    def close(self) -> None:
        if self._checking is not None:
            self._checking.cancel()

    async def _check(self, result: LoadResult) -> None:
        try:
            checked = await asyncio.to_thread(check_project, self._root, self._config, imported(result))
        except DeferError:
            return  # the folder is gone: the reload says so
        self._on_diagnostics(checked.diagnostics)

    async def _load(self) -> LoadResult:
        self._read_since = time.time_ns()
        self._project = project = find_project(self._root, self._config)
        self._result = result = await self._pool.load(load_request(project, self._config))
        problems = (self._root / problem.file for problem in result.problems)
        self._watched = frozenset((*result.modules, *problems, *(source.path for source in project.files)))
        self._judgement = judge(result)
        self._scheduler.adopt(self._judgement.functions, self._judgement.broken)
        return result

    def _matters(self, changed: frozenset[Path]) -> bool:
        """Whether these files are part of what runs: tests and scripts may change as they like."""
        if self._judgement.broken or changed & (self._watched | self._settings()):
            return True
        folders = () if self._project is None else self._project.folders
        return any(path.is_relative_to(folder) for path in changed for folder in folders)

    def _settings(self) -> set[Path]:
        return {self._root / name for name in (*CONFIG_FILES, self._config.env_file)}

    def _unnoticed(self) -> frozenset[Path]:
        """Files of the project that were saved, made or removed since the latest load began."""
        since = self._read_since - _COARSE
        saved = {path for path in (*self._watched, *self._settings()) if _is_younger(path, since)}
        known = set() if self._project is None else {source.path for source in self._project.files}
        try:
            found = {source.path for source in find_project(self._root, self._config).files}
        except DeferError:
            found = known
        return frozenset(saved | (found ^ known))


def _is_younger(path: Path, since: int) -> bool:
    try:
        return path.stat().st_mtime_ns > since
    except OSError:
        return False


def _reloaded(
    generation: int,
    root: Path,
    changed: frozenset[Path],
    before: Judgement,
    after: Judgement,
    seconds: float,
) -> Reloaded:
    old = {spec.name: spec for spec in before.functions}
    new = {spec.name: spec for spec in after.functions}
    known = old.keys() | before.broken.keys()
    return Reloaded(
        generation=generation,
        changed=tuple(sorted(os.path.relpath(path, root) for path in changed)),
        added=tuple(sorted(new.keys() - known)),
        removed=tuple(sorted(known - new.keys() - after.broken.keys())),
        updated=tuple(sorted(name for name in new.keys() & old.keys() if new[name] != old[name])),
        broken=tuple(sorted(after.broken)),
        seconds=seconds,
    )
