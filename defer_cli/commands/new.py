"""`defer new`: a function from a template."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from click import UsageError

from defer_cli.commands.init import function_folder
from defer_cli.names import folder_name, function_name
from defer_cli.output import to_json
from defer_cli.session import Session
from defer_cli.templates import DESCRIPTIONS, PLACEHOLDER, NewFile, files_of, write_new
from defer_cli.text import Cell, Column
from defer_client.errors import Conflict
from defer_client.wire import time_to_json

CRON_LINE = '"0 8 * * *"'  # of the template
CRON_BY_WORD = {  # in the name: what it says is what it does
    "hourly": "0 * * * *",
    "weekly": "0 8 * * MON",
    "monthly": "0 8 1 * *",
    "quarterly": "0 8 1 1,4,7,10 *",
    "yearly": "0 8 1 1 *",
    "annually": "0 8 1 1 *",
}
TEST_START = datetime(2030, 1, 1, 7, 59, tzinfo=timezone.utc)  # of its test: a minute before it fires
UPCOMING = 5


class Template(str, Enum):
    background = "background"
    cron = "cron"
    workflow = "workflow"
    fifo = "fifo"
    webhook = "webhook"


class FileExists(Conflict):
    """A file of that name is there already."""

    code = "file_exists"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a new function goes."""

    root: Path
    base: Path  # the folder of functions
    folder: Path  # it, or one below it


def new(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", show_default=False, help="The function's name.")
    ] = None,
    cron: Annotated[
        str | None, typer.Option("--cron", metavar="EXPRESSION", help="Make it a cron with this schedule.")
    ] = None,
    template: Annotated[Template | None, typer.Option("--template", "-t", help="What to start from.")] = None,
    folder: Annotated[
        str | None, typer.Option("--dir", metavar="DIR", help="A folder inside defer/, such as emails.")
    ] = None,
    test: Annotated[bool, typer.Option("--test", help="Add a test, in tests/.")] = False,
    list_templates: Annotated[bool, typer.Option("--list", help="List the templates, and stop.")] = False,
) -> None:
    """Add a function to the project. A file that exists is never overwritten.

    defer new sendWelcomeEmail --test
      defer new weekly_report --cron "0 8 * * MON"
      defer new import_contacts --template workflow --dir imports
    """
    session: Session = ctx.obj
    if list_templates:
        _list(session)
        return
    if name is None:
        raise UsageError("Missing argument 'NAME'.", ctx=ctx)
    name = function_name(name)
    expression = _expression(name, cron, template)
    kind = template or (Template.cron if cron is not None else Template.background)
    place = _place(session, folder)
    module = ".".join([*_packages(place), name])
    changes = {f"defer.{PLACEHOLDER}": module, PLACEHOLDER: name, CRON_LINE: to_json(expression)}
    if kind is Template.cron:
        due = next_times(expression, TEST_START, 1)[0]
        changes[f"{TEST_START:%Y-%m-%dT%H:%M}"] = f"{due - timedelta(minutes=1):%Y-%m-%dT%H:%M}"
    tests = session.root / "tests" if test else None
    created = _write(place, files_of(kind.value, place.folder, changes, tests=tests))
    _tell(session, name, created, expression if kind is Template.cron else None)


def _expression(name: str, cron: str | None, template: Template | None) -> str:
    """The schedule, checked; a daily one if none is given and the name says nothing. Raises `UsageError`."""
    if cron is None:
        by_name = (CRON_BY_WORD[word] for word in name.split("_") if word in CRON_BY_WORD)
        return next(by_name, CRON_LINE.strip('"'))
    if template not in (None, Template.cron):
        raise UsageError(f"--cron makes a cron: it does not go with --template {template.value}")
    from defer_emulator.domain.cron import upcoming, validate

    expression = " ".join(cron.split())
    problem = validate(expression)
    if problem is not None:
        raise UsageError(f"--cron {cron!r}: {problem}")
    if not upcoming(expression, 0, 1):
        raise UsageError(f"--cron {cron!r} never fires: there is no such date")
    return expression


def _place(session: Session, typed: str | None) -> Place:
    """The folder that was asked for: inside the folder of functions, with or without that in its name."""
    root, base = session.root, function_folder(session.root, only=True)
    if typed is None:
        return Place(root=root, base=base, folder=base)
    relative = Path(typed)
    for prefix in (base.relative_to(root), Path(base.name)):
        if relative.is_relative_to(prefix):
            relative = relative.relative_to(prefix)
            break
    if relative.is_absolute() or ".." in relative.parts:
        raise UsageError(f"--dir {typed!r} must be inside the folder {base.relative_to(root)}/")
    folder = base.joinpath(*map(folder_name, relative.parts))
    if not folder.resolve().is_relative_to(base.resolve()):
        raise UsageError(
            f"--dir {typed!r} is a link to {folder.resolve()}, outside of the project's functions"
        )
    return Place(root=root, base=base, folder=folder)


def _packages(place: Place) -> tuple[str, ...]:
    from defer_emulator.project.finder import import_path

    return place.folder.relative_to(import_path(place.base)).parts


def _write(place: Place, files: list[NewFile]) -> list[str]:
    """All of them, or none where one exists; their names. Raises `FileExists`."""
    functions = [file.path for file in files if file.path.parent == place.folder]
    taken = [file.path for file in files if file.path.exists()]
    if place.base.is_dir():
        taken += [found for path in functions for found in place.base.rglob(path.name)]
    if taken:
        raise FileExists(
            f"{taken[0].relative_to(place.root)} exists already: names are unique in a project",
            hint="choose another name, or edit that file",
        )
    packages = (
        folder for folder in (place.folder, *place.folder.parents) if folder.is_relative_to(place.base)
    )
    inits = [NewFile(path=package / "__init__.py", text="") for package in reversed(list(packages))]
    written = [file.path for file in (*inits, *files) if write_new(file)]
    return [path.relative_to(place.root).as_posix() for path in written]


def _tell(session: Session, name: str, created: list[str], cron: str | None) -> None:
    output = session.output
    now = session.now() if session.has_file and not session.endpoint else datetime.now(timezone.utc)
    times = [] if cron is None else next_times(cron, now, UPCOMING)
    if not output.is_text:
        output.value({"created": created, "next": [time_to_json(time) for time in times]})
        return
    for path in created:
        output.line(f"created {path}")
    if times:
        output.note(f"it runs at (UTC), with {cron}:")
        for time in times:
            output.note(f"  {time:%a %Y-%m-%d %H:%M}")
    output.note(f"next: edit it, then: defer check, and: defer run {name}")


def next_times(expression: str, after: datetime, count: int) -> list[datetime]:
    """The next times at which a valid cron fires."""
    from defer_emulator.domain.cron import upcoming

    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    start = (after - epoch) // timedelta(microseconds=1)
    return [epoch + timedelta(microseconds=moment) for moment in upcoming(expression, start, count)]


def _list(session: Session) -> None:
    if session.output.is_text:
        rows = [[Cell(text=name, style="bold"), Cell(text=text)] for name, text in DESCRIPTIONS.items()]
        session.output.table((Column(title="TEMPLATE"), Column(title="IS", least=20)), rows)
    else:
        session.output.rows({"name": name, "description": text} for name, text in DESCRIPTIONS.items())
