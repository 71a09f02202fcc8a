"""An emulator with a token asks for it, once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.console.browser import assert_fits, axe_source, screenshot, violations
from tests.console.conftest import OpenTab
from tests.projects import Dev, TempProject

pytestmark = pytest.mark.acceptance

TOKEN = "open sesame"


@pytest.fixture(scope="module")
def dev(browser: Browser, project: TempProject) -> Iterator[Dev]:
    with project.dev("--no-open", "--token", TOKEN).ready() as dev:
        yield dev


def test_the_token_opens_the_page_that_was_asked_for_until_one_logs_out(dev: Dev, open_tab: OpenTab) -> None:
    tab = open_tab(dev.url)
    page = tab.page
    page.goto(f"{dev.url}/errors?since=1+day")
    page.get_by_label("Token").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#token-hint")).to_contain_text("not the token")
    expect(page.get_by_label("Token")).to_be_focused()
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_url("**/errors?since=1+day")
    assert page.evaluate("document.cookie") == ""
    page.locator("#live[data-state=live]").wait_for()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    page.goto(dev.url)
    expect(page.get_by_label("Token")).to_be_visible()
    assert "shop" not in page.locator("nav").all_inner_texts()


def test_a_session_that_ends_elsewhere_asks_again(dev: Dev, open_tab: OpenTab) -> None:
    tab = open_tab(dev.url)
    page = tab.page
    page.goto(f"{dev.url}/functions")
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    page.get_by_role("row", name="send_mail").wait_for()
    page.context.clear_cookies()
    page.get_by_role("row", name="send_mail").get_by_role("button", name="Pause").click()
    expect(page.get_by_label("Token")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_login_is_for_everybody(dev: Dev, open_tab: OpenTab, theme: str) -> None:
    axe = axe_source()
    page = open_tab(dev.url, color_scheme=theme, viewport={"width": 360, "height": 700}, bypass_csp=True).page
    page.goto(dev.url)
    screenshot(page, f"login {theme} 360")
    assert_fits(page)
    assert violations(page, axe) == []
