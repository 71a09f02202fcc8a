"""`defer exec`: run a command while an emulator serves the project."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click
import typer

from defer_cli.registry import WorkerCommand
from defer_cli.session import Session
from defer_client.errors import Conflict

if TYPE_CHECKING:
    from defer_cli.hosting import Address, Host
    from defer_emulator.presence import Presence

FAILED, CANNOT_START, NOT_FOUND = 1, 126, 127  # as shells have them
HINT = "give the command and its arguments after --, as in: defer exec -- pytest -q"
ANY_TOKEN = "local"  # for clients that insist on one, where the emulator does not


class Command(WorkerCommand):
    """What follows the command's own name is the command's, options too."""

    allow_interspersed_args = False


def execute(
    ctx: typer.Context,
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="-- CMD [ARGS]...", show_default=False, help="The command.", click_type=click.Path()
        ),
    ],
    port: Annotated[
        int,
        typer.Option(
            "--port", "-p", min=0, max=65_535, metavar="PORT", show_default=False, help="[a free one]"
        ),
    ] = 0,
    log: Annotated[
        Path | None,
        typer.Option("--log", metavar="FILE", help="Where the emulator prints, instead of stderr."),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show all that happens, not failures only.")
    ] = False,
) -> int:
    """Run a command while an emulator serves the project, and end with the command's exit code.

    The emulator is ready before the command starts, and drains when it has ended. An emulator that runs
    already is used, and goes on. The command finds it by DEFER_ENDPOINT and DEFER_TOKEN.

    defer exec -- pytest tests/end_to_end
      defer exec --log emulator.log -- npm test
      defer exec -- sh -c 'defer run add 1 2 --wait'
    """
    session: Session = ctx.obj
    if shutil.which(command[0]) is None:
        return _is_no_command(session, command)
    from defer_cli.hosting import Address, Host, fork, running_emulator

    root = session.root
    running = running_emulator(root)
    if running is not None:
        _refuse_choices(running, "--python" if session.python is not None else "--port" if port else "")
        token = session.config.token or session.environment.get("DEFER_TOKEN", "")
        _say_whose(session, running, prints=verbose or log is not None)
        return _run(session, command, Address(url=running.url, token=token))[0]
    hosted = fork(session, None if log is None else session.folder / log)
    if isinstance(hosted, Host):
        return _serve(session, hosted, port, verbose=verbose)
    try:
        address = hosted.wait_until_ready()
        if address is None:
            return max(FAILED, hosted.end(at_once=True))
        code, hurried = _run(session, command, address)
    except BaseException:  # Ctrl-C while it starts
        hosted.end(at_once=True)
        raise
    was_there = not hosted.has_ended
    if hosted.end(at_once=hurried) == 0 and was_there:
        return code
    session.output.error("emulator_ended", "the emulator has ended before the command did")
    return code or FAILED


def _refuse_choices(running: Presence, option: str) -> None:
    """What was decided when the emulator started cannot be asked of it now."""
    if option:
        raise Conflict(
            f"an emulator serves this project already, and {option} is for a new one: {running.url}, "
            f"process {running.pid}",
            hint=f"leave {option} out to use that one, or stop it first: kill {running.pid}",
        )


def _say_whose(session: Session, running: Presence, *, prints: bool) -> None:
    """`prints`: somebody has asked what it prints here."""
    where = "; it prints where it was started, not here (--log, --verbose)" if prints else ""
    session.output.note(
        f"the emulator that serves this project already is used: {running.url}, process {running.pid}{where}",
        "dim",
    )


def _serve(session: Session, host: Host, port: int, *, verbose: bool) -> int:
    """The life of the new process."""
    from defer_cli.dev_output import Level
    from defer_cli.watching import watching
    from defer_emulator.app import run_dev
    from defer_emulator.dev import DevOptions

    with watching(session, Level.NORMAL if verbose else Level.PROBLEMS) as view:
        return run_dev(session.root, DevOptions(view=host.reporting(view), port=port, python=session.python))


def _run(session: Session, command: list[str], address: Address) -> tuple[int, bool]:
    """The command's exit code, and whether there is no time for what still runs."""
    from defer_cli.forwarding import Child

    environment = {
        **session.environment,
        "DEFER_ENDPOINT": address.url,
        "DEFER_TOKEN": address.token or ANY_TOKEN,
        "DEFER_PROJECT": str(session.root),
    }
    child = Child()
    try:
        return child.run(command, environment), child.was_told_to_end
    except OSError as error:  # a script without its interpreter, for one
        session.output.error("cannot_start", f"{command[0]}: {error.strerror}", HINT)
        return CANNOT_START, False


def _is_no_command(session: Session, command: list[str]) -> int:
    name = command[0]
    if Path(name).exists() and "/" in name:
        session.output.error("cannot_start", f"{name} is not executable", HINT)
        return CANNOT_START
    is_line = len(command) == 1 and any(mark in name for mark in " |&;<>")
    hint = f"for a line of shell: defer exec -- sh -c {shlex.quote(name)}" if is_line else HINT
    session.output.error("not_found", f"there is no command {name!r}", hint)
    return NOT_FOUND
