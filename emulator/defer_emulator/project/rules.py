"""The rules for functions and their files: a generator for each. `usage.py` has those for their callers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from keyword import iskeyword
from pathlib import Path

from defer_client.errors import InvalidOption
from defer_client.options import FunctionOptions, function_options
from defer_emulator.domain import cron
from defer_emulator.project.diagnostics import Diagnostic, at, problem
from defer_emulator.project.finder import Project, folders_setting, import_path, is_function_file
from defer_emulator.project.parser import UNKNOWN, FoundFunction, Given, ParsedFile, parameters_of
from defer_emulator.project.sources import Place

EXAMPLE = '"0 8 * * MON"'
OPTIONS = frozenset(option.name for option in fields(FunctionOptions))


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What the rules judge."""

    project: Project
    files: Sequence[ParsedFile]
    all_configured: bool  # the configuration lists the folders
    installed: Sequence[Path] = ()  # the folders with the installed packages of the project's Python


def check_functions(facts: Facts) -> Iterator[Diagnostic]:
    """All findings about the functions' files and folders."""
    for parsed in facts.files:
        yield from _file_name(parsed)
        if parsed.problem:
            yield _at(parsed, "DF008", parsed.problem.message, parsed.problem.fix, parsed.problem.place)
            continue
        yield from _named_after_the_file(parsed)
        yield from _one_function(parsed)
        for function in parsed.functions:
            yield from _kept(parsed, function)
            yield from _parameters(parsed, function)
            yield from _asynchronous(parsed, function)
            yield from _options(parsed, function)
            yield from _expression(parsed, function)
            yield from _frequency(parsed, function)
    yield from _unique_names(facts)
    yield from _folders(facts)
    yield from _packages(facts)
    yield from _installed(facts)
    yield from _files_beside(facts)


def import_problem(file: str, line: int, message: str, column: int = 1) -> Diagnostic:
    """The finding for a file that failed when it was imported: the place of the last frame in the project,
    and the exception as `ModuleNotFoundError: No module named 'requests'`."""
    code = "DF009"
    message, _, hint = message.partition("\n  hint: ")
    missing = re.search(r"No module named '([^'.]+)", message)
    if message.startswith("InvalidOption: "):
        code, message = "DF007", message.removeprefix("InvalidOption: ")
        fix = hint or "correct the value"
    elif missing:
        fix = f"install {missing[1]} where the workers run, or correct the name"
    elif "circular import" in message:
        fix = "move one of the two imports into the function that needs it"
    elif finds_no_function(message):
        code = "DF001"
        fix = "put @defer above all other decorators, at the top level of the file"
    elif message.startswith("`import "):
        fix = "rename the folder, or what is found instead of it; defer doctor shows sys.path"
    else:
        fix = hint or "correct the line, or what it calls"
    return problem(code, file, message, fix, line=max(line, 1), column=max(column, 1))


def finds_no_function(message: str) -> bool:
    """Whether importing a file has failed because what bears its name is not deferred."""
    return "no background function" in message


def _at(parsed: ParsedFile, code: str, message: str, fix: str, place: Place) -> Diagnostic:
    return at(code, parsed.source.relative, message, fix, place)


# --- a file -----------------------------------------------------------------------------------


def _file_name(parsed: ParsedFile) -> Iterator[Diagnostic]:
    if not parsed.source.is_importable:
        name, better = parsed.source.path.name, better_name(parsed)
        fix = f"rename it to {better}.py" if better else "rename its folder"
        yield _at(
            parsed,
            "DF017",
            f"{parsed.source.module!r} ({name}) is no Python name",
            fix,
            Place(line=1, column=1),
        )


def better_name(parsed: ParsedFile) -> str:
    """The name, without `.py`, for a file that cannot be imported; "" where its folder is to blame."""
    name = parsed.source.function
    if name.isidentifier() and not iskeyword(name):
        return ""
    only = parsed.functions[0].name if len(parsed.functions) == 1 else ""
    return only if only and is_function_file(f"{only}.py") else python_name(name)


def python_name(text: str) -> str:
    """The nearest name in Python's style: `2fa-mail` → `fa_mail`, `sendMail` → `send_mail`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    name = re.sub(r"\W+", "_", words).strip("_").lstrip("0123456789_").lower() or "function"
    return f"{name}_" if iskeyword(name) else name


def _named_after_the_file(parsed: ParsedFile) -> Iterator[Diagnostic]:
    if parsed.own_name in ("deferred", "other") or not parsed.source.is_importable:
        return
    name = parsed.source.function
    file = parsed.source.path.name
    if parsed.functions:
        first = parsed.functions[0]
        other = f"{first.name}.py"
        fix = f"rename the function to {name}" + (
            f", or the file to {other}" if is_function_file(other) else ""
        )
        yield _at(parsed, "DF001", f"{file} holds {first.name!r}, but no function {name!r}", fix, first.place)
    elif parsed.own_name == "plain":
        yield _at(
            parsed,
            "DF001",
            f"{name!r} is not a background function",
            f"put @defer above {name}",
            parsed.own_place,
        )
    else:
        yield _at(
            parsed,
            "DF001",
            f"{file} holds no background function",
            f"write one: @defer, then async def {name}(); or rename the file to _{file}, which is ignored",
            parsed.own_place,
        )


def _one_function(parsed: ParsedFile) -> Iterator[Diagnostic]:
    names = [function.name for function in parsed.functions]
    own = parsed.source.function if parsed.source.function in names else next(iter(names), "")
    for function in parsed.functions:
        if function.name != own:
            yield _at(
                parsed,
                "DF002",
                f"{parsed.source.path.name} holds several background functions: {', '.join(names)}",
                f"move {function.name} to {function.name}.py",
                function.place,
            )


# --- a function -------------------------------------------------------------------------------


def _kept(parsed: ParsedFile, function: FoundFunction) -> Iterator[Diagnostic]:
    if not function.is_kept:
        call = "defer" if function.kind == "background" else "defer.cron"
        yield _at(
            parsed,
            "DF019",
            f"the result of {call}({function.name}, ...) is not kept: {function.name} stays a plain function",
            f"write {function.name} = {call}({function.name}, ...), or put @{call} above the function",
            function.made_at,
        )


def _parameters(parsed: ParsedFile, function: FoundFunction) -> Iterator[Diagnostic]:
    if function.kind == "cron" and function.parameters:
        stars = {"var_positional": "*", "var_keyword": "**"}
        names = ", ".join(stars.get(given.kind, "") + given.name for given in function.parameters)
        yield _at(
            parsed,
            "DF003",
            f"cron functions take no arguments, but {function.name} has: {names}",
            f"remove the parameters, or make {function.name} a background function with @defer",
            first_parameter(parsed, function),
        )


def first_parameter(parsed: ParsedFile, function: FoundFunction) -> Place:
    """Where the parameters of a function begin."""
    if function.definition is None or parsed.module is None:
        return function.place
    return parsed.module.place(parameters_of(function.definition.args)[0])


def _asynchronous(parsed: ParsedFile, function: FoundFunction) -> Iterator[Diagnostic]:
    if function.is_async is False:
        yield _at(
            parsed,
            "DF006",
            f"{function.name} is not async",
            f"write async def {function.name}",
            def_word(parsed, function),
        )


def def_word(parsed: ParsedFile, function: FoundFunction) -> Place:
    """The word `def` of a function that is not async."""
    if function.definition is None or parsed.module is None:
        return function.place
    start = parsed.module.place(function.definition)
    return Place(line=start.line, column=start.column, width=len("def"))


def _options(parsed: ParsedFile, function: FoundFunction) -> Iterator[Diagnostic]:
    for name, given in function.options.items():
        if given.value is UNKNOWN and name in OPTIONS:
            continue
        try:
            function_options(**{name: given.value})
        except InvalidOption as error:
            yield _at(parsed, "DF007", error.message, error.hint or "correct the value", given.place)
    if function.misplaced:
        fix = f"for a schedule write @defer.cron({EXAMPLE}); give options by name, such as retry=3"
        what = "defer takes a function" if function.kind == "background" else "defer.cron takes an expression"
        yield _at(
            parsed, "DF007", f"{what} and options by name, not one more value", fix, function.misplaced.place
        )
    if function.yields:
        yield _at(
            parsed,
            "DF007",
            f"{function.name} yields: a background function returns its result once",
            "return a list instead",
            function.place,
        )


def _expression(parsed: ParsedFile, function: FoundFunction) -> Iterator[Diagnostic]:
    if function.kind != "cron":
        return
    given = function.expression or Given(value=None, place=function.place)
    if given.value is UNKNOWN:
        return
    if not isinstance(given.value, str):
        reason = (
            "it has no cron expression" if function.expression is None else "the expression must be a text"
        )
        message = f"{function.name}: {reason}"
    else:
        found = cron.validate(given.value)
        if found is None:
            return
        message = f"{given.value!r} is no cron expression: {found}"
    fix = f'write five fields (minute hour day month weekday, UTC), such as {EXAMPLE}, or "@daily"'
    yield _at(parsed, "DF005", message, fix, given.place)


YEAR = (1_735_689_600_000_000, 1_767_225_600_000_000)  # µs: 2025 begins, 2026 begins
FREQUENCIES = {  # word in a name → how often it may run in a year, and what that is called
    "hourly": (600, 8_784, "once an hour"),
    "daily": (240, 366, "once a day"),
    "nightly": (240, 366, "once a night"),
    "weekly": (50, 54, "once a week"),
    "monthly": (12, 12, "once a month"),
    "quarterly": (4, 4, "four times a year"),
    "yearly": (1, 1, "once a year"),
    "annually": (1, 1, "once a year"),
}


def _frequency(parsed: ParsedFile, function: FoundFunction) -> Iterator[Diagnostic]:
    expression = function.expression.value if function.expression else None
    if function.kind != "cron" or not isinstance(expression, str) or cron.validate(expression):
        return
    words = function.name.lower().split("_")
    for before, word in zip(["", *words], words, strict=False):
        if word not in FREQUENCIES or before in ("bi", "semi", "non", "twice"):
            continue
        low, high, often = FREQUENCIES[word]
        times = cron.count_between(expression, YEAR[0] - 1, YEAR[1] - 1)
        if not low <= times <= high:
            yield _at(
                parsed,
                "DF016",
                f"{function.name} says {word} ({often}), but {expression!r} runs {_rate(times)}",
                "correct the expression, or rename the function",
                function.expression.place if function.expression else function.place,
            )


def _rate(times: int) -> str:
    """How often, for people, from the number of runs in a year."""
    for number, period in ((365 * 24, "hour"), (365, "day"), (52, "week"), (12, "month"), (1, "year")):
        count = round(times / number)
        if count >= 1:
            return f"once a {period}" if count == 1 else f"{count} times a {period}"
    return "less than once a year"


# --- the project ------------------------------------------------------------------------------


def _unique_names(facts: Facts) -> Iterator[Diagnostic]:
    first = {
        parsed.source.function: parsed for parsed in reversed(facts.files) if parsed.own_name == "deferred"
    }
    for parsed in facts.files:
        for old in parsed.replaced:
            new = next(function for function in parsed.functions if function.name == old.name)
            yield _at(
                parsed,
                "DF004",
                f"{old.name} is defined in line {old.place.line} already, which this one replaces",
                "remove one of the two, or rename it and move it to a file of its own",
                new.place,
            )
        for function in parsed.functions:
            other = first.setdefault(function.name, parsed)
            if other is not parsed:
                yield _at(
                    parsed,
                    "DF004",
                    f"{function.name} is defined in {other.source.relative} too",
                    "rename one of the two functions and its file",
                    function.place,
                )


def _folders(facts: Facts) -> Iterator[Diagnostic]:
    project = facts.project
    if len(project.folders) > 1 and not facts.all_configured:
        names = [folder.relative_to(project.root).as_posix() for folder in project.folders]
        for name in names[1:]:
            fix = f"keep one, or list all in the configuration: {folders_setting(names)}"
            yield problem("DF010", name, f"there is a second folder with functions, beside {names[0]}", fix)
    first: dict[str, Path] = {}
    for folder in project.folders:
        name = ".".join(folder.relative_to(import_path(folder)).parts)
        other = first.setdefault(name, folder)
        if other != folder:
            here, there = (each.relative_to(project.root).as_posix() for each in (folder, other))
            inner = folder if folder.parent != project.root else other
            outer = inner.parent.relative_to(project.root).as_posix()
            yield problem(
                "DF020",
                here,
                f"both {there} and {here} are imported as {name!r}",
                f"make the folder around it a package: touch {outer}/__init__.py",
            )


def _packages(facts: Facts) -> Iterator[Diagnostic]:
    for folder in facts.project.folders:
        if not (folder / "__init__.py").exists():
            name = folder.relative_to(facts.project.root).as_posix()
            fix = f"create an empty {name}/__init__.py"
            yield problem("DF011", f"{name}/__init__.py", f"{name}/ has no __init__.py", fix)


def _installed(facts: Facts) -> Iterator[Diagnostic]:
    for folder in facts.project.folders:
        if folder.name != "defer" or import_path(folder) != folder.parent:
            continue  # inside a package: imported as `myapp.defer`
        is_package = (folder / "__init__.py").exists()
        for site in facts.installed:
            found = _package_in(site)
            if found is None or found == folder:
                continue
            name = folder.relative_to(facts.project.root).as_posix()
            yield problem(
                "DF012",
                f"{name}/__init__.py",
                f"an installed package is called defer, too ({found}): {_who_wins(is_package)}",
                "uninstall it (pip uninstall defer)"
                + ("" if is_package else f", or create {name}/__init__.py"),
                severity="warning" if is_package else "error",
            )
            return


def _files_beside(facts: Facts) -> Iterator[Diagnostic]:
    """A `defer.py` where an application may look for the folder `defer/`."""
    for folder in facts.project.folders:
        base = import_path(folder)
        if base != folder.parent:
            continue  # inside a package: imported as `myapp.defer`
        name = folder.relative_to(facts.project.root).as_posix()
        for other in dict.fromkeys((base, facts.project.root)):
            file = other / f"{folder.name}.py"
            wins = other == base
            if not file.is_file() or (wins and (folder / "__init__.py").is_file()):
                continue  # Python takes a package before a file beside it
            yield problem(
                "DF021",
                file.relative_to(facts.project.root).as_posix(),
                f"{file.name} has the name that {name}/ is imported by: {_who_wins(is_package=not wins)}",
                f"rename {file.name}" + (f", or create an empty {name}/__init__.py" if wins else ""),
                severity="error" if wins else "warning",
            )


def _package_in(site: Path) -> Path | None:
    candidates: Iterable[Path] = (site / "defer" / "__init__.py", site / "defer.py")
    found = next((path for path in candidates if path.is_file()), None)
    return found.parent if found and found.name == "__init__.py" else found


def _who_wins(is_package: bool) -> str:
    if is_package:
        return "it wins where the project's folder is not first in sys.path"
    return "it wins over the folder, which has no __init__.py"
