"""Findings: values with a code, a place, a reason and a fix; and the table of all codes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from defer_emulator.project.sources import Place, shown_lines

Severity = Literal["error", "warning"]

DOCS = "docs/errors.md"


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    title: str
    severity: Severity
    reason: str  # why it matters, a sentence


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnostic:
    """A finding of `defer check`."""

    code: str
    severity: Severity
    file: str  # relative to the project's root, with forward slashes
    line: int  # from 1
    column: int  # from 1, in characters
    message: str
    fix: str
    width: int = field(default=1, compare=False)  # characters from there that it is about

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    @property
    def title(self) -> str:
        return CODES[self.code].title

    @property
    def reason(self) -> str:
        return CODES[self.code].reason

    @property
    def docs(self) -> str:
        """Where the code is explained."""
        return f"{DOCS}#{self.code.lower()}"


def problem(
    code: str,
    file: str,
    message: str,
    fix: str,
    *,
    line: int = 1,
    column: int = 1,
    width: int = 1,
    severity: Severity | None = None,
) -> Diagnostic:
    """A finding with the code's own severity, unless another is given."""
    return Diagnostic(
        code=code,
        severity=severity or CODES[code].severity,
        file=file,
        line=line,
        column=column,
        message=message,
        fix=fix,
        width=width,
    )


def at(code: str, file: str, message: str, fix: str, place: Place) -> Diagnostic:
    """A finding at a place of a file."""
    return problem(code, file, message, fix, line=place.line, column=place.column, width=place.width)


def to_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """As `defer check --output json` shows it."""
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "file": diagnostic.file,
        "line": diagnostic.line,
        "column": diagnostic.column,
        "message": diagnostic.message,
        "fix": diagnostic.fix,
    }


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """By place, each only once."""
    unique = dict.fromkeys(diagnostics)
    return tuple(sorted(unique, key=lambda found: (found.file, found.line, found.column, found.code)))


def source_line(root: Path, diagnostic: Diagnostic) -> str | None:
    """The line that a finding is about, for an excerpt; None where it cannot be read."""
    found = shown_lines(root / diagnostic.file)
    return found[diagnostic.line - 1] if diagnostic.line <= len(found) else None


def _code(title: str, reason: str, severity: Severity = "error") -> Code:
    return Code(title=title, severity=severity, reason=reason)


CODES: dict[str, Code] = {
    "DF001": _code(
        "no function named after the file",
        "A function is found by the name of its file, without importing all.",
    ),
    "DF002": _code(
        "several functions in one file",
        "Each file holds one function, so that a broken file stops only its own.",
    ),
    "DF003": _code("cron with parameters", "A cron is started by its schedule, which has nothing to pass."),
    "DF004": _code("one name twice", "Executions name their function: one name must mean one function."),
    "DF005": _code("invalid cron expression", "The schedule cannot be read, so the cron would never run."),
    "DF006": _code(
        "not async", "A plain def blocks its worker, and cannot await other background functions.", "warning"
    ),
    "DF007": _code("invalid option", "The file fails when it is imported, and its function does not run."),
    "DF008": _code("syntax error", "The file cannot be read as Python, so its function does not run."),
    "DF009": _code("import error", "The file fails when it is imported, and its function does not run."),
    "DF010": _code("two folders", "Without a setting it is unclear which of them holds the functions."),
    "DF011": _code(
        "missing __init__.py",
        "Another package of the same name would win over a folder without it.",
        "warning",
    ),
    "DF012": _code(
        "shadowed by an installed package", "An import can give the installed package, not the folder."
    ),
    "DF013": _code(
        "two meanings of one name", "The second import replaces what the first one named `defer`."
    ),
    "DF014": _code(
        "cron called by the application", "It raises CronInvocationError: crons run by their schedule."
    ),
    "DF015": _code("call that is never awaited", "Nothing is enqueued until the call is awaited."),
    "DF016": _code("name and schedule differ", "One of the two is probably a slip.", "warning"),
    "DF017": _code("file name is no Python name", "The application cannot import the file."),
    "DF018": _code(
        "module called as a function", "`from defer import x` gives the module, not the function in it."
    ),
    "DF019": _code(
        "result of defer() not kept", "Importing the name gives the plain function: calls enqueue nothing."
    ),
    "DF020": _code(
        "two folders with one import name", "Python finds only the first; files of the other do not import."
    ),
    "DF021": _code("file beside the folder", "One of the two wins an import of the name: not always yours."),
}
