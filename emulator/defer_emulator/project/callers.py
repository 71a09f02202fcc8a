"""Which files may call the project's functions, and under which names they may know them."""

from __future__ import annotations

import ast
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from defer_emulator.domain.functions import FunctionKind
from defer_emulator.project.diagnostics import Diagnostic, at
from defer_emulator.project.finder import (
    Project,
    SourceFile,
    import_path,
    is_test,
    python_files,
    source_file,
    walk,
)
from defer_emulator.project.parser import ParsedFile, imports, top_level
from defer_emulator.project.sources import Module, read_bytes, read_module

LARGEST = 2_000_000  # bytes: a larger file of the application is data, or was generated
MOST_HOPS = 8  # from file to file, until the function itself


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What a dotted name means to a caller."""

    name: str  # of the function
    module: str
    kind: FunctionKind
    is_module: bool = False  # the module that holds the function


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """A file of the project, read."""

    source: SourceFile
    module: Module


@dataclass(frozen=True, kw_only=True, slots=True)
class Callers:
    """The files beside those of the functions that matter to the rules for calls."""

    files: tuple[Caller, ...] = ()
    exports: Mapping[str, str] = field(default_factory=dict)  # dotted name → what is passed on by it
    findings: tuple[Diagnostic, ...] = ()  # about files that cannot be read


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """Every dotted name under which a file of the project may know a function."""

    targets: Mapping[str, Target]
    exports: Mapping[str, str]

    def find(self, name: str) -> Target | None:
        for _ in range(MOST_HOPS):
            if found := self.targets.get(name):
                return found
            head, rest = name, ""
            while head not in self.exports:
                head, dot, last = head.rpartition(".")
                rest = f"{dot}{last}{rest}"
                if not head:
                    return None
            name = self.exports[head] + rest
        return None

    def all_of(self, module: str) -> Iterator[tuple[str, str]]:
        """The names that `from module import *` binds, each with its dotted name."""
        for name in (*self.targets, *self.exports):
            head, _, last = name.rpartition(".")
            if head == module:
                yield last, name


# --- names ------------------------------------------------------------------------------------


def targets(files: Iterable[ParsedFile]) -> dict[str, Target]:
    """The dotted names of the functions themselves, and of the modules that hold them."""
    found: dict[str, Target] = {}
    packages: dict[Path, str] = {}
    for parsed in files:
        source = parsed.source
        for function in parsed.functions:
            if not function.is_kept:
                continue
            target = Target(name=function.name, module=source.module, kind=function.kind)
            for module in _module_names(source):
                found[f"{module}.{function.name}"] = target
                if function.name == source.function:
                    found[module] = replace(target, is_module=not _is_exported(source, packages))
    return found


def _module_names(source: SourceFile) -> Iterator[str]:
    """The module's name from each folder between the root and it: applications differ in `sys.path`."""
    parts = source.relative.removesuffix(".py").split("/")
    for start in range(len(parts) - source.module.count(".")):
        yield ".".join(parts[start:])


def _is_exported(source: SourceFile, packages: dict[Path, str]) -> bool:
    """Whether the package around it makes the function known under the module's name."""
    folder = source.path.parent
    if folder not in packages:
        try:
            packages[folder] = read_bytes(folder / "__init__.py").decode("utf-8", "replace")
        except OSError:
            packages[folder] = ""
    name = source.function
    return name in packages[folder] and bool(re.search(rf"\bimport\b[^#]*\b{name}\b", packages[folder]))


def _exports(caller: Caller, known: Names) -> Iterator[tuple[str, str]]:
    """The functions that a file imports, so that others may import them from there."""
    source = caller.source
    is_package = source.path.name == "__init__.py"
    parts = source.module.split(".")
    for statement in top_level(caller.module.tree.body):
        if isinstance(statement, ast.Import | ast.ImportFrom):
            for name, target in imports(statement, source.module, is_package=is_package):
                if known.find(target) is not None:
                    for start in range(len(parts)):
                        yield f"{'.'.join(parts[start:])}.{name}", target


# --- files ------------------------------------------------------------------------------------


def read_callers(project: Project, files: Iterable[ParsedFile]) -> Callers:
    """Read what may call a function: the other files of its folder, those of the application that name
    the folder, and those that name a file which passes functions on."""
    files = tuple(files)
    inside = dict.fromkeys(path for folder in project.folders for path in python_files(folder))
    callers: list[Caller] = []
    findings: list[Diagnostic] = []
    for source in _helpers(project, {parsed.source.path for parsed in files}, inside):
        module = read_module(source.path)
        if isinstance(module, Module):
            callers.append(Caller(source=source, module=module))
        elif source.path.name == "__init__.py":  # other ignored files matter to those who import them
            findings.append(at("DF008", source.relative, module.message, module.fix, module.place))
    names = Names(targets=targets(files), exports={})
    outside = (path for _, found in walk(project.root) for path in found)
    unread = [path for path in outside if path not in inside and not is_test(path.name)]
    fresh, mentions = tuple(callers), [_words(folder.name for folder in project.folders)]
    while True:
        found = {path: caller for path in unread if (caller := _read_if(project, path, mentions))}
        unread = [path for path in unread if path not in found]
        callers += found.values()
        passed_on = {
            name: target for caller in (*fresh, *found.values()) for name, target in _exports(caller, names)
        }
        new = [name.split(".") for name in passed_on if name not in names.exports]
        if not new:
            return Callers(files=tuple(callers), exports=names.exports, findings=tuple(findings))
        names = replace(names, exports={**names.exports, **passed_on})
        fresh, mentions = (), [_words(name[-2] for name in new), _words(name[-1] for name in new)]


def _helpers(project: Project, functions: Container[Path], inside: Iterable[Path]) -> Iterator[SourceFile]:
    """The files in the folders of the functions that hold none."""
    for path in inside:
        if path not in functions and not is_test(path.name):
            folder = next(folder for folder in project.folders if path.is_relative_to(folder))
            yield source_file(project.root, import_path(folder), path)


def _words(words: Iterable[str]) -> re.Pattern[bytes]:
    return re.compile(rb"\b(?:" + b"|".join(sorted({re.escape(word).encode() for word in words})) + rb")\b")


def _read_if(project: Project, path: Path, mentions: Iterable[re.Pattern[bytes]]) -> Caller | None:
    """The file, if it is Python and has a word of each kind."""
    try:
        raw = read_bytes(path)
    except OSError:
        return None
    if len(raw) > LARGEST or not all(words.search(raw) for words in mentions):
        return None
    module = read_module(path)
    if not isinstance(module, Module):
        return None
    return Caller(source=source_file(project.root, project.root, path), module=module)
