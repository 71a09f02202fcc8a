"""One execution: what its page shows, and what can be done there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from defer_client.models import Arguments, Call, Execution, ExecutionFilters, Json, Page, State
from defer_emulator.backend import LocalBackend
from defer_emulator.domain.faults import Faults
from defer_emulator.domain.work import LogChunk
from tests.unit.web.console.browser import Browser, visible
from tests.unit.web.world import FAILURE, World

pytestmark = pytest.mark.anyio

HOSTILE = "<script>alert('x')</script>\x1b[31mred"
MAX_PAGE = 150_000  # bytes


async def enqueue(world: World, *arguments: Json, **options: object) -> Execution:
    call = Call(function_name="send_mail", arguments=Arguments(positional=arguments), **options)  # type: ignore[arg-type]
    return await world.backend.enqueue(call)


async def child_of(world: World, parent: Execution, *, awaited: bool = True) -> Execution:
    backend = LocalBackend(world.store, parent=parent.id, wake=lambda: None)
    call = Call(function_name="send_mail", arguments=Arguments(positional=["child"]), awaited=awaited)
    return await backend.enqueue(call)


def log(world: World, execution: Execution, *messages: str, stream: str = "stdout") -> None:
    with world.store.write() as tx:
        (running,) = (one for one in tx.running() if one.id == execution.id)
        tx.append_logs(
            LogChunk(sequence=running.sequence, attempt=1, time=tx.now, stream=stream, message=message)  # type: ignore[arg-type]
            for message in messages
        )


async def state_of(world: World, execution: Execution) -> State:
    return (await world.backend.get_execution(execution.id)).state


# --- which one ------------------------------------------------------------------------------------


async def test_short_forms_lead_to_the_full_address(browser: Browser, world: World) -> None:
    execution = await enqueue(world, "ada")
    world.start(execution.id)
    path = f"/executions/{execution.id}"
    for given, target in {
        execution.id[-8:]: path,
        execution.id.upper(): path,
        "@last": path,
        f"{execution.id}.1": f"{path}?attempt=1",
        f"{execution.id[-8:]}?text=x": f"{path}?text=x",
    }.items():
        page = await browser.get(f"/executions/{given}")
        assert (page.status_code, page.headers.get("Location")) == (303, target), given


@pytest.mark.parametrize("given", ["nonono", "00000000-0000-7000-8000-000000000000", '"><script>'])
async def test_an_unknown_id_is_a_page_that_says_so(browser: Browser, given: str) -> None:
    for rest in ("", "/edit", "/workflow"):
        page = await browser.get(f"/executions/{given}{rest}")
        assert page.status_code == 404
        assert "Not found" in page.text and "<script>" not in page.text


# --- what is shown --------------------------------------------------------------------------------


async def test_it_says_why_it_waits_and_what_helps(browser: Browser, world: World) -> None:
    execution = await enqueue(world, "ada", delay=timedelta(hours=2), metadata={"team": "growth"})
    text = visible(await browser.text(f"/executions/{execution.id}"))
    assert "Waits for its time: due in 2h" in text
    assert f"defer reschedule {execution.id[-8:]}" in text
    assert "team=growth" in text and 'to "ada"' in text and "Not yet." in text


async def test_it_shows_result_attempts_and_logs(browser: Browser, world: World) -> None:
    execution = await enqueue(world, "ada")
    world.clock.advance(timedelta(seconds=2))
    world.start(execution.id)
    log(world, execution, "hello \x1b[32mgreen")
    log(world, execution, "careful", stream="stderr")
    world.clock.advance(timedelta(seconds=3))
    world.end(execution.id, result='{"sent": true}')
    html = await browser.text(f"/executions/{execution.id}")
    text = visible(html)
    assert "It succeeded" in text and '{"sent": true}' in text
    assert "Queued 2s" in text and "Ran 3s" in text
    assert '<span class="ansi-fg-green">green</span>' in html and "careful" in text
    assert 'aria-label="queued 2s, succeed 3s"' in html


async def test_logs_are_searched_and_filtered_by_stream(browser: Browser, world: World) -> None:
    execution, other = await enqueue(world, "ada"), await enqueue(world, "grace")
    world.start(execution.id)
    log(world, execution, "needle one", "hay")
    log(world, execution, "needle two", stream="stderr")
    log(world, other, "needle of another")
    path = f"/executions/{execution.id}"
    found = visible(await browser.text(f"{path}?text=NEEDLE"))
    assert "needle one" in found and "needle two" in found
    assert "hay" not in found and "of another" not in found
    assert "needle one" not in visible(await browser.text(f"{path}?text=needle&stream=stderr"))
    assert "No lines match." in await browser.text(f"{path}?attempt=2")
    assert (await browser.get(f"{path}?attempt=x")).status_code == 400


async def test_long_logs_come_in_pages_that_read_downwards(browser: Browser, world: World) -> None:
    execution = await enqueue(world, "ada")
    world.start(execution.id)
    log(world, execution, *(f"line {number:03}" for number in range(200)))
    html = await browser.text(f"/executions/{execution.id}")
    assert html.index("line 198") < html.index("line 199") and "line 010" not in html
    older = html.split("Older lines")[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
    assert "line 010" in await browser.text(older)


async def test_an_error_is_shown_with_lines_of_the_projects_own_files(world: World, tmp_path: Path) -> None:
    (tmp_path / "defer").mkdir()
    (tmp_path / "defer" / "send_mail.py").write_text("def send():\n    raise ValueError(<b>)\n")
    stack = (
        'Traceback (most recent call last):\n  File "/usr/lib/python3/smtplib.py", line 1, in send\n    x\n'
        f'  File "{tmp_path}/defer/send_mail.py", line 2, in send\n    raise ValueError(<b>)\n'
        "ValueError: no luck"
    )
    execution = await enqueue(world, "ada")
    world.start(execution.id)
    world.end(execution.id, failure=replace(FAILURE, stack=stack))
    browser = Browser(world, root=tmp_path)
    async with browser.client:
        html = await browser.text(f"/executions/{execution.id}")
    assert "defer/send_mail.py:2" in html and "raise ValueError(&lt;b&gt;)" in html
    assert html.index("defer/send_mail.py:2") < html.index("smtplib.py")
    assert "None: it failed." in html and "no luck" in html


async def test_hostile_values_are_escaped_and_the_page_stays_small(browser: Browser, world: World) -> None:
    metadata = {f"{number}" + '"' * 250: "<" * 256 for number in range(25)}
    execution = await enqueue(world, HOSTILE, ["<&\"'" * 100] * 400, metadata=metadata)
    world.start(execution.id)
    log(world, execution, HOSTILE, "x" * 1_000_000, *["\x1b[1;32m&" * 200] * 400)
    failure = replace(FAILURE, name="<b>" * 99, message=HOSTILE + '"' * 100_000, stack='"' * 200_000)
    world.end(execution.id, failure=failure)
    page = await browser.get(f"/executions/{execution.id}")
    assert page.status_code == 200
    assert "<script>alert" not in page.text and "\x1b" not in page.text and "<b><b>" not in page.text
    assert "more characters" in page.text
    assert len(page.content) < MAX_PAGE


async def test_a_huge_result_is_cut_and_leads_to_all_of_it(browser: Browser, world: World) -> None:
    execution = await enqueue(world, "ada")
    world.start(execution.id)
    world.end(execution.id, result="[" + ",".join(['"<script>"'] * 100_000) + "]")
    page = await browser.get(f"/executions/{execution.id}")
    assert len(page.content) < MAX_PAGE
    assert f'href="/public/v2/executions/{execution.id}/results"' in page.text


async def test_injected_faults_are_named(browser: Browser, world: World) -> None:
    plain = await enqueue(world, "ada")
    assert "injected" not in await browser.text(f"/executions/{plain.id}")
    call = Call(function_name="send_mail", arguments=Arguments(positional=["ada"]))
    execution = await world.backend.enqueue(call, faults=Faults(fail_attempts=(1,)))
    text = visible(await browser.text(f"/executions/{execution.id}"))
    assert "injected faults --fail-attempt 1" in text


async def test_relatives_are_linked(browser: Browser, world: World) -> None:
    parent = await enqueue(world, "ada")
    world.start(parent.id)
    children = [await child_of(world, parent) for _ in range(8)]
    again = await world.backend.rerun_execution(parent.id)
    html = await browser.text(f"/executions/{parent.id}")
    assert "Started 8 Workflow send_mail created 8" in visible(html)
    assert f"Run again as {again.id[-8:]}" in visible(html)
    assert f"Waits for 8 executions that it started: {children[0].id[-8:]}" in visible(html)
    child = visible(await browser.text(f"/executions/{children[0].id}"))
    assert f"Started by send_mail {parent.id[-8:]} started" in child
    assert f"Rerun of {parent.id[-8:]}" in visible(await browser.text(f"/executions/{again.id}"))


async def test_the_same_call_can_be_copied(browser: Browser, world: World) -> None:
    execution = await enqueue(world, "it's <ada>", metadata={"team": "a b"})
    text = visible((await browser.text(f"/executions/{execution.id}")).replace("\\\n", ""))
    assert """defer run send_mail --json '["it'"'"'s <ada>"]' --metadata 'team=a b'""" in text
    assert "curl -X PUT http://localhost:3337/public/v2/executions" in text
    assert "from defer.send_mail import send_mail" in text
    assert """await send_mail.with_options(metadata={'team': 'a b'})("it's <ada>")""" in text


# --- what can be done -----------------------------------------------------------------------------


async def test_it_is_cancelled_rescheduled_and_run_again(browser: Browser, world: World) -> None:
    execution = await enqueue(world, "ada", delay=timedelta(days=1))
    path = f"/executions/{execution.id}"
    assert "It has another time." in (await browser.submit(f"{path}/reschedule", back=path, when="2h")).text
    wrong = (await browser.submit(f"{path}/reschedule", back=path, when="-2h")).text
    assert 'class="notice failed"' in wrong
    assert "It is due now." in (await browser.submit(f"{path}/reschedule", back=path, when="")).text
    assert "It is cancelled." in (await browser.submit(f"{path}/cancel", back=path)).text
    refused = (await browser.submit(f"{path}/cancel", back=path)).text
    assert 'class="notice failed"' in refused
    page = await browser.post(f"{path}/rerun", back=path)
    made = page.headers["Location"].rpartition("/")[2]
    assert (await world.backend.get_execution(made)).rerun_of == execution.id


async def test_what_runs_is_aborted_with_all_that_it_started(browser: Browser, world: World) -> None:
    parent = await enqueue(world, "ada")
    world.start(parent.id)
    child = await child_of(world, parent)
    path = f"/executions/{parent.id}"
    html = await browser.text(path)
    assert f'action="{path}/abort"' in html and f'action="{path}/cancel"' not in html
    await browser.submit(f"{path}/abort", back=path, tree="1")
    assert await state_of(world, parent) is State.ABORTING
    assert await state_of(world, child) is State.CANCELLED


async def test_it_runs_again_with_edited_arguments(browser: Browser, world: World) -> None:
    execution = await enqueue(world, "ada", "Hello")
    path = f"/executions/{execution.id}/edit"
    assert "\nada</textarea>" in await browser.text(path)
    wrong = await browser.post(path, back=path, **{"arg-to": "", "arg-subject": "Hi"})
    assert wrong.status_code == 422 and "to is required" in wrong.text and "Hi</textarea>" in wrong.text
    page = await browser.post(path, back=path, **{"arg-to": "grace", "arg-subject": "Hi"})
    made = page.headers["Location"].rpartition("/")[2]
    assert (await world.backend.get_execution(made)).rerun_of == execution.id
    assert (await world.backend.get_execution_arguments(made)).positional == ["grace", "Hi"]


async def test_arguments_of_a_function_that_is_gone_are_edited_as_json(
    browser: Browser, world: World
) -> None:
    execution = await enqueue(world, "ada")
    with world.store.write() as tx:
        tx.register([], {})
    path = f"/executions/{execution.id}/edit"
    assert "*args" in await browser.text(path)
    page = await browser.post(path, back=path, mode="json", json='["grace", 7]')
    made = page.headers["Location"].rpartition("/")[2]
    assert (await world.backend.get_execution_arguments(made)).positional == ["grace", 7]


async def test_acts_need_the_secret_of_the_page(browser: Browser, world: World) -> None:
    execution = await enqueue(world, "ada")
    for act in ("cancel", "abort", "rerun", "reschedule", "edit", "cancel-all"):
        page = await browser.client.post(f"/executions/{execution.id}/{act}", data={"csrf": "wrong"})
        assert page.status_code == 403
    page = await browser.client.post("/executions/act", data={"csrf": "wrong"})
    assert page.status_code == 403
    assert len((await world.backend.list_executions(Page(first=9), ExecutionFilters())).data) == 1
    assert await state_of(world, execution) is State.CREATED
