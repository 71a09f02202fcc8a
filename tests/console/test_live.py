"""What happens outside of the browser appears in it, without the page being loaded again."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.console.browser import Tab
from tests.console.client import Api
from tests.console.conftest import OpenTab
from tests.console.shop import shop
from tests.projects import Dev, TempProject

pytestmark = pytest.mark.acceptance


def followed(tab: Tab, path: str) -> Page:
    """The page, once it listens; a mark in it is gone when it is loaded again."""
    page = tab.open(path)
    page.locator("#live[data-state=live]").wait_for()
    page.evaluate("window.kept = true")
    return page


def assert_kept(page: Page) -> None:
    assert page.evaluate("window.kept") is True, "the page was loaded again"


def test_an_execution_from_outside_is_counted(tab: Tab, api: Api) -> None:
    page = followed(tab, "/")
    count = page.locator("#counts a", has_text="succeed").locator(".figure-value")
    before = int(count.inner_text())
    execution = api.call("send_mail", "ada@example.com")
    expect(count).to_have_text(str(before + 1))
    expect(page.locator("#latest")).to_contain_text(execution[-8:])
    assert_kept(page)


def test_what_happens_before_the_page_listens_appears_too(tab: Tab, api: Api) -> None:
    def listen_late(route: Route) -> None:
        api.wait_for(api.call("send_mail", "early@example.com"), "succeed")
        route.continue_()

    tab.page.route("**/live", listen_late)
    page = followed(tab, "/logs")
    expect(page.locator("#lines")).to_contain_text("mail to early@example.com")
    assert_kept(page)


def test_printed_lines_appear(tab: Tab, api: Api) -> None:
    page = followed(tab, "/logs")
    api.call("send_mail", "live@example.com")
    expect(page.locator("#lines")).to_contain_text("mail to live@example.com: Hello")
    assert_kept(page)


def test_a_failure_appears_in_its_group_and_in_the_outbox(open_tab: OpenTab, dev: Dev, api: Api) -> None:
    errors, outbox = followed(open_tab(dev.url), "/errors"), followed(open_tab(dev.url), "/outbox")
    api.call("fails", 12)
    expect(errors.locator("#groups")).to_contain_text("no user 12")
    expect(outbox.locator("#messages")).to_contain_text("fails failed")
    assert_kept(errors)
    assert_kept(outbox)


def test_what_is_typed_and_opened_stays(tab: Tab, api: Api) -> None:
    page = followed(tab, "/functions/send_mail")
    page.get_by_label("to", exact=False).first.fill("half typed")
    page.get_by_text("All arguments as JSON").click()
    api.wait_for(api.call("send_mail", "other@example.com"), "succeed")
    expect(page.locator("#used")).to_contain_text("other@example.com")
    expect(page.get_by_label("to", exact=False).first).to_have_value("half typed")
    expect(page.locator("#all-json")).to_be_visible()
    assert_kept(page)


def test_a_moved_clock_is_shown_at_once(tab: Tab, project: TempProject) -> None:
    page = followed(tab, "/functions")
    project.run("clock", "freeze")
    expect(page.locator("#clock")).to_contain_text("frozen")
    project.run("clock", "reset")
    expect(page.locator("#clock")).not_to_contain_text("frozen")
    assert_kept(page)


def test_a_saved_file_is_shown_at_once(tab: Tab, project: TempProject) -> None:
    page = followed(tab, "/functions")
    project.write("brand_new", "async def brand_new(): ...")
    expect(page.locator("#functions")).to_contain_text("brand_new")
    assert_kept(page)


def test_updates_can_be_stopped_and_taken_up_again(tab: Tab, api: Api) -> None:
    page = followed(tab, "/logs")
    button = page.locator("#live")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    api.wait_for(api.call("send_mail", "unseen@example.com"), "succeed")
    expect(page.locator("#lines")).not_to_contain_text("unseen@example.com")
    button.click()
    expect(page.locator("#lines")).to_contain_text("unseen@example.com")
    assert_kept(page)


def test_an_emulator_that_has_gone_is_told_and_one_that_comes_back_is_followed_or_asks_for_its_token(
    browser: Browser, tmp_path: Path
) -> None:
    project = shop(tmp_path / "shop", "send_mail")
    context = browser.new_context()
    page = context.new_page()
    with project.dev("--no-open", "--port", "0").ready() as dev:  # one that no other test takes meanwhile
        url = dev.url
        page.goto(f"{url}/functions")
        page.locator("#live[data-state=live]").wait_for()
        dev.kill()
        expect(page.locator("#live")).to_have_text("not connected")
        page.get_by_role("button", name="Pause").click()
        expect(page.locator("#notices")).to_contain_text("does not answer")
    port = url.rpartition(":")[2]
    with project.dev("--no-open", "--port", port).ready():
        expect(page.locator("#live")).to_have_text("live")
        expect(page.locator("#notices")).not_to_contain_text("does not answer")
        project.run("pause", "send_mail")
        expect(page.locator("#functions")).to_contain_text("paused")
    with project.dev("--no-open", "--port", port, "--token", "open sesame").ready():
        expect(page.get_by_label("Token")).to_be_visible()
    context.close()
