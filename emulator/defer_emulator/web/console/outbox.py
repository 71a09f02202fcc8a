"""What would be told of failures, or was: each message as it is sent."""

from __future__ import annotations

from starlette.responses import Response

from defer_emulator.domain.notifications import KINDS
from defer_emulator.web.console.rendering import pretty_json, render
from defer_emulator.web.console.request import PageRequest
from defer_emulator.web.errors import Refused, bad_request

SHOWN = 10  # messages of a page
LONGEST_BODY = 100_000  # characters that are shown
WORDS = {"failed": "failed", "handled": "handled failure", "missed": "missed cron"}


async def show(request: PageRequest) -> Response:
    messages = await request.site.operations.outbox(before=_before(request), limit=SHOWN + 1)
    return await render(
        request,
        "outbox.html",
        title="Outbox",
        messages=messages[:SHOWN],
        older=messages[SHOWN - 1].id if len(messages) > SHOWN else None,
        is_first=not request.get("before"),
        outbox=await request.site.operations.outbox_settings(),
        words=WORDS,
        kinds=KINDS,
    )


async def show_one(request: PageRequest) -> Response:
    number = request.params["number"]
    known = number.isascii() and number.isdigit() and len(number) < 18
    message = await request.site.operations.outbox_message(int(number)) if known else None
    if message is None:
        raise Refused(404, "not_found", f"the outbox has no message {number[:40]}")
    body = pretty_json(message.body)
    return await render(
        request,
        "message.html",
        title=f"Message {message.id}",
        message=message,
        body=body[:LONGEST_BODY],
        cut=max(0, len(body) - LONGEST_BODY),
        outbox=await request.site.operations.outbox_settings(),
        words=WORDS,
    )


def _before(request: PageRequest) -> int | None:
    text = request.get("before")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 18):
        raise bad_request("before must be the number of a message")
    return int(text)
