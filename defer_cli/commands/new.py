"""`defer new`: a function from a template."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from click import UsageError

from defer_cli.commands.init import function_folder
from defer_cli.names import function_name
from defer_cli.output import to_json
from defer_cli.session import Session
from defer_cli.templates import DESCRIPTIONS, PLACEHOLDER, NewFile, files_of, write_new
from defer_cli.text import Cell, Column
from defer_client.errors import Conflict

CRON_LINE = '"0 8 * * *"'  # of the template
UPCOMING = 5


class Template(str, Enum):
    background = "background"
    cron = "cron"
    workflow = "workflow"


class FileExists(Conflict):
    """A file of that name is there already."""

    code = "file_exists"


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
    list_templates: Annotated[bool, typer.Option("--list", help="List the templates, and stop.")] = False,
) -> None:
    """Add a function to the project. A file that exists is never overwritten.

    defer new send_welcome_email
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
    expression = _expression(cron, template)
    kind = template or (Template.cron if cron is not None else Template.background)
    base = function_folder(session.root)
    target = _target(base, folder)
    changes = {PLACEHOLDER: name, CRON_LINE: to_json(expression)}
    _write(session, base, target, files_of(kind.value, target, changes))
    if session.output.is_text:
        _next_steps(session, name, expression if kind is Template.cron else None)


def _expression(cron: str | None, template: Template | None) -> str:
    """The schedule, checked. Raises `UsageError`."""
    if cron is None:
        return CRON_LINE.strip('"')
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


def _target(base: Path, folder: str | None) -> Path:
    if folder is None:
        return base
    relative = Path(folder)
    if relative.parts[:1] == ("defer",):
        relative = Path(*relative.parts[1:])
    for part in relative.parts:
        if part == ".." or relative.is_absolute():
            raise UsageError(f"--dir {folder!r} must be inside the folder defer/")
        function_name(part)  # a folder is imported by its name too
    return base / relative


def _write(session: Session, base: Path, target: Path, files: list[NewFile]) -> None:
    """All of them, or none where one exists. Raises `FileExists`."""
    clash = [found for file in files for found in base.rglob(file.path.name)] if base.is_dir() else []
    if clash:
        raise FileExists(
            f"{clash[0].relative_to(session.root)} exists already: names are unique in a project",
            hint="choose another name, or edit that file",
        )
    packages = [target, *target.parents]
    inside = [package for package in packages if package == base or base in package.parents]
    inits = [NewFile(path=package / "__init__.py", text="") for package in reversed(inside)]
    written = [file.path for file in (*inits, *files) if write_new(file)]
    paths = [path.relative_to(session.root).as_posix() for path in written]
    if session.output.is_text:
        for path in paths:
            session.output.line(f"created {path}")
    else:
        session.output.value({"created": paths})


def _next_steps(session: Session, name: str, cron: str | None) -> None:
    note = session.output.note
    if cron is not None:
        note(f"it runs at (UTC), with {cron}:")
        for time in next_times(cron, datetime.now(timezone.utc), UPCOMING):
            note(f"  {time:%a %Y-%m-%d %H:%M}")
    note(f"next: edit it, then: defer check, and: defer run {name}")


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
