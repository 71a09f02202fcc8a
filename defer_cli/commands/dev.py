"""`defer dev`: the emulator, in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer
from click import UsageError

from defer_cli.parameters import complete_names
from defer_cli.registry import WorkerCommand
from defer_cli.session import Session

Command = WorkerCommand


def dev(
    ctx: typer.Context,
    host: Annotated[
        str | None, typer.Option("--host", metavar="HOST", help="The address to listen on. [127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", "-p", min=0, max=65_535, metavar="PORT", help="[3337, or the next]"),
    ] = None,
    token: Annotated[
        str | None, typer.Option("--token", metavar="TOKEN", help="What HTTP requests must carry.")
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option("--allowed-host", metavar="HOST", help="A Host header to accept too; repeatable."),
    ] = None,
    open_console: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the console in a browser.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="NAME",
            help="Run only this function; repeatable.",
            autocompletion=complete_names,
        ),
    ] = None,
    debug: Annotated[
        list[str] | None,
        typer.Option(
            "--debug",
            metavar="NAME",
            help="Executions of this function wait for a debugger; repeatable.",
            autocompletion=complete_names,
        ),
    ] = None,
    debug_port: Annotated[
        int | None,
        typer.Option("--debug-port", min=1, max=65_535, metavar="PORT", help="Of it. [5678, or the next]"),
    ] = None,
    send_notifications: Annotated[
        bool,
        typer.Option("--send-notifications", help="Send what else is only kept in the outbox."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show failures and problems only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show all there is.")] = False,
) -> int:
    """Run the emulator of this project until Ctrl-C.

    It executes what is enqueued, fires crons, and takes saved files at once. On a terminal,
    the key h shows what other keys do.

    defer dev
      defer dev --port 4000 --only send_mail
      defer dev --debug send_mail
      defer dev --quiet
      defer dev --output jsonl
    """
    session: Session = ctx.obj
    if quiet and verbose:
        raise UsageError("--quiet and --verbose exclude each other", ctx=ctx)
    if session.output.format == "json":
        raise UsageError("defer dev never ends, as JSON must: take --output jsonl", ctx=ctx)
    if debug_port is not None and not debug:
        raise UsageError("--debug-port goes with --debug NAME", ctx=ctx)
    if token is not None and not token.strip():
        raise UsageError("--token must not be empty", ctx=ctx)
    from defer_cli.dev_output import Level
    from defer_cli.watching import watching
    from defer_emulator.app import run_dev
    from defer_emulator.dev import DevOptions

    level = Level.QUIET if quiet else Level.VERBOSE if verbose else Level.NORMAL
    with watching(session, level) as view:
        return run_dev(
            session.root,
            DevOptions(
                view=view,
                host=host,
                port=port,
                token=token,
                allowed_hosts=tuple(allowed_host or ()),
                open_console=open_console,
                only=tuple(only or ()),
                debug=tuple(debug or ()),
                debug_port=debug_port,
                send_notifications=send_notifications,
                python=session.python,
            ),
        )
