"""Acts of the console, by hand in a browser: each does what it says to the real emulator."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.console.browser import Tab
from tests.console.client import Api
from tests.projects import TempProject, eventually

pytestmark = pytest.mark.acceptance


def test_everything_is_paused_and_resumed(tab: Tab, api: Api, project: TempProject) -> None:
    tab.open("/")
    tab.confirm("Pause everything", "Pause everything")
    tab.assert_told("Everything is paused")
    waiting = api.call("send_mail", "ada@example.com")
    expect(tab.page.locator("#paused")).to_contain_text("nothing new starts")
    assert api.execution(waiting)["state"] == "created"
    tab.act("Resume everything")
    tab.assert_told("Everything runs again")
    api.wait_for(waiting, "succeed")


def test_a_function_is_paused_and_resumed(tab: Tab, api: Api, project: TempProject) -> None:
    page = tab.open("/functions")
    row = page.get_by_role("row", name="send_mail")
    row.get_by_role("button", name="Pause").click()
    tab.assert_told("send_mail is paused")
    assert page.url.endswith("/functions")
    waiting = api.call("send_mail", "ada@example.com")
    other = api.call("fails")
    api.wait_for(other, "failed")
    assert api.execution(waiting)["state"] == "created"
    expect(row).to_contain_text("paused")
    row.get_by_role("button", name="Resume").click()
    api.wait_for(waiting, "succeed")


def test_the_form_says_what_is_wrong_at_each_field_and_keeps_what_was_typed(tab: Tab, api: Api) -> None:
    before = len(api.of("send_mail"))
    page = tab.open("/functions/send_mail")
    page.get_by_label("subject").fill("Half a mail")
    page.get_by_label("copies").fill("many")
    page.get_by_label("tags").fill("[1,")
    page.get_by_text("Delay, discard, metadata").click()
    page.get_by_label("Delay", exact=True).fill("soonish")
    page.get_by_label("Metadata").fill("no equals sign")
    tab.act("Run send_mail")
    for field in ("to", "copies", "tags", "Delay", "Metadata"):
        wrong = page.get_by_label(field, exact=field == "Delay").first
        expect(wrong).to_have_attribute("aria-invalid", "true")
        said = page.locator(f"#{wrong.get_attribute('aria-describedby')}")
        expect(said).not_to_be_empty()
    expect(page.get_by_label("to", exact=False).first).to_be_focused()
    expect(page.get_by_label("subject")).to_have_value("Half a mail")
    expect(page.get_by_label("Metadata")).to_have_value("no equals sign")
    assert page.url.endswith("/functions/send_mail")
    assert len(api.of("send_mail")) == before


def test_the_form_runs_the_function_with_typed_arguments(tab: Tab, api: Api) -> None:
    page = tab.open("/functions/send_mail")
    page.get_by_label("to", exact=False).first.fill("ada@example.com")
    page.get_by_label("copies").fill("3")
    page.get_by_label("urgent").select_option(label="true")
    page.get_by_label("kind").select_option("html")
    page.get_by_label("tags").fill('["a", "b"]')
    page.get_by_text("Delay, discard, metadata").click()
    page.get_by_label("Metadata").fill("user=7\nplan=free")
    tab.act("Run send_mail")
    page.wait_for_url("**/executions/*")
    execution = page.url.rpartition("/")[2]
    done = api.wait_for(execution, "succeed")
    assert done["metadata"] == {"user": "7", "plan": "free"}
    sent = api.ask("GET", f"/executions/{execution}/results")
    assert sent == {
        "to": "ada@example.com",
        "subject": "Hello",
        "copies": 3,
        "urgent": True,
        "kind": "html",
        "tags": ["a", "b"],
    }


def test_recent_arguments_are_a_start(tab: Tab, api: Api) -> None:
    api.wait_for(api.call("send_mail", "grace@example.com", "Compilers"), "succeed")
    page = tab.open("/functions/send_mail")
    page.get_by_role("listitem").filter(has_text="Compilers").get_by_role("link", name="Use these").click()
    expect(page.get_by_label("to", exact=False).first).to_have_value("grace@example.com")
    expect(page.get_by_label("subject")).to_have_value("Compilers")


def test_a_cron_runs_now(tab: Tab, api: Api) -> None:
    page = tab.open("/schedules")
    page.get_by_role("row", name="nightly").get_by_role("button", name="Run now").click()
    tab.assert_told("nightly is enqueued")
    assert page.url.endswith("/schedules")
    execution = page.locator("#notices a").get_attribute("href")
    assert execution is not None
    api.wait_for(execution.rpartition("/")[2], "succeed")


def has_arrived(project: TempProject, before: str) -> bool:
    clock = project.json("clock")
    return clock["advancing_to"] is None and bool(clock["now"] > before)


def test_the_clock_is_frozen_advanced_and_reset(tab: Tab, api: Api, project: TempProject) -> None:
    tomorrow = api.call("send_mail", "later@example.com", delay=86_400)
    page = tab.open("/schedules")
    clock = page.locator("#clock-now")
    advance = page.get_by_role("textbox", name="Advance")  # a bar has that name too while it goes on
    tab.act("Freeze")
    expect(clock).to_contain_text("It stands still")
    expect(page.locator("#clock")).to_contain_text("frozen")
    frozen = project.json("clock")
    assert frozen["mode"] == "frozen"
    tab.act("To the next due thing")  # the minute of a cron, which may be a second away
    eventually(lambda: has_arrived(project, frozen["now"]), "the clock has got there")
    assert api.execution(tomorrow)["state"] == "created"
    tab.act("Resume")
    expect(clock).to_contain_text("It runs")
    advance.fill("1 day")
    tab.act("Advance")
    api.wait_for(tomorrow, "succeed")
    expect(clock).to_contain_text("ahead of real time")
    advance.fill("yesterday")
    tab.act("Advance")
    expect(page.locator("#to-error")).to_be_visible()
    expect(advance).to_be_focused()
    tab.confirm("Reset", "Reset the clock")
    expect(clock).to_contain_text("It shows real time")
    assert project.json("clock")["mode"] == "running"


def test_an_advance_that_starts_many_crons_asks_first(tab: Tab, project: TempProject) -> None:
    page = tab.open("/schedules")
    page.get_by_label("Advance").fill("30d")
    tab.act("Advance")
    expect(page.get_by_role("button", name="Advance all the same")).to_be_visible()
    assert project.json("clock")["mode"] == "running"
    expect(page.locator("#clock-now")).to_contain_text("It shows real time")


def test_a_group_of_errors_runs_again(tab: Tab, api: Api) -> None:
    for _ in range(3):
        api.wait_for(api.call("fails", 41), "failed")
    before = len(api.of("fails"))
    page = tab.open("/errors?function=fails")
    group = page.get_by_role("article").filter(has_text="no user")
    count = int(group.locator(".group-count b").inner_text())
    tab.confirm("Run again", f"Run {count} again")
    tab.assert_told("again")
    eventually(lambda: len(api.of("fails")) == before + count, "each runs again once")
