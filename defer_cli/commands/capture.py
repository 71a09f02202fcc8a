"""`defer capture`: a pytest from a real execution."""

from __future__ import annotations

from typing import Annotated

import typer

from defer_cli.captures import name_of_test, source, suspicious_names
from defer_cli.parameters import ExecutionId
from defer_cli.session import Session
from defer_cli.templates import NewFile, write_new
from defer_client.errors import Conflict
from defer_client.models import State
from defer_emulator.operations.capture import MOST_CHILDREN, Captured
from defer_emulator.operations.capture import capture as read


def capture(
    ctx: typer.Context,
    execution_id: ExecutionId,
    output_file: Annotated[
        str | None,
        typer.Option("--output-file", metavar="PATH", help="A new file, or the folder for it. [stdout]"),
    ] = None,
) -> None:
    """Write a pytest that repeats an execution: its arguments, its time, what it started and how that ended.

    The test of one that succeeded passes; that of one that failed fails likewise until it is corrected.

    defer capture @last-failed
      defer capture 1f2e3d4c --output-file tests
    """
    session: Session = ctx.obj
    captured = read(session.store, session.resolve(execution_id).partition(".")[0])
    text, path = source(captured), None
    if output_file is not None:
        path = session.folder / output_file
        if path.is_dir():
            path = path / f"{name_of_test(captured)}.py"
        if not write_new(NewFile(path=path, text=text)):
            raise Conflict(f"{path} exists already", hint="name another file with --output-file")
    if not session.output.is_text:
        written = None if path is None else str(path)
        session.output.value({"name": name_of_test(captured), "path": written, "source": text})
    elif path is None:
        session.output.out.write(text)
    else:
        session.output.line(f"wrote {path}")
    _caution(session, captured)


def _caution(session: Session, captured: Captured) -> None:
    names = suspicious_names(captured)
    found = f", such as {', '.join(names[:5])}" if names else ""
    session.output.note(f"it holds real arguments and results: look for secrets{found} before you share it")
    if not captured.is_repeatable or captured.faults is not None:
        session.output.note("its end did not come from its code alone, and the test runs only the code")
    states = [child.outcome.execution.state for child in captured.children]
    unknown = len([state for state in states if state not in (State.SUCCEED, State.FAILED)])
    if unknown:
        session.output.note(f"{unknown} of what it started had no result: in the test they give None")
    if len(states) == MOST_CHILDREN:
        session.output.note(f"it may have started more than {MOST_CHILDREN:,}: the test knows the first ones")
