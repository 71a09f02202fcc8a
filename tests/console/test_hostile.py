"""What functions print, return and raise is shown as text: nothing of it runs or loads anything."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.console.browser import Tab, assert_fits
from tests.console.client import Api
from tests.console.shop import MARKUP
from tests.projects import eventually

pytestmark = pytest.mark.acceptance

PAGES = (
    "/",
    "/functions",
    "/functions/hostile",
    "/functions/hostile?from={failed}",
    "/executions",
    "/executions/{failed}",
    "/executions/{done}",
    "/errors",
    "/logs",
    "/logs?text=%3Cscript%3E",
    "/outbox",
    "/outbox/1",
)


@pytest.fixture(scope="module")
def ids(api: Api) -> dict[str, str]:
    found = {
        "done": api.call("hostile", MARKUP + "z" * 300_000, 0, **{MARKUP[:200]: MARKUP[:200]}),
        "failed": api.call("hostile", MARKUP, 1),
    }
    api.wait_for(found["done"], "succeed")
    api.wait_for(found["failed"], "failed")
    eventually(lambda: api.ask("GET", f"/executions/{found['failed']}/logs"), "its lines are stored")
    return found


@pytest.mark.parametrize("path", PAGES)
def test_nothing_of_it_runs_loads_or_stretches_the_page(tab: Tab, ids: dict[str, str], path: str) -> None:
    """The tab itself asserts that nothing complains, asks, or leaves this machine."""
    page = tab.open(path.format(**ids))
    title = page.title()
    page.locator("#live[data-state=live]").wait_for()
    page.set_viewport_size({"width": 360, "height": 740})
    assert_fits(page)
    assert page.title() == title != "owned"
    assert (
        page.locator("main script, main iframe, main img, main style, main [onerror], main [onload]").count()
        == 0
    )
    assert page.locator("main a[href^=javascript], main [onmouseover], main [style]").count() == 0


def test_lines_are_shown_as_they_were_printed(tab: Tab, ids: dict[str, str]) -> None:
    page = tab.open("/logs?function=hostile&stream=stdout")
    lines = page.locator("#lines .text")
    expect(lines.filter(has_text="<script>").first).to_be_visible()
    expect(lines.filter(has_text="{{ 7 * 7 }}").first).to_be_visible()
    expect(page.locator("#lines .ansi-fg-red", has_text="red").first).to_be_visible()
    expect(page.locator("#lines .ansi-bold", has_text="bold").first).to_be_visible()
    expect(lines.filter(has_text="cleared link").first).to_be_visible()
    expect(lines.filter(has_text="more characters").first).to_be_visible()
    expect(lines.filter(has_text="bytes ").first).to_contain_text("after")


def test_a_hostile_line_that_arrives_while_one_looks_is_text_too(
    tab: Tab, api: Api, ids: dict[str, str]
) -> None:
    page = tab.open("/logs?function=hostile")
    page.locator("#live[data-state=live]").wait_for()
    execution = api.call("hostile")
    expect(page.locator("#lines")).to_contain_text(execution[-8:])
    expect(page.locator("#lines .text").first).to_contain_text("<script>")


def test_hostile_arguments_come_back_as_they_were(tab: Tab, api: Api, ids: dict[str, str]) -> None:
    page = tab.open(f"/functions/hostile?from={ids['failed']}")
    assert page.get_by_label("text", exact=False).first.input_value() == MARKUP
