"""`defer check`: all rules over a project, and what importing it has shown."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from defer_emulator.config import Config
from defer_emulator.domain.functions import FunctionSpec
from defer_emulator.project.diagnostics import Diagnostic, in_order
from defer_emulator.project.finder import Project, find_folders, load_project
from defer_emulator.project.parser import UNKNOWN, FoundFunction, Given, ParsedFile, Place, parse_file
from defer_emulator.project.rules import Facts, check_functions, import_problem
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


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckResult:
    project: Project
    files: tuple[ParsedFile, ...]  # with what importing has added
    diagnostics: tuple[Diagnostic, ...]  # by file and line

    @property
    def has_errors(self) -> bool:
        return any(found.severity == "error" for found in self.diagnostics)


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
    project = load_project(root, find_folders(root, config))
    files = tuple(parse_file(source) for source in project.files)
    if imported:
        files = tuple(_with_imported(parsed, imported) for parsed in files)
    facts = Facts(
        project=project,
        files=files,
        all_configured=bool(config.folders),
        installed=package_folders(root, config) if installed is None else installed,
    )
    found = [*check_functions(facts), *check_usage(project, files)]
    if imported:
        found += _import_problems(project, imported.failures, found)
    return CheckResult(project=project, files=files, diagnostics=in_order(found))


def package_folders(root: Path, config: Config) -> tuple[Path, ...]:
    """Where the packages of the project's Python are: the configured one, `.venv`, else this one."""
    prefix = (root / config.python).parent.parent if config.python else root / ".venv"
    own = tuple(sorted(prefix.glob("lib/python*/site-packages")))
    return own or tuple(
        Path(entry) for entry in sys.path if entry.endswith(("site-packages", "dist-packages"))
    )


def _with_imported(parsed: ParsedFile, imported: Imported) -> ParsedFile:
    """The facts with what the source left open filled in."""
    specs = {spec.name: spec for spec in imported.functions if spec.file == parsed.source.relative}
    failures = [failure for failure in imported.failures if failure.file == parsed.source.relative]
    known = [_filled(function, specs.pop(function.name, None)) for function in parsed.functions]
    functions = (*known, *(_found(spec) for spec in specs.values()))
    use = parsed.own_name
    if use == "other" and any("no background function" in failure.message for failure in failures):
        use = "plain"
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
    project: Project, failures: Iterable[ImportFailure], found: Sequence[Diagnostic]
) -> list[Diagnostic]:
    """What fails for a reason that a finding gives already is not told twice."""
    explained = {each.file for each in found if each.code in EXPLAINING and each.severity == "error"}
    if any(each.code in ("DF010", "DF020") for each in found):  # Python looked in the other folder
        own = {(source.relative, f"No module named '{source.module}'") for source in project.files}
        failures = [each for each in failures if (each.file, each.message.partition(": ")[2]) not in own]
    return [
        import_problem(failure.at or failure.file, failure.line, failure.message)
        for failure in failures
        if explained.isdisjoint((failure.at, failure.file))
    ]
