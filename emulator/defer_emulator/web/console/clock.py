"""Acts on the emulated clock."""

from __future__ import annotations

from datetime import datetime, timedelta

from starlette.responses import Response

from defer_client.durations import parse_when
from defer_client.errors import DeferError, InvalidOption
from defer_emulator.web.console.notices import Notice
from defer_emulator.web.console.request import PageRequest
from defer_emulator.web.console.responses import go_back
from defer_emulator.web.console.schedules import show_with
from defer_emulator.web.errors import full_message

MANY_CRONS = 1_000  # executions by an advance, beyond which it asks first


async def advance(request: PageRequest) -> Response:
    """By a duration or to a moment, which the field `to` holds."""
    operations = request.site.operations
    try:
        to = _target(request.posted("to"))
        crons = await operations.crons_until(to)
        if crons > MANY_CRONS and request.posted("crons") == "":
            return await show_with(request, ask=crons, status=409)
        await operations.ask_clock("advance", to)
    except DeferError as error:
        return await show_with(request, error=full_message(error), status=422)
    return go_back(request)


def _target(text: str) -> timedelta | datetime:
    if not text:
        raise InvalidOption("give a duration, such as 3d, or a moment, such as 2026-01-31T08:00:00Z")
    return parse_when(text, "the time")


async def to_next(request: PageRequest) -> Response:
    await request.site.operations.ask_clock("next")
    return go_back(request)


async def freeze(request: PageRequest) -> Response:
    await request.site.operations.ask_clock("freeze")
    return go_back(request, Notice(text="The clock stands still."))


async def resume(request: PageRequest) -> Response:
    await request.site.operations.ask_clock("resume")
    return go_back(request, Notice(text="The clock runs on from where it stood."))


async def reset(request: PageRequest) -> Response:
    await request.site.operations.ask_clock("reset")
    return go_back(request, Notice(text="The clock shows real time again."))


async def stop(request: PageRequest) -> Response:
    """End the advance where it is."""
    clock = await request.site.operations.clock()
    if clock.advance is not None:
        await request.site.operations.cancel_clock_move(clock.advance.id)
    return go_back(request, Notice(text="The advance has ended where it was."))
