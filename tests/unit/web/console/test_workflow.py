"""A workflow: grouped, as a graph and as a waterfall."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from defer_client.models import Arguments, Call, Execution, State
from defer_emulator.backend import LocalBackend
from tests.unit.web.console.browser import Browser, visible
from tests.unit.web.world import FAILURE, World

pytestmark = pytest.mark.anyio

MAX_PAGE = 150_000  # bytes


async def enqueue(world: World, parent: Execution | None = None, **options: object) -> Execution:
    backend = LocalBackend(world.store, parent=parent and parent.id, wake=lambda: None)
    call = Call(function_name="send_mail", arguments=Arguments(positional=["ada"]), **options)  # type: ignore[arg-type]
    return await backend.enqueue(call)


async def wide(world: World, children: int) -> tuple[Execution, list[Execution]]:
    """A running execution that waits for many, of which one has failed."""
    root = await enqueue(world)
    world.start(root.id)
    found = [await enqueue(world, root, awaited=True) for _ in range(children)]
    world.start(found[0].id)
    world.clock.advance(timedelta(seconds=1))
    world.end(found[0].id, failure=FAILURE)
    return root, found


def rows(html: str) -> int:
    return len(re.findall(r'class="tree-name', html))


async def test_siblings_that_are_alike_are_one_until_they_are_opened(browser: Browser, world: World) -> None:
    root, children = await wide(world, 500)
    html = await browser.text(f"/executions/{root.id}/workflow")
    text = visible(html)
    assert "started 500" in text and "failed 1" in text and "501 executions" in text
    assert "send_mail × 499" in text and rows(html) == 3
    toggle = re.search(r'href="([^"]+open=[^"]+)"', html)
    assert toggle is not None
    opened = await browser.get(toggle[1])
    assert rows(opened.text) == 43 and "send_mail × 459" in visible(opened.text)
    assert len(opened.content) < MAX_PAGE
    assert f"/executions/{children[1].id}" in opened.text


async def test_a_child_shows_the_whole_workflow_and_its_own_place(browser: Browser, world: World) -> None:
    root, children = await wide(world, 20)
    html = await browser.text(f"/executions/{children[7].id}/workflow")
    assert f"Workflow send_mail {root.id[-8:]}" in visible(html)
    current = re.search(r'<tr data-key="([^"]+)" class="is-current"', html)
    assert current is not None and current[1] == children[7].id[-8:]
    assert "send_mail × 18" in visible(html)


async def test_it_says_what_is_delayed_and_what_is_awaited(browser: Browser, world: World) -> None:
    root = await enqueue(world)
    world.start(root.id)
    await enqueue(world, root, delay=timedelta(hours=3))
    await enqueue(world, root, awaited=True)
    html = await browser.text(f"/executions/{root.id}/workflow")
    assert "delayed until 03:00:00" in visible(html)
    assert visible(html).count("awaited") == 1
    assert html.count('class="edge is-loose"') == 1 and html.count('class="edge"') == 1


async def test_a_group_that_only_waits_for_its_time_is_drawn(browser: Browser, world: World) -> None:
    root = await enqueue(world)
    world.start(root.id)
    world.clock.advance(timedelta(seconds=5))
    for _ in range(9):
        await enqueue(world, root, delay=timedelta(hours=3))
    html = await browser.text(f"/executions/{root.id}/workflow")
    group = html.split("9 × send_mail created")[1].split("</svg>")[0]
    assert 'class="delayed"' in group


async def test_a_deep_and_a_lone_workflow_are_shown(browser: Browser, world: World) -> None:
    top = last = await enqueue(world)
    world.start(top.id)
    for _ in range(60):
        last = await enqueue(world, last)
    page = await browser.get(f"/executions/{last.id}/workflow")
    assert page.status_code == 200 and "deeper" in page.text and len(page.content) < MAX_PAGE
    alone = await enqueue(world)
    assert rows(await browser.text(f"/executions/{alone.id}/workflow")) == 1


async def test_all_of_it_is_cancelled(browser: Browser, world: World) -> None:
    root, children = await wide(world, 3)
    path = f"/executions/{root.id}/workflow"
    assert "Cancel all" in await browser.text(path)
    await browser.submit(f"/executions/{root.id}/cancel-all", back=path, force="1")
    states = [(await world.backend.get_execution(one.id)).state for one in [root, *children]]
    assert states[0] is State.ABORTING and states[1] is State.FAILED
    assert set(states[2:]) <= {State.CANCELLED, State.ABORTING}
    assert (await browser.post("/executions/nonono/cancel-all", back=path)).status_code == 404
