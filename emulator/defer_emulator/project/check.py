"""`defer check`: all rules over a project, and what importing it has shown."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from defer_emulator.config import Config
from defer_emulator.domain.functions import FunctionSpec
from defer_emulator.interpreter import ENVIRONMENT, WorkersUnavailable, choose_python
from defer_emulator.project.callers import Callers, read_callers
from defer_emulator.project.diagnostics import Diagnostic, in_order
from defer_emulator.project.finder import Project, find_folders, load_project
from defer_emulator.project.parser import UNKNOWN, FoundFunction, Given, NameUse, ParsedFile, parse_file
from defer_emulator.project.rules import Facts, check_functions, finds_no_function, import_problem
from defer_emulator.project.sources import Place
from defer_emulator.project.usage import check_usage

EXPLAINING = frozenset({"DF001", "DF005", "DF007", "DF008", "DF017", "DF019"})
"""Where the source shows one of these in a file, the failure of its import says nothing new."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportFailure:
    """A function's file that could not be used when it was imported."""

    file: str  # the function's file, relative to the root, with forward slashes
    message: str  # the exception: `ModuleNotFoundError: No module named 'requests'`
    at: str | None = None  # the file of the last place in the project that led to it; None: `file`
    line: int = 1  # in `at`


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """What importing the project in a child process has shown."""

    functions: Sequence[FunctionSpec] = ()
    failures: Sequence[ImportFailure] = ()
    python: str = ""  # the interpreter's version


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckResult:
    project: Project
    files: tuple[ParsedFile, ...]  # with what importing has added
    diagnostics: tuple[Diagnostic, ...]  # by file and line
    python: str = ""  # the version of the interpreter that has imported it

    @property
    def has_errors(self) -> bool:
        return any(found.severity == "error" for found in self.diagnostics)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What the source of a project tells, before any rule has judged it."""

    project: Project
    files: tuple[ParsedFile, ...]  # those of the functions
    callers: Callers


def read_project(project: Project) -> Reading:
    """Read all that the rules look at. Raises nothing: what cannot be read is a finding, or passed over."""
    files = tuple(parse_file(source) for source in project.files)
    return Reading(project=project, files=files, callers=read_callers(project, files))


@contextmanager
def without_collections() -> Iterator[None]:
    """Trees are many objects that all live on: looking for garbage among them takes half of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def check_project(
    root: Path,
    config: Config,
    imported: Imported | None = None,
    *,
    installed: Sequence[Path] | None = None,
) -> CheckResult:
    """Judge a project without running it; with `imported`, also what only running it can tell.

    `installed`: the folders with the packages of the project's Python; None: found by `package_folders`.
    Raises `ProjectNotFound`. Two folders are a finding here, no error.
    """
    with without_collections():
        reading = read_project(load_project(root, find_folders(root, config)))
        return check_reading(reading, config, imported, installed=installed)


def check_reading(
    reading: Reading,
    config: Config,
    imported: Imported | None = None,
    *,
    installed: Sequence[Path] | None = None,
) -> CheckResult:
    """The same of a project that has been read."""
    project, files = reading.project, reading.files
    if imported:
        files = _with_imported(files, imported)
    facts = Facts(
        project=project,
        files=files,
        all_configured=bool(config.folders),
        installed=package_folders(project.root, config) if installed is None else installed,
    )
    found = [*check_functions(facts), *check_usage(files, reading.callers)]
    if imported:
        found += _import_problems(files, imported.failures, found)
    python = imported.python if imported else ""
    return CheckResult(project=project, files=files, diagnostics=in_order(found), python=python)


def package_folders(root: Path, config: Config) -> tuple[Path, ...]:
    """Where the packages of the project's Python are; nowhere, where there is no such Python."""
    local = tuple(sorted(root.glob(f"{ENVIRONMENT}/lib/python3*/site-packages")))
    if local and config.python is None:
        return local
    try:
        return choose_python(root, configured=config.python).package_folders()
    except WorkersUnavailable:
        return ()


def _with_imported(files: Iterable[ParsedFile], imported: Imported) -> tuple[ParsedFile, ...]:
    """The facts with what the source left open filled in."""
    specs: dict[str, dict[str, FunctionSpec]] = {}
    for spec in imported.functions:
        specs.setdefault(spec.file, {})[spec.name] = spec
    plain = {each.file for each in imported.failures if finds_no_function(each.message)}
    return tuple(
        _with_specs(parsed, specs.get(parsed.source.relative, {}), parsed.source.relative in plain)
        for parsed in files
    )


def _with_specs(parsed: ParsedFile, specs: dict[str, FunctionSpec], is_plain: bool) -> ParsedFile:
    known = [_filled(function, specs.pop(function.name, None)) for function in parsed.functions]
    lines = {function.place.line for function in known}  # by which one is known that has another name there
    functions = (*known, *(_found(spec) for spec in specs.values() if spec.line not in lines))
    use: NameUse = "plain" if is_plain and parsed.own_name == "other" else parsed.own_name
    if any(function.name == parsed.source.function for function in functions):
        use = "deferred"
    return replace(parsed, functions=functions, own_name=use)


def _filled(function: FoundFunction, spec: FunctionSpec | None) -> FoundFunction:
    if spec is None:
        return function
    expression = function.expression
    if spec.cron is not None and (expression is None or expression.value is UNKNOWN):
        expression = Given(value=spec.cron, place=expression.place if expression else function.place)
    return replace(
        function,
        is_async=spec.is_async if function.is_async is None else function.is_async,
        parameters=spec.parameters if function.parameters is None else function.parameters,
        expression=expression,
    )


def _found(spec: FunctionSpec) -> FoundFunction:
    place = Place(line=spec.line, column=1)
    return FoundFunction(
        name=spec.name,
        kind=spec.kind,
        place=place,
        is_async=spec.is_async,
        parameters=spec.parameters,
        expression=None if spec.cron is None else Given(value=spec.cron, place=place),
    )


def _import_problems(
    files: Iterable[ParsedFile], failures: Iterable[ImportFailure], found: Sequence[Diagnostic]
) -> list[Diagnostic]:
    """What fails for a reason that a finding gives already is not told twice."""
    explained = {each.file for each in found if each.code in EXPLAINING and each.severity == "error"}
    sources = {parsed.source.relative: parsed for parsed in files}
    if any(each.code in ("DF010", "DF020") for each in found):  # Python looked in the other folder
        own = {(name, f"No module named '{parsed.source.module}'") for name, parsed in sources.items()}
        failures = [each for each in failures if (each.file, each.message.partition(": ")[2]) not in own]
    return [
        _import_problem(sources.get(failure.file), failure)
        for failure in failures
        if explained.isdisjoint((failure.at, failure.file))
    ]


def _import_problem(parsed: ParsedFile | None, failure: ImportFailure) -> Diagnostic:
    """Where the file itself did not fail, the place is that of the name in it."""
    if parsed is not None and finds_no_function(failure.message):
        place = parsed.own_place
        return import_problem(failure.file, place.line, failure.message, place.column)
    return import_problem(failure.at or failure.file, failure.line, failure.message)
