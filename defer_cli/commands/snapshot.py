"""`defer snapshot`: the queue, the history and the clock, kept under a name."""

from __future__ import annotations

from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from click import UsageError

from defer_cli.session import Session
from defer_cli.text import Cell, Column, moment, relative
from defer_client.wire import time_to_json
from defer_emulator.domain.texts import size
from defer_emulator.operations.snapshots import Snapshots, name_of
from defer_emulator.store.snapshots import Copy

COLUMNS = (
    Column(title="NAME", least=12),
    Column(title="SAVED"),
    Column(title="EXECUTIONS"),
    Column(title="UNFINISHED"),
    Column(title="CLOCK (UTC)", rank=2),
    Column(title="SIZE", rank=1),
)


class Action(str, Enum):
    save = "save"
    list = "list"
    restore = "restore"
    fork = "fork"
    delete = "delete"


def snapshot(
    ctx: typer.Context,
    action: Annotated[Action, typer.Argument(help="What to do.", show_default=False)],
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", show_default=False, help="Of the snapshot.")
    ] = None,
    folder: Annotated[
        str | None,
        typer.Argument(metavar="[DIR]", show_default=False, help="Of a fork. [.defer/forks/NAME]"),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Save over a snapshot of that name.")] = False,
) -> None:
    """Keep the state of the project, go back to it, or try something on a copy.

    save works while defer dev runs; restore keeps the state before as a snapshot of its own.
    fork makes another project: a copy of this one's files, with the state of the snapshot.

    defer snapshot save before-import
      defer snapshot list
      defer snapshot restore before-import
      defer snapshot fork before-import ../shop-copy
      defer snapshot delete before-import
    """
    session: Session = ctx.obj
    if folder is not None and action is not Action.fork:
        raise UsageError(f"only fork takes a folder, not {action.value}", ctx=ctx)
    if replace and action is not Action.save:
        raise UsageError(f"only save replaces, not {action.value}", ctx=ctx)
    if action is Action.list:
        if name is not None:
            raise UsageError("list takes no name", ctx=ctx)
        _list(session)
        return
    if name is None:
        raise UsageError(f"{action.value} needs the name of a snapshot", ctx=ctx)
    if action is Action.save:
        _save(session, name, replace=replace)
    elif action is Action.restore:
        _restore(session, name)
    elif action is Action.fork:
        _fork(session, name, folder)
    else:
        _delete(session, name)


def _save(session: Session, name: str, *, replace: bool) -> None:
    saved = _snapshots(session).save(session.store, name, replace=replace)
    if session.output.is_text:
        session.output.line(f"saved {name}: {_holds(saved)}, {size(saved.size)}")
    else:
        session.output.value(_row(saved))


def _list(session: Session) -> None:
    found = _snapshots(session).all()
    if not session.output.is_text:
        session.output.rows(_row(copy) for copy in found)
    elif found:
        now = datetime.now(timezone.utc)
        session.output.table(COLUMNS, [_cells(copy, now) for copy in found])
    else:
        session.output.note("no snapshots; make one with: defer snapshot save NAME")


def _restore(session: Session, name: str) -> None:
    restored, kept = _snapshots(session).restore(session.store, name)
    if not session.output.is_text:
        session.output.value({"restored": name, "kept": _row(kept)})
        return
    session.output.line(f"restored {name}: {_holds(restored)}")
    session.output.note(f"the state before is kept: defer snapshot restore {name_of(kept)}")


def _fork(session: Session, name: str, folder: str | None) -> None:
    target = None if folder is None else (session.folder / folder).absolute()
    made = _snapshots(session).fork(name, target)
    if not session.output.is_text:
        session.output.value({"name": name, "project": str(made)})
        return
    session.output.line(f"forked {name} into {made}")
    session.output.note(
        "its queue is a copy: what waits in it runs there too, once you start its own emulator\n"
        f"  defer dev -C {_shown(made, session.folder)}"
    )


def _delete(session: Session, name: str) -> None:
    _snapshots(session).delete(name)
    if session.output.is_text:
        session.output.line(f"deleted {name}")
    else:
        session.output.value({"deleted": name})


def _snapshots(session: Session) -> Snapshots:
    session.store  # noqa: B018 (says what is wrong where there is no project's file)
    return Snapshots(session.root)


def _shown(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _holds(copy: Copy) -> str:
    if copy.executions is None:
        return f"version {copy.version} of the file"
    one = copy.executions == 1
    return f"{copy.executions:,} execution{'' if one else 's'}, {copy.unfinished:,} unfinished"


def _cells(copy: Copy, now: datetime) -> list[Cell]:
    return [
        Cell(text=name_of(copy), style="bold"),
        Cell(text=relative(copy.saved_at, now)),
        Cell(text="?" if copy.executions is None else f"{copy.executions:,}"),
        Cell(text="?" if copy.unfinished is None else f"{copy.unfinished:,}"),
        Cell(text=f"version {copy.version}" if copy.now is None else moment(copy.now).removesuffix(" UTC")),
        Cell(text=size(copy.size), style="dim"),
    ]


def _row(copy: Copy) -> dict[str, Any]:
    return {
        "name": name_of(copy),
        "path": str(copy.path),
        "saved_at": time_to_json(copy.saved_at),
        "size": copy.size,
        "version": copy.version,
        "executions": copy.executions,
        "unfinished": copy.unfinished,
        "clock": None if copy.now is None else time_to_json(copy.now),
    }
