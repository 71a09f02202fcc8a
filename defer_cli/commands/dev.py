"""`defer dev`: the emulator, in the foreground."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from click import UsageError

from defer_cli.session import Session


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
        list[str] | None, typer.Option("--only", metavar="NAME", help="Run only this function; repeatable.")
    ] = None,
) -> int:
    """Run the emulator of this project until Ctrl-C.

    It executes what is enqueued, fires crons, and takes saved files at once.

    defer dev
      defer dev --port 4000 --only send_mail
      defer dev --output jsonl
    """
    session: Session = ctx.obj
    if session.output.format == "json":
        raise UsageError("defer dev never ends, as JSON must: take --output jsonl", ctx=ctx)
    if token is not None and not token.strip():
        raise UsageError("--token must not be empty", ctx=ctx)
    from defer_emulator.app import run_dev
    from defer_emulator.dev import DevOptions, DevView

    view: DevView
    if session.output.is_text:
        from defer_cli import dev_output

        view = dev_output.DevView(session.output, _later, time.monotonic)
    else:
        from defer_cli.dev_output import JsonDevView

        view = JsonDevView(session.output)
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
        ),
    )


def _later(seconds: float, call: object) -> object:
    import asyncio

    return asyncio.get_running_loop().call_later(seconds, call)  # type: ignore[arg-type]
