"""Everything can be reached and done without a mouse, and one sees where one is."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.console.browser import Tab
from tests.console.client import Api

pytestmark = pytest.mark.acceptance

# Where the focus is: its place in the document, and what marks it.
FOCUSED = """() => {
  const element = document.activeElement, style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  const all = [...document.querySelectorAll("*")];
  return {
    place: all.indexOf(element),
    name: element.outerHTML.slice(0, 100),
    marked: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    visible: box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight,
  };
}"""
STOPS = """
[...document.querySelectorAll(
  "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']"
)]
  .filter((element) => element.checkVisibility() && !element.disabled).length
"""


@pytest.mark.parametrize(
    "path", ["/", "/functions", "/functions/send_mail", "/schedules", "/errors", "/logs", "/executions"]
)
def test_tab_goes_through_the_page_in_order_and_the_focus_is_seen(tab: Tab, api: Api, path: str) -> None:
    api.wait_for(api.call("fails"), "failed")
    page = tab.open(path)
    page.locator("#live[data-state=live]").click()  # so that nothing comes or goes meanwhile
    page.reload()
    count = page.evaluate(STOPS)
    places = []
    for _ in range(count):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        assert focused["marked"] and focused["visible"], focused["name"]
        places.append(focused["place"])
    assert places == sorted(set(places))


def test_the_first_stop_skips_the_navigation(tab: Tab) -> None:
    page = tab.open("/functions")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_a_question_is_answered_or_closed_by_key(tab: Tab) -> None:
    page = tab.open("/")
    question = page.locator("summary", has_text="Pause everything")
    question.focus()
    page.keyboard.press("Enter")
    expect(page.locator("details.confirm[open]")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("details.confirm[open]")).to_have_count(0)
    expect(question).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    tab.assert_told("Everything is paused")
    page.get_by_role("button", name="Resume everything").focus()
    page.keyboard.press("Enter")
    tab.assert_told("Everything runs again")


def test_a_slash_goes_to_the_filter_but_is_typed_in_a_field(tab: Tab) -> None:
    page = tab.open("/logs")
    page.keyboard.press("/")
    field = page.get_by_label("Text")
    expect(field).to_be_focused()
    page.keyboard.type("a/b")
    expect(field).to_have_value("a/b")
    page.keyboard.press("Enter")
    page.wait_for_url("**/logs?text=a%2Fb*")


def test_a_form_is_sent_by_enter(tab: Tab, api: Api) -> None:
    page = tab.open("/functions/send_mail")
    page.get_by_label("to", exact=False).first.focus()
    page.keyboard.type("keys@example.com")
    page.keyboard.press("Enter")
    page.wait_for_url("**/executions/*")
    assert api.wait_for(page.url.rpartition("/")[2], "succeed")["function_name"] == "send_mail"
