"""A failure is told to a server that plays Slack, and the console shows that it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.console.client import Api
from tests.console.conftest import OpenTab
from tests.console.shop import shop
from tests.projects import Dev, eventually
from tests.slack import PATH, Slack

pytestmark = pytest.mark.acceptance


@pytest.fixture
def sending(browser: Browser, slack: Slack, tmp_path: Path) -> Iterator[Dev]:
    project = shop(tmp_path / "shop", "fails")
    (project.root / "defer.toml").write_text('notifications = "env:SLACK_URL"\n')
    with project.dev("--no-open", "--send-notifications", SLACK_URL=slack.url).ready() as dev:
        yield dev


def test_the_outbox_shows_what_arrived_and_leads_to_the_execution(
    sending: Dev, slack: Slack, open_tab: OpenTab
) -> None:
    tab = open_tab(sending.url)
    page = tab.open("/outbox")
    expect(page.locator("main")).to_contain_text("Nothing to tell")
    page.locator("#live[data-state=live]").wait_for()
    execution = Api(sending.url).call("fails", 7)
    ((path, kind, body),) = eventually(lambda: slack.got, "the message arrives")
    assert path == PATH and kind is not None and kind.startswith("application/json")
    message = page.locator("article.mail")
    expect(message).to_contain_text("fails failed")
    expect(message).to_contain_text("no user 7")
    expect(message.locator(".tag.good")).to_have_text("sent")
    message.get_by_role("link", name="What is sent").click()
    assert json.loads(page.locator("pre.output").last.inner_text()) == json.loads(body)
    assert "s3cret" not in page.content()
    link = page.locator(".mail-body a").last
    assert link.inner_text() == f"{sending.url}/executions/{execution}"
    assert link.inner_text() in body.decode()
