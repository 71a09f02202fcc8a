"""What the project's files hold, for commands that run without an emulator."""

from __future__ import annotations

from defer_emulator.runner.loading import LoadRequest, LoadResult, PoolOptions
from defer_emulator.runner.servers import ServerEvents, Servers


async def describe_project(options: PoolOptions, request: LoadRequest) -> LoadResult:
    """Import the project's files in a child process and say what they hold.

    Raises `WorkersUnavailable`.
    """
    events = ServerEvents(
        on_exit=lambda _number, _status: None,
        on_fork_failed=lambda _number, _message: None,
        on_lost=lambda _generation: None,
        on_trouble=lambda _message: None,
    )
    servers = Servers(options, events)
    servers.start()
    try:
        _, result = await servers.load(request)
        return result
    finally:
        await servers.close()
