"""Each page of the console, in a project where everything has happened: readable, small, for everybody."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.console.browser import (
    Tab,
    assert_fits,
    axe_source,
    screenshot,
    violations,
)
from tests.console.client import Api
from tests.console.conftest import OpenTab
from tests.projects import Dev, TempProject, eventually

pytestmark = pytest.mark.acceptance

PAGES = {
    "overview": "/",
    "functions": "/functions",
    "function": "/functions/send_mail",
    "cron": "/functions/nightly",
    "broken": "/functions/broken",
    "executions": "/executions",
    "executions, filtered": "/executions?state=failed&function=fails",
    "execution, succeeded": "/executions/{mail}",
    "execution, failed": "/executions/{failed}",
    "execution, running": "/executions/{running}",
    "execution, delayed": "/executions/{delayed}",
    "execution, parent": "/executions/{order}",
    "execution, edited": "/executions/{mail}/edit",
    "workflow": "/executions/{order}/workflow",
    "acts": "/executions/act?all=1&act=rerun&state=failed",
    "schedules": "/schedules",
    "errors": "/errors",
    "logs": "/logs",
    "outbox": "/outbox",
    "message": "/outbox/1",
}
PHONE = {"width": 360, "height": 740}
TABLETS = [{"width": 768, "height": 1024}, {"width": 1025, "height": 768}]
DESK = {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def ids(api: Api, project: TempProject) -> dict[str, str]:
    """Executions in every state, by what they are."""
    found = {
        "order": api.call("order", ["ada@example.com", "grace@example.com", "joan@example.com"]),
        "failed": api.call("fails", 7),
        "mail": api.call("send_mail", "ada@example.com", user="7", plan="free"),
        "running": api.call("lasts"),
        "aborted": api.call("lasts"),
        "delayed": api.call("send_mail", "later@example.com", delay=3600),
        "cancelled": api.call("send_mail", "never@example.com", delay=3600),
    }
    for number in range(4):
        api.call("fails", number)
    api.ask("POST", f"/executions/{found['cancelled']}/cancellation", {})
    api.wait_for(found["aborted"], "started")
    api.ask("POST", f"/executions/{found['aborted']}/cancellation", {"force": True})
    for name, state in {
        "order": "succeed",
        "failed": "failed",
        "mail": "succeed",
        "running": "started",
        "aborted": "aborted",
    }.items():
        api.wait_for(found[name], state)
    eventually(lambda: project.json("notifications")["data"], "the outbox holds a message")
    return found


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest, ids: dict[str, str]) -> tuple[str, str]:
    """The name of a page, and its address."""
    name = request.param
    return name, PAGES[name].format(**ids)


def test_axe_finds_nothing_in_either_theme(dev: Dev, open_tab: OpenTab, page: tuple[str, str]) -> None:
    name, path = page
    axe = axe_source()
    # What the script is injected by would itself be against the policy of the pages.
    tab = open_tab(dev.url, viewport=DESK, bypass_csp=True)
    shown = tab.open(path)
    screenshot(shown, f"{name} light {DESK['width']}")
    unfold(tab)
    assert violations(shown, axe) == []
    shown.emulate_media(color_scheme="dark")
    screenshot(shown, f"{name} dark {DESK['width']}")
    assert violations(shown, axe, "color-contrast", "link-in-text-block") == []


def test_a_page_says_where_one_is_lies_still_and_fits_a_phone(
    dev: Dev, open_tab: OpenTab, page: tuple[str, str]
) -> None:
    name, path = page
    tab = open_tab(dev.url, viewport=PHONE)
    tab.page.add_init_script(
        "window.moved = [];"
        "new PerformanceObserver((list) => moved.push(...list.getEntries().map((entry) => entry.value)))"
        ".observe({type: 'layout-shift', buffered: true})"
    )
    shown = tab.open(path)
    shown.locator("#live[data-state=live]").wait_for()
    assert sum(shown.evaluate("moved")) < 0.01
    assert shown.locator("h1").count() == 1
    assert shown.title().endswith(" · shop")
    current = shown.locator(".rail nav [aria-current=page]").get_attribute("href")
    assert current is not None and path.startswith(current)
    screenshot(shown, f"{name} light {PHONE['width']}")
    assert_fits(shown)
    unfold(tab)
    assert_fits(shown)
    for size in TABLETS:
        shown.set_viewport_size(size)
        assert_fits(shown)


def test_an_age_that_grows_moves_nothing_beside_it(dev: Dev, open_tab: OpenTab, ids: dict[str, str]) -> None:
    tab = open_tab(dev.url, viewport=PHONE)
    tab.page.clock.install()
    shown = tab.open(f"/executions/{ids['running']}")
    shown.locator("#live[data-state=live]").wait_for()
    places = "[...document.querySelectorAll('.facts dt')].map((one) => [one.offsetLeft, one.offsetTop])"
    started = shown.locator(".facts div", has_text="Started").locator("time")
    before, age = shown.evaluate(places), started.inner_text()
    tab.page.clock.fast_forward("11:00:00")
    expect(started).not_to_have_text(age)
    assert shown.evaluate(places) == before


def test_the_overview_leads_to_every_page(tab: Tab) -> None:
    shown = tab.open("/")
    for name in ("Executions", "Functions", "Schedules", "Errors", "Logs", "Outbox", "Overview"):
        shown.locator(".rail nav").get_by_role("link", name=name, exact=True).click()
        shown.wait_for_url(f"{tab.url}/{'' if name == 'Overview' else name.lower()}")
        assert shown.locator("h1").inner_text() == name


def test_the_theme_is_chosen_and_kept(tab: Tab) -> None:
    shown = tab.open("/")

    def paper() -> str:
        found: str = shown.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        return found

    light = paper()
    with shown.expect_response("**/preferences/theme"):
        tab.act("Dark colours")
    dark = paper()
    assert dark != light
    tab.open("/errors")
    assert paper() == dark
    assert shown.get_by_role("button", name="Dark colours").get_attribute("aria-pressed") == "true"
    with shown.expect_response("**/preferences/theme"):
        tab.act("Colours of the system")
    tab.open("/errors")
    assert paper() == light


def unfold(tab: Tab) -> None:
    """Open all that can be opened, one after the other where only one may be open."""
    tab.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
