"""`defer mcp`: the operations of this command line, for coding agents."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from defer_cli.session import Session
from defer_client.errors import DeferError

EXTRA = "pip install 'defer-cli[mcp]'"


class ExtraMissing(DeferError):
    """A package that only one command needs is not installed."""

    code = "extra_missing"


def mcp(
    ctx: typer.Context,
    allow_writes: Annotated[
        bool,
        typer.Option(
            "--allow-writes", help="Offer what changes executions, pauses, moves the clock, or acts on many."
        ),
    ] = False,
) -> None:
    """Serve these operations to coding agents: the Model Context Protocol over stdin and stdout.

    Without --allow-writes an agent can look, run and rerun: functions, list, show, logs, why, wait, clock,
    run, rerun. It needs the package mcp: pip install 'defer-cli[mcp]'.

    defer mcp
      defer mcp --allow-writes --project ~/code/shop

    In the settings of an agent:
      {"mcpServers": {"defer": {"command": "defer", "args": ["mcp", "--project", "/home/me/shop"]}}}
    """
    session: Session = ctx.obj
    session.root  # noqa: B018 (a wrong folder is told at once, and not by each tool)
    try:
        from defer_cli.agent_server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types"):
            raise
        raise _missing() from None
    if sys.stdin is not None and sys.stdin.isatty():
        session.output.note("an agent speaks to this by stdin and stdout; Ctrl-C stops it", "dim")
    serve(session, allow_writes=allow_writes)


def _missing() -> ExtraMissing:
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = f"version 2 or later of the package mcp, but {version('mcp')} is installed"
    except PackageNotFoundError:
        found = "the package mcp, which is not installed"
    return ExtraMissing(f"defer mcp needs {found}", hint=f"install it with: {EXTRA}")
