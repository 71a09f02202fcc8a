"""What one does with executions: find, look at, cancel, run again, put off; one, chosen ones, and all."""

from __future__ import annotations

import subprocess
import sys

import pytest
from playwright.sync_api import expect

from tests.console.browser import Tab, assert_small
from tests.console.client import Api
from tests.projects import TempProject, clean_environment, eventually

pytestmark = pytest.mark.acceptance

HOUR = 3_600.0  # seconds


def execution_of(tab: Tab) -> str:
    """The id of the execution whose page is open, once it is."""
    tab.page.wait_for_url("**/executions/*-*-*")
    return tab.page.url.partition("?")[0].rpartition("/")[2]


def test_a_waiting_execution_is_put_off_called_up_and_cancelled(tab: Tab, api: Api) -> None:
    execution = api.call("send_mail", "later@example.com", delay=HOUR)
    page = tab.open(f"/executions/{execution}")
    standing = page.locator("#standing")
    expect(standing).to_contain_text("created")
    before = api.execution(execution)["scheduled_at"]
    page.locator("summary", has_text="Reschedule").click()
    page.get_by_label("When").fill("2 days")
    page.get_by_role("button", name="Reschedule", exact=True).last.click()
    eventually(lambda: api.execution(execution)["scheduled_at"] > before, "it is due later")
    tab.confirm("Cancel", "Cancel it")
    expect(standing).to_contain_text("cancelled")
    assert api.execution(execution)["state"] == "cancelled"

    due = api.call("send_mail", "now@example.com", delay=HOUR)
    tab.open(f"/executions/{due}")
    tab.confirm("Reschedule", "Reschedule")
    api.wait_for(due, "succeed")
    expect(standing).to_contain_text("succeed")


def test_a_running_execution_is_aborted(tab: Tab, api: Api) -> None:
    execution = api.call("lasts")
    page = tab.open(f"/executions/{execution}")
    expect(page.locator("#logs")).to_contain_text("it begins")
    expect(page.locator("#standing")).to_contain_text("started")
    tab.confirm("Abort", "Abort it")
    expect(page.locator("#standing")).to_contain_text("aborted")
    assert api.execution(execution)["state"] == "aborted"


def test_a_failed_execution_shows_where_and_runs_again(tab: Tab, api: Api) -> None:
    execution = api.call("fails", 9)
    api.wait_for(execution, "failed")
    page = tab.open(f"/executions/{execution}")
    expect(page.locator("#error")).to_contain_text("no user 9")
    expect(page.locator("#error .source .is-hit").first).to_contain_text("raise ValueError")
    expect(page.locator("#logs")).to_contain_text("about to fail")
    page.get_by_role("button", name="Run again", exact=True).click()
    page.wait_for_url(lambda url: execution not in url)
    again = execution_of(tab)
    row = api.wait_for(again, "failed")
    assert row["rerun_of"] == execution
    assert api.arguments(again) == [9]


def test_arguments_are_edited_before_it_runs_again(tab: Tab, api: Api) -> None:
    execution = api.call("send_mail", "ada@example.com", "First", user="7")
    api.wait_for(execution, "succeed")
    page = tab.open(f"/executions/{execution}")
    page.get_by_role("link", name="Edit and run").click()
    expect(page.get_by_label("subject")).to_have_value("First")
    page.get_by_label("copies").fill("none")
    tab.act("Run again")
    expect(page.get_by_label("copies")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("subject").fill("Second")
    page.get_by_label("copies").fill("2")
    tab.act("Run again")
    page.wait_for_url(lambda url: execution not in url)
    again = execution_of(tab)
    row = api.wait_for(again, "succeed")
    assert row["metadata"] == {"user": "7"}
    assert api.arguments(again) == ["ada@example.com", "Second", 2]


def test_the_same_call_can_be_pasted_elsewhere(tab: Tab, api: Api, project: TempProject) -> None:
    execution = api.call("send_mail", "o'neil@example.com", 'Say "hi" $HOME `id`')
    api.wait_for(execution, "succeed")
    page = tab.open(f"/executions/{execution}")
    before = len(api.of("send_mail"))
    for number, key in enumerate(("defer", "curl", "python"), 1):
        text = page.locator(f"#copy-{key}").inner_text()
        command = [sys.executable, "-m", "asyncio"] if key == "python" else ["bash"]
        environment = clean_environment()
        environment["PATH"] = f"{sys.prefix}/bin:{environment['PATH']}"
        done = subprocess.run(
            command, input=text + "\n", cwd=project.root, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, text + done.stderr
        rows = api.of("send_mail")
        assert len(rows) == before + number, text + done.stderr
        assert api.arguments(rows[0]["id"]) == ["o'neil@example.com", 'Say "hi" $HOME `id`']


def test_the_list_follows_what_happens_and_keeps_its_filters_in_the_address(tab: Tab, api: Api) -> None:
    page = tab.open("/executions")
    page.locator(".chip", has_text="failed").click()
    page.get_by_label("Function").select_option("fails")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**/executions?*state=failed*")
    assert "function=fails" in page.url
    page.locator("#live[data-state=live]").wait_for()
    page.evaluate("window.kept = true")
    execution = api.call("fails", 5)
    other = api.call("send_mail", "ada@example.com")
    expect(page.locator("#executions")).to_contain_text(execution[-8:])
    api.wait_for(other, "succeed")
    expect(page.locator("#executions")).not_to_contain_text(other[-8:])
    assert page.evaluate("window.kept") is True
    page.reload()
    expect(page.get_by_role("checkbox", name="failed")).to_be_checked()
    expect(page.get_by_label("Function")).to_have_value("fails")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("text=needle-in-it", True),
        ("metadata=order:ü", False),
        ("metadata=order:77", True),
        ("metadata=order:78", False),
        ("state=succeed&function=send_mail&metadata=order:77", True),
        ("state=failed&metadata=order:77", False),
        ("since=1h&metadata=order:77", True),
        ("scheduled_from=1h&scheduled_to=%2B1h&metadata=order:77", True),
        ("started_to=1h&metadata=order:77", False),
    ],
)
def test_executions_are_found(tab: Tab, api: Api, query: str, found: bool) -> None:
    execution = api.call("send_mail", "ada@example.com", "needle-in-it", order="77")
    api.wait_for(execution, "succeed")
    answer = tab.page.goto(f"{tab.url}/executions?{query}")
    assert answer is not None and answer.status in (200, 422)
    expect(tab.page.locator(f"#executions a.id[title='{execution}']")).to_have_count(int(found))


def test_a_short_id_leads_to_its_execution(tab: Tab, api: Api) -> None:
    execution = api.call("send_mail", "ada@example.com")
    page = tab.open("/executions")
    page.get_by_label("Id", exact=True).fill(execution[-8:])
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/executions/{execution}")


def test_chosen_executions_are_cancelled_after_their_number_is_confirmed(tab: Tab, api: Api) -> None:
    chosen = [api.call("send_mail", "chosen@example.com", delay=HOUR, batch="few") for _ in range(3)]
    spared = api.call("send_mail", "spared@example.com", delay=HOUR, batch="few")
    page = tab.open("/executions?metadata=batch:few")
    for one in chosen:
        page.get_by_role("checkbox", name=one[-8:]).check()
    expect(page.locator("[data-chosen]")).to_have_text("3 chosen")
    page.get_by_role("button", name="Cancel…").click()
    expect(page.locator("main")).to_contain_text("3 executions")
    page.get_by_role("button", name="Cancel 3").click()
    expect(page.locator("#progress")).to_contain_text("3 of 3")
    expect(page.locator("#progress")).to_contain_text("Done.")
    assert {api.execution(one)["state"] for one in chosen} == {"cancelled"}
    assert api.execution(spared)["state"] == "created"


def test_all_that_match_run_again_with_their_progress(tab: Tab, api: Api) -> None:
    for number in range(30):
        api.call("send_mail", f"{number}@example.com", batch="many")
    eventually(
        lambda: (
            len([one for one in api.of("send_mail") if one["state"] == "succeed" and one["metadata"]]) >= 30
        ),
        "they have run",
    )
    page = tab.open("/executions?metadata=batch:many")
    page.get_by_label("all that match").check()
    page.get_by_role("button", name="Run again…").click()
    page.get_by_role("button", name="Run again 30").click()
    expect(page.locator("#progress")).to_contain_text("30 of 30")
    expect(page.locator("#progress progress")).to_have_attribute("value", "30")
    reruns = [one for one in api.of("send_mail") if one["metadata"] == {"batch": "many"} and one["rerun_of"]]
    assert len(reruns) == 30


def test_all_that_match_are_put_off(tab: Tab, api: Api) -> None:
    waiting = [api.call("send_mail", "x@example.com", delay=HOUR, batch="late") for _ in range(2)]
    page = tab.open("/executions?metadata=batch:late")
    page.get_by_label("all that match").check()
    page.get_by_role("button", name="Reschedule…").click()
    page.get_by_label("When").fill("soonish")
    page.get_by_role("button", name="Reschedule 2").click()
    expect(page.locator("#when-error")).to_be_visible()
    page.get_by_label("When").fill("")
    page.get_by_role("button", name="Reschedule 2").click()
    expect(page.locator("#progress")).to_contain_text("Done.")
    for one in waiting:
        api.wait_for(one, "succeed")


def test_every_execution_is_reached_page_by_page(tab: Tab, api: Api) -> None:
    expected = {api.call("send_mail", "p@example.com", delay=HOUR, batch="paged")[-8:] for _ in range(120)}
    page = tab.open("/executions?metadata=batch:paged")
    seen: set[str] = set()
    while True:
        seen |= set(page.locator("#executions td a.id").all_inner_texts())
        older = page.get_by_role("link", name="Older")
        if not older.count():
            break
        older.click()
        page.wait_for_load_state()
    assert seen == expected
    page.get_by_role("link", name="Newest").click()
    expect(page.get_by_role("link", name="Newest")).to_have_count(0)


def test_a_workflow_is_drawn_followed_and_cancelled_as_a_whole(
    tab: Tab, api: Api, project: TempProject
) -> None:
    project.run("pause", "send_mail")
    root = api.call("order", ["ada@example.com", "grace@example.com"])
    page = tab.open(f"/executions/{root}/workflow")
    waterfall = page.locator("#waterfall")
    expect(waterfall).to_contain_text("order")
    expect(waterfall).to_contain_text("send_mail")
    expect(page.locator("#graph svg")).to_be_visible()
    tab.confirm("Cancel all", "Cancel all")
    api.wait_for(root, "aborted")
    expect(page.locator("#summary")).to_contain_text("cancelled 2")
    expect(page.locator("#summary")).to_contain_text("aborted 1")
    project.run("resume", "send_mail")
    tab.act("Run all again")
    page.wait_for_url(lambda url: root not in url)
    again = page.url.split("/executions/")[1].partition("/")[0]
    assert api.wait_for(again, "succeed")["rerun_of"] == root


def test_five_hundred_children_are_readable(tab: Tab, api: Api) -> None:
    root = api.call("order", [f"{number}@example.com" for number in range(500)])
    api.wait_for(root, "succeed")
    page = tab.open(f"/executions/{root}/workflow")
    expect(page.locator("#summary")).to_contain_text("succeed 501")
    expect(page.locator("#waterfall")).to_contain_text("× 500")
    tab.open(f"/executions/{root}")
    expect(page.locator("#workflow")).to_contain_text("500")
    page.get_by_role("link", name="Workflow", exact=True).click()
    with page.expect_navigation() as opened:
        page.get_by_title("Show them one by one").click()
    assert_small(opened.value)
    assert page.locator("#waterfall tbody tr").count() > 20
