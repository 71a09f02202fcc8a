"""The list of executions, and acts on many of them."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta

import pytest

from defer_client.models import Arguments, Call, Execution, ExecutionFilters, Page, State
from tests.unit.web.console.browser import Browser, visible
from tests.unit.web.world import FAILURE, World

pytestmark = pytest.mark.anyio

MAX_PAGE = 150_000  # bytes


async def enqueue(world: World, *arguments: object, **options: object) -> Execution:
    call = Call(function_name="send_mail", arguments=Arguments(positional=arguments), **options)  # type: ignore[arg-type]
    return await world.backend.enqueue(call)


async def fail(world: World, *arguments: object) -> Execution:
    execution = await enqueue(world, *arguments)
    world.start(execution.id)
    world.end(execution.id, failure=FAILURE)
    return execution


async def of_state(world: World, state: State) -> list[Execution]:
    page = await world.backend.list_executions(Page(first=1_000), ExecutionFilters(states=[state]))
    return list(page.data)


def shown(html: str) -> list[str]:
    """The ids of the rows."""
    return re.findall(r'<tr data-key="([^"]+)"', html)


def link(html: str, rel: str) -> str:
    found = re.search(rf'rel="{rel}" href="([^"]+)"', html)
    assert found is not None
    return found[1].replace("&amp;", "&")


async def finished(browser: Browser, page: str) -> str:
    """The text of the page of an act, once it is over."""
    for _ in range(200):
        text = visible(await browser.text(page))
        if "Done." in text or "Stopped." in text:
            return text
        await asyncio.sleep(0)
    raise AssertionError(text)


# --- filters --------------------------------------------------------------------------------------


async def test_each_filter_of_the_address_narrows_the_list(browser: Browser, world: World) -> None:
    failed = await fail(world, "ada")
    tagged = await enqueue(world, "grace", metadata={"team": "a:b"})
    later = await enqueue(world, "alan", delay=timedelta(days=2))
    child = await world.backend.rerun_execution(tagged.id)
    for query, ids in {
        "state=failed": [failed.id],
        "state=failed&state=created": [child.id, later.id, tagged.id, failed.id],
        "function=nightly": [],
        f"function={failed.function_id}": [child.id, later.id, tagged.id, failed.id],
        "error_code=ER0003": [failed.id],
        "metadata=team:a:b": [child.id, tagged.id],
        "metadata=team%3Da:b": [child.id, tagged.id],
        "text=ALAN": [later.id],
        "text=no+luck": [failed.id],
        "scheduled_from=%2B1d": [later.id],
        "scheduled_to=0s": [child.id, tagged.id, failed.id],
        "started_from=1h": [failed.id],
        "since=1h": [child.id, later.id, tagged.id, failed.id],
        f"executed_by={failed.id}": [],
    }.items():
        assert shown(await browser.text(f"/executions?{query}")) == ids, query


async def test_filters_stay_in_the_form(browser: Browser) -> None:
    html = await browser.text(
        "/executions?state=failed&metadata=a:1&metadata=b:2&text=%3Cb%3E&function=gone&scheduled_to=%2B2h"
    )
    assert re.search(r'value="failed" checked', html)
    assert 'value="a:1"' in html and 'value="b:2"' in html and 'value="&lt;b&gt;"' in html
    assert "<option selected>gone</option>" in html and 'value="+2h"' in html
    assert '<details class="fold more-filters" open>' in html


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("state=gone", "there is no state"),
        ("error_code=E1", "there is no error code"),
        ("metadata=x", "metadata is key:value"),
        ("since=soon", "since"),
        ("scheduled_from=%2Bsoon", "due from"),
        ("started_to=9999999999999d", "started until"),
        ("executed_by=zzzz", "no id of an execution"),
        ("id=zzzz", "no id of an execution"),
        ("after=nonsense", "unknown cursor"),
        ("text=" + "x" * 1_001, "at most 1,000"),
    ],
)
async def test_a_wrong_filter_is_told_and_nothing_is_shown(
    browser: Browser, world: World, query: str, said: str
) -> None:
    execution = await enqueue(world, "ada")
    page = await browser.get(f"/executions?{query}")
    assert page.status_code == 422
    assert said in visible(page.text)
    if not query.startswith("id="):
        assert execution.id not in page.text


async def test_an_id_leads_to_its_execution(browser: Browser, world: World) -> None:
    execution = await enqueue(world, "ada")
    page = await browser.get(f"/executions?id={execution.id[-6:]}")
    assert page.status_code == 303
    assert page.headers["Location"] == f"/executions/{execution.id}"


async def test_nothing_of_a_hostile_address_runs(browser: Browser) -> None:
    hostile = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E"
    for name in ("text", "function", "metadata", "since", "id", "state", "executed_by", "after"):
        page = await browser.get(f"/executions?{name}={hostile}")
        assert "<script>alert" not in page.text, name


# --- pages ----------------------------------------------------------------------------------------


async def test_pages_follow_each_other_in_both_directions(browser: Browser, world: World) -> None:
    ids = [(await enqueue(world, f"user {number}")).id for number in range(120)][::-1]
    first = await browser.text("/executions?function=send_mail")
    second = await browser.text(link(first, "next"))
    third = await browser.text(link(second, "next"))
    assert shown(first) + shown(second) + shown(third) == ids
    assert "function=send_mail" in link(first, "next")
    assert shown(await browser.text(link(third, "prev"))) == shown(second)
    assert shown(await browser.text(link(second, "prev"))) == shown(first)


async def test_a_row_says_when_and_how_long(browser: Browser, world: World) -> None:
    execution = await enqueue(world, "ada", metadata={"team": "growth"})
    world.clock.advance(timedelta(seconds=2))
    world.start(execution.id)
    world.clock.advance(timedelta(seconds=3))
    world.end(execution.id, result="1")
    await enqueue(world, "later", delay=timedelta(hours=5))
    text = visible(await browser.text("/executions"))
    assert "created send_mail" in text and "in 5h" in text
    assert "succeed send_mail" in text and "2s" in text and "3s" in text and "team=growth" in text


async def test_a_page_of_large_metadata_stays_small(browser: Browser, world: World) -> None:
    metadata = {f"{number}" + '"' * 250: "<" * 256 for number in range(25)}
    for _ in range(60):
        await enqueue(world, "ada", metadata=metadata)
    assert len((await browser.get("/executions")).content) < MAX_PAGE


# --- acts on many ---------------------------------------------------------------------------------


async def test_an_act_is_asked_about_with_its_number(browser: Browser, world: World) -> None:
    ids = [(await enqueue(world, number)).id for number in range(3)]
    text = visible(await browser.text("/executions/act?act=cancel&" + "&".join(f"id={one}" for one in ids)))
    assert "Cancel?" in text and "3 executions" in text and "Cancel 3" in text
    assert ids[0][-8:] in text
    assert not await of_state(world, State.CANCELLED)


async def test_chosen_executions_are_cancelled_and_one_that_cannot_be_is_told(
    browser: Browser, world: World
) -> None:
    ended = await fail(world, "ada")
    waiting = [await enqueue(world, number) for number in range(3)]
    query = "&".join(f"id={one.id}" for one in [ended, *waiting])
    page = await browser.post("/executions/act", back=f"/executions/act?act=cancel&{query}", count="4")
    assert page.status_code == 303
    text = await finished(browser, page.headers["Location"])
    assert "3 executions cancelled, 1 could not be" in text
    assert ended.id[-8:] in text and "failed" in text
    assert len(await of_state(world, State.CANCELLED)) == 3


async def test_all_that_match_are_run_again(browser: Browser, world: World) -> None:
    failed = [await fail(world, number) for number in range(70)]
    await enqueue(world, "other")
    ask = "/executions/act?act=rerun&all=1&state=failed"
    assert "70 executions that match" in visible(await browser.text(ask))
    page = await browser.post("/executions/act", back=ask, count="70")
    assert "70 executions run again" in await finished(browser, page.headers["Location"])
    made = {one.rerun_of for one in await of_state(world, State.CREATED)} - {None}
    assert made == {one.id for one in failed}


async def test_more_than_were_confirmed_are_asked_about_again(browser: Browser, world: World) -> None:
    for number in range(3):
        await enqueue(world, number)
    ask = "/executions/act?act=cancel&all=1&function=send_mail"
    page = await browser.post("/executions/act", back=ask, count="2")
    assert page.status_code == 409
    assert "There are 3 by now: nothing was done yet" in visible(page.text)
    assert not await of_state(world, State.CANCELLED)


async def test_all_that_match_are_only_those_it_is_possible_for(browser: Browser, world: World) -> None:
    await fail(world, "ada")
    await enqueue(world, "grace")
    assert "1 execution that matches" in visible(await browser.text("/executions/act?act=cancel&all=1"))
    assert "Nothing to abort" in visible(await browser.text("/executions/act?act=abort&all=1"))


async def test_many_are_rescheduled(browser: Browser, world: World) -> None:
    waiting = await enqueue(world, "ada", delay=timedelta(days=9))
    ask = "/executions/act?act=reschedule&all=1"
    wrong = await browser.post("/executions/act", back=ask, count="1", when="soon")
    assert wrong.status_code == 422 and 'value="soon"' in wrong.text and "has-error" in wrong.text
    page = await browser.post("/executions/act", back=ask, count="1", when="1h")
    assert "1 execution rescheduled" in await finished(browser, page.headers["Location"])
    moved = await world.backend.get_execution(waiting.id)
    assert moved.scheduled_at - await world.backend.now() == timedelta(hours=1)


async def test_nothing_chosen_says_how_to_choose(browser: Browser) -> None:
    text = visible(await browser.text("/executions/act?act=cancel"))
    assert "Choose some executions of the list" in text


async def test_a_wrong_filter_never_widens_an_act(browser: Browser, world: World) -> None:
    await enqueue(world, "ada")
    ask = "/executions/act?act=cancel&all=1&state=gone"
    assert (await browser.get(ask)).status_code == 400
    assert (await browser.post("/executions/act", back=ask)).status_code == 400
    assert not await of_state(world, State.CANCELLED)


async def test_an_unknown_act_and_an_unknown_job_are_told(browser: Browser) -> None:
    assert (await browser.get("/executions/act?act=destroy")).status_code == 400
    for number in ("7", "x", "9" * 40):
        assert (await browser.get(f"/executions/acts/{number}")).status_code == 404


async def test_an_act_can_be_stopped(browser: Browser, world: World) -> None:
    for number in range(400):
        await enqueue(world, number)
    ask = "/executions/act?act=cancel&all=1"
    page = await browser.post("/executions/act", back=ask, count="400")
    job = page.headers["Location"]
    await browser.post(f"{job}/stop", back=job)
    text = await finished(browser, job)
    cancelled = len(await of_state(world, State.CANCELLED))
    assert "Stopped." in text and f"{400 - cancelled} not touched" in text
    assert cancelled < 400
