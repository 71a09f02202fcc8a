from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from defer_emulator.operations.outbox import OutboxMessage, OutboxSettings
from tests.unit.web.console.browser import Browser, visible
from tests.unit.web.world import World

pytestmark = pytest.mark.anyio

ID = "01a22ba7-15fa-7544-a1fe-04ec1fe500d1"
MESSAGE = OutboxMessage(
    id=7,
    kind="failed",
    state="kept",
    created_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
    count=3,
    title="send_mail failed, 3 times",
    facts=[("project", "shop"), ("metadata", "user=<b>ada</b>")],
    error="ValueError: <script>alert(1)</script>\n  at defer/send_mail.py:3",
    executions=[ID, ID.replace("d1", "d2")],
    link=f"http://127.0.0.1:3337/executions/{ID}",
    body={"text": "send_mail failed", "blocks": ["<script>"]},
    tries=0,
    problem=None,
    next_try=None,
    sent_at=None,
)


class Outbox:
    """Messages, newest first, in place of a project's own."""

    def __init__(self, messages: list[OutboxMessage], where: str | None = None, sends: bool = False) -> None:
        self.messages = messages
        self.settings = OutboxSettings(where=where, is_sending=sends, format="slack", kinds=("failed",))

    async def outbox(self, *, before: int | None = None, limit: int = 50) -> list[OutboxMessage]:
        return [one for one in self.messages if before is None or one.id < before][:limit]

    async def outbox_message(self, number: int) -> OutboxMessage | None:
        return next((one for one in self.messages if one.id == number), None)

    async def outbox_settings(self) -> OutboxSettings:
        return self.settings


def fill(world: World, outbox: Outbox) -> None:
    for name in ("outbox", "outbox_message", "outbox_settings"):
        setattr(world.operations, name, getattr(outbox, name))


async def test_an_empty_outbox_says_what_would_be_in_it(browser: Browser) -> None:
    text = visible(await browser.text("/outbox"))
    assert "Nothing to tell" in text and "Nothing is sent, and no address is set" in text


async def test_a_message_is_shown_as_it_is_sent_and_escaped(browser: Browser, world: World) -> None:
    fill(world, Outbox([MESSAGE]))
    html = await browser.text("/outbox")
    text = visible(html)
    assert "send_mail failed, 3 times" in text and "user=<b>ada</b>" in text and "not sent" in text
    assert "<script>alert" not in html and "<b>ada" not in html
    assert f'href="/executions/{ID}"' in html  # on this console, whatever it was called


async def test_the_body_is_on_a_page_of_its_own(browser: Browser, world: World) -> None:
    fill(world, Outbox([MESSAGE]))
    assert '"blocks": [ "<script>" ]' in visible(await browser.text("/outbox/7"))
    for number in ("8", "x", "-7", "9" * 30, "٧"):
        assert (await browser.get(f"/outbox/{number}")).status_code == 404


async def test_older_messages_are_a_page_further(browser: Browser, world: World) -> None:
    fill(world, Outbox([replace(MESSAGE, id=number) for number in range(30, 0, -1)]))
    assert 'href="/outbox?before=21"' in await browser.text("/outbox")
    second = await browser.text("/outbox?before=21")
    assert 'id="message-20"' in second and 'id="message-21"' not in second
    assert (await browser.get("/outbox?before=x")).status_code == 400


async def test_where_messages_go_is_said_without_the_secret(browser: Browser, world: World) -> None:
    fill(world, Outbox([MESSAGE], where="hooks.slack.com", sends=True))
    assert "Messages go to hooks.slack.com" in visible(await browser.text("/outbox"))
    fill(world, Outbox([MESSAGE], where="hooks.slack.com"))
    assert "this is what would go to hooks.slack.com" in visible(await browser.text("/outbox"))


async def test_what_went_wrong_with_a_message_is_shown(browser: Browser, world: World) -> None:
    fill(world, Outbox([replace(MESSAGE, state="failed", tries=4, problem="hooks.slack.com answered 500")]))
    text = visible(await browser.text("/outbox"))
    assert "given up" in text and "4 tries" in text and "answered 500" in text
