"""The tools, served by the Model Context Protocol over stdin and stdout."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations

from defer_cli.agent_tools import Tool
from defer_cli.agent_writes import WritingTools
from defer_cli.session import Session
from defer_client import __version__
from defer_client.errors import DeferError

INSTRUCTIONS = """\
Background functions and crons of this Python project, run by an emulator on this machine (`defer dev`).
Calls become executions, which are stored before they run. Find out what went wrong with list (state: failed),
show, logs and why; try a change with run or rerun, then wait. `functions` tells what can be run."""

READ_ONLY = """
This server reads, and starts executions. What cancels, moves or pauses needs `defer mcp --allow-writes`."""


def serve(session: Session, *, allow_writes: bool) -> None:
    """Until the client closes stdin."""
    make_server(session, allow_writes=allow_writes).run("stdio")


def make_server(session: Session, *, allow_writes: bool) -> MCPServer[Any]:
    """The server with its tools."""
    tools = WritingTools(session)
    server = _Server(
        "defer",
        version=__version__,
        instructions=INSTRUCTIONS + ("" if allow_writes else READ_ONLY),
        log_level="WARNING",
    )
    for name, tool in tools.reading().items():
        _add(server, name, tool, ToolAnnotations(read_only_hint=True, open_world_hint=False))
    for name, tool in tools.starting().items():
        _add(server, name, tool, ToolAnnotations(destructive_hint=False, open_world_hint=True))
    if allow_writes:
        for name, tool in tools.writing().items():
            _add(server, name, tool, ToolAnnotations(destructive_hint=True, open_world_hint=False))
    else:
        server.withheld = frozenset(tools.writing())
    return server


class _Server(MCPServer[Any]):
    """Says how to get the tools that it does not offer."""

    withheld: frozenset[str] = frozenset()

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Any = None) -> Any:
        if name in self.withheld:
            raise ToolError(f"{name} changes what exists: it needs `defer mcp --allow-writes`")
        return await super().call_tool(name, arguments, context)


def _add(server: MCPServer[Any], name: str, tool: Tool, annotations: ToolAnnotations) -> None:
    description = " ".join((tool.__doc__ or "").split())
    server.add_tool(_explaining(tool), name=name, description=description, annotations=annotations)


def _explaining(tool: Tool) -> Tool:
    """Our errors are answers: what happened, and what to do next."""
    if inspect.iscoroutinefunction(tool):

        @functools.wraps(tool)
        async def waiting(*args: Any, **kwargs: Any) -> Any:
            try:
                return await tool(*args, **kwargs)
            except DeferError as error:
                raise ToolError(str(error)) from None

        return waiting

    @functools.wraps(tool)
    def calling(*args: Any, **kwargs: Any) -> Any:
        try:
            return tool(*args, **kwargs)
        except DeferError as error:
            raise ToolError(str(error)) from None

    return calling
