"""With JavaScript off, all pages can be read and all acts work."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.console.browser import Tab
from tests.console.client import Api
from tests.console.conftest import OpenTab
from tests.projects import Dev, TempProject, eventually

pytestmark = pytest.mark.acceptance


@pytest.fixture
def tab(open_tab: OpenTab, dev: Dev) -> Tab:
    return open_tab(dev.url, java_script_enabled=False)


def test_the_overview_is_readable(tab: Tab, api: Api) -> None:
    execution = api.call("send_mail", "ada@example.com")
    api.wait_for(execution, "succeed")
    page = tab.open("/")
    expect(page.locator("#latest")).to_contain_text(execution[-8:])
    expect(page.locator("#activity svg").first).to_be_visible()
    expect(page.locator("#live")).to_be_hidden()


def test_a_wrong_form_comes_back_and_a_right_one_runs(tab: Tab, api: Api) -> None:
    page = tab.open("/functions/send_mail")
    page.get_by_label("subject").fill("No script")
    page.get_by_label("copies").fill("x")
    tab.act("Run send_mail")
    expect(page.get_by_label("copies")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("to", exact=False).first.fill("ada@example.com")
    page.get_by_label("copies").fill("2")
    tab.act("Run send_mail")
    page.wait_for_url("**/executions/*")
    api.wait_for(page.url.rpartition("/")[2], "succeed")


def test_functions_and_everything_are_paused_and_resumed(tab: Tab, project: TempProject) -> None:
    page = tab.open("/functions/fails")
    tab.act("Pause")
    tab.assert_told("fails is paused")
    tab.act("Resume")
    tab.assert_told("fails runs again")
    tab.open("/")
    tab.confirm("Pause everything", "Pause everything")
    expect(page.locator("#paused")).to_contain_text("nothing new starts")
    tab.act("Resume everything")
    tab.assert_told("Everything runs again")
    page.reload()
    expect(page.locator("#notices")).to_be_empty()


def test_the_clock_moves_and_the_theme_changes(tab: Tab, project: TempProject) -> None:
    page = tab.open("/schedules")
    tab.act("Freeze")
    expect(page.locator("#clock-now")).to_contain_text("It stands still")
    tab.confirm("Reset", "Reset the clock")
    expect(page.locator("#clock-now")).to_contain_text("It shows real time")
    tab.act("Dark colours")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.url.endswith("/schedules")


def test_errors_run_again(tab: Tab, api: Api) -> None:
    api.wait_for(api.call("fails", 3), "failed")
    before = len(api.of("fails"))
    tab.open("/errors?function=fails")
    tab.confirm("Run again", f"Run {before} again")
    tab.assert_told("again")
    eventually(lambda: len(api.of("fails")) == 2 * before, "each runs again")
