"""What the pages show, and what their forms do."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from defer_client.models import Arguments, Call, Execution, ExecutionFilters, Page, State
from defer_emulator.domain.functions import BrokenFunction
from defer_emulator.domain.work import LogChunk
from defer_emulator.project.diagnostics import problem
from tests.unit.web.console.browser import Browser, visible
from tests.unit.web.world import FAILURE, World, function

pytestmark = pytest.mark.anyio

PAGES = ("/", "/functions", "/functions/send_mail", "/schedules", "/errors", "/logs", "/outbox")
HOSTILE = "<script>alert('x')</script>\"&\x1b[31m\ud800"
MAX_PAGE = 150_000  # bytes


async def enqueue(world: World, *arguments: object, name: str = "send_mail", **options: object) -> Execution:
    call = Call(function_name=name, arguments=Arguments(positional=arguments), **options)  # type: ignore[arg-type]
    return await world.backend.enqueue(call)


async def fail(world: World, *arguments: object) -> Execution:
    execution = await enqueue(world, *arguments)
    world.start(execution.id)
    world.end(execution.id, failure=FAILURE)
    return execution


def log(world: World, execution: Execution, *messages: str, stream: str = "stdout") -> None:
    with world.store.write() as tx:
        (running,) = (one for one in tx.running() if one.id == execution.id)
        tx.append_logs(
            LogChunk(sequence=running.sequence, attempt=1, time=tx.now, stream=stream, message=message)  # type: ignore[arg-type]
            for message in messages
        )


async def executions(world: World) -> list[Execution]:
    return list((await world.backend.list_executions(Page(first=1_000), ExecutionFilters())).data)


# --- all pages ------------------------------------------------------------------------------------


async def test_the_overview_links_to_every_page(browser: Browser) -> None:
    links = set(re.findall(r'href="([^"?#]+)"', await browser.text("/")))
    assert links >= {"/", "/executions", "/functions", "/schedules", "/errors", "/logs", "/outbox"}


async def test_pages_of_an_empty_project_say_what_to_do(browser: Browser, world: World) -> None:
    with world.store.write() as tx:
        tx.register([], {})
    assert "defer run NAME" in await browser.text("/")
    assert "Nothing has failed" in await browser.text("/errors")
    assert "Nothing was printed yet" in await browser.text("/logs")


async def test_everything_is_escaped(browser: Browser, world: World) -> None:
    spec = function("hostile", "a=")
    with world.store.write() as tx:
        tx.register([spec], {"broken": BrokenFunction(reason=f"SyntaxError: {HOSTILE}", file=HOSTILE)})
    world.operations.live.diagnostics([problem("DF009", "defer/hostile.py", HOSTILE, HOSTILE)])
    await enqueue(world, HOSTILE[:-1], name="hostile", metadata={"<b>": "<i>"})
    for path in ("/", "/functions", "/functions/hostile", "/functions/broken", "/errors", "/logs"):
        page = await browser.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text and "\x1b" not in page.text
    used = await browser.text("/functions/hostile")
    assert "&lt;script&gt;alert" in used


async def test_a_hostile_address_is_escaped_too(browser: Browser) -> None:
    for path in ('/functions/"><script>', '/logs?text="><script>', '/?range="><script>', '/"><script>'):
        page = await browser.get(path)
        assert "<script>" not in page.text


async def test_pages_stay_small_whatever_was_printed(browser: Browser, world: World) -> None:
    names = [f"function_{number}" for number in range(100)]
    with world.store.write() as tx:
        tx.register([function("send_mail", "to", "subject="), *(function(name) for name in names)], {})
    execution = await enqueue(world, "x" * 100_000)
    world.start(execution.id)
    log(world, execution, "<&>" * 300_000, "\x1b[31mx" * 200_000, *["\x1b[1;32m&" * 200] * 400)
    for path in PAGES:
        page = await browser.get(path)
        assert page.status_code == 200
        assert len(page.content) < MAX_PAGE, path


async def test_a_moved_and_a_frozen_clock_are_shown_on_every_page(browser: Browser, world: World) -> None:
    world.move_clock(timedelta(days=3))
    for path in PAGES:
        assert "+3d" in visible(await browser.text(path))
    await world.operations.ask_clock("freeze")


async def test_parts_that_are_updated_have_ids(browser: Browser) -> None:
    for path in PAGES:
        html = await browser.text(path)
        parts = re.findall(r"<[a-z]+ [^>]*data-live[^>]*>", html)
        assert parts
        assert all('id="' in part for part in parts)
        ids = re.findall(r' id="([^"]+)"', html)
        assert len(ids) == len(set(ids)), path


async def test_a_head_request_is_answered_like_a_get(browser: Browser) -> None:
    assert (await browser.client.head("/functions")).status_code == 200


# --- the overview ---------------------------------------------------------------------------------


async def test_the_overview_counts_by_state_and_shows_what_failed(browser: Browser, world: World) -> None:
    await fail(world, "ada")
    waiting = await enqueue(world, "grace", delay=timedelta(hours=1))
    html = await browser.text("/")
    text = visible(html)
    assert "created 1" in text and "failed 1" in text and "succeed 0" in text
    assert "Failure rate 100" in text
    assert "ValueError × 1" in text and "no luck" in text
    assert "Delayed 1" in text
    assert waiting.id[-8:] in text
    assert "nightly" in text


async def test_findings_and_the_reload_are_shown_once_they_are_known(browser: Browser, world: World) -> None:
    assert "The check has not ended yet" in await browser.text("/")
    world.operations.live.diagnostics(
        [problem("DF009", "defer/half_written.py", "it does not import", "correct it", line=7)]
    )
    text = visible(await browser.text("/"))
    assert "DF009 defer/half_written.py:7:1 it does not import correct it" in text
    world.operations.live.diagnostics([])
    assert "No findings" in await browser.text("/")


async def test_everything_can_be_paused_and_resumed(browser: Browser, world: World) -> None:
    page = await browser.submit("/pause")
    assert await world.operations.is_paused()
    assert "Everything is paused" in page.text
    page = await browser.submit("/resume", back="/functions")
    assert page.url.path == "/functions" and not await world.operations.is_paused()


async def test_a_notice_is_told_once(browser: Browser) -> None:
    page = await browser.submit("/functions/send_mail/pause", back="/functions")
    assert "send_mail is paused" in page.text
    assert "send_mail is paused" not in await browser.text("/functions")


async def test_a_script_is_told_where_to_go_and_the_notice_follows(browser: Browser) -> None:
    answer = await browser.post(
        "/functions/send_mail/pause", back="/functions?x=1", headers={"Defer-Action": "1"}
    )
    assert (answer.status_code, answer.json()) == (200, {"location": "/functions?x=1"})
    assert "send_mail is paused" in await browser.text("/functions?x=1")


# --- functions ------------------------------------------------------------------------------------


async def test_a_function_is_shown_with_its_signature_and_recent_arguments(
    browser: Browser, world: World
) -> None:
    execution = await enqueue(world, "ada@example.com", "Hi")
    text = visible(await browser.text("/functions/send_mail"))
    assert "def send_mail(to, subject=None)" in text and "defer/send_mail.py:3" in text
    assert '"ada@example.com", "Hi"' in text
    html = await browser.text(f"/functions/send_mail?from={execution.id}")
    assert 'value="ada@example.com"' in html or "ada@example.com</textarea>" in html


async def test_a_broken_function_says_why(browser: Browser) -> None:
    assert "SyntaxError: line 3" in await browser.text("/functions/half_written")
    assert "broken" in visible(await browser.text("/functions"))


async def test_the_form_runs_a_function(browser: Browser, world: World) -> None:
    answer = await browser.post(
        "/functions/send_mail/run",
        **{"arg-to": "ada", "arg-subject": '["Hi"]', "delay": "1h", "metadata": "user=ada"},
    )
    (execution,) = await executions(world)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/executions/{execution.id}")
    assert await world.backend.get_execution_arguments(execution.id) == Arguments(positional=["ada", ["Hi"]])
    assert execution.metadata == {"user": "ada"}
    assert execution.scheduled_at - execution.created_at == timedelta(hours=1)


async def test_a_wrong_form_comes_back_with_what_is_wrong_and_enqueues_nothing(
    browser: Browser, world: World
) -> None:
    answer = await browser.post(
        "/functions/send_mail/run",
        back="/functions/send_mail?range=1h",
        **{"arg-subject": "{", "delay": "soon"},
    )
    assert answer.status_code == 422
    text = visible(answer.text)
    assert "to is required" in text and "subject is not JSON" in text and "not a duration" in text
    assert 'name="back" value="/functions/send_mail?range=1h"' in answer.text
    assert "<textarea" in answer.text and "\n{</textarea>" in answer.text
    assert await executions(world) == []


async def test_a_cron_is_run_on_demand(world: World) -> None:
    async def start(call: Call) -> Execution:
        return await world.backend.enqueue(call, allow_cron=True)

    browser = Browser(world, start=start)
    page = await browser.submit("/functions/nightly/run", back="/schedules", stay="1")
    (execution,) = await executions(world)
    assert execution.function_name == "nightly"
    assert page.url.path == "/schedules" and f"/executions/{execution.id}" in page.text


async def test_a_function_is_paused_by_its_own_name(browser: Browser, world: World) -> None:
    await browser.submit("/functions/send_mail/pause", back="/functions")
    assert (await world.operations.find_function("send_mail")).paused
    page = await browser.submit("/functions/send_mail/resume", back="/functions")
    assert "send_mail runs again" in page.text
    assert not (await world.operations.find_function("send_mail")).paused


async def test_many_functions_are_cut_into_pages(browser: Browser, world: World) -> None:
    names = [f"function_{number:03}" for number in range(120)]
    with world.store.write() as tx:
        tx.register([function(name, cron="0 3 * * *") for name in names], {})
    for path, size in (("/functions", 50), ("/schedules", 40)):
        first = await browser.text(path)
        assert names[0] in first and names[size] not in first and f"1 – {size} of 12" in visible(first)
        last = await browser.text(f"{path}?page=3")
        assert names[-1] in last and names[0] not in last
        for page in ("0", "-1", "99", "x", "9" * 30):
            assert (await browser.get(f"{path}?page={page}")).status_code == 200


async def test_an_unknown_function_is_not_found(browser: Browser) -> None:
    for path in ("/functions/nobody", "/functions/", "/functions/send_mail/x"):
        assert (await browser.get(path)).status_code == 404
    assert (await browser.post("/functions/nobody/pause")).status_code == 404


# --- schedules and the clock ----------------------------------------------------------------------


async def test_the_calendar_shows_when_crons_fire(browser: Browser, world: World) -> None:
    with world.store.write() as tx:
        tx.register([function("nightly", cron="0 3 * * *"), function("often", cron="*/10 * * * *")], {})
    text = visible(await browser.text("/schedules"))
    assert text.count("03:00") >= 13 and "144×" in text
    assert "No cron has missed its time" in text


async def test_the_clock_is_frozen_advanced_and_reset(browser: Browser, world: World) -> None:
    for action in ("freeze", "resume", "reset"):
        page = await browser.submit(f"/clock/{action}", back="/schedules")
        assert page.url.path == "/schedules"
    await browser.submit("/clock/advance", back="/schedules", to="3d")
    _, moves = world.store.clock_and_moves()
    assert [move.action for move in moves] == ["freeze", "resume", "reset", "advance"]
    assert moves[-1].target is not None
    assert moves[-1].target - moves[-1].start == timedelta(days=3) // timedelta(microseconds=1)


async def test_an_advance_shows_how_far_it_has_come_and_can_be_stopped(
    browser: Browser, world: World
) -> None:
    await browser.submit("/clock/advance", back="/schedules", to="4h")
    with world.store.write() as tx:
        (move,) = tx.clock_moves()
        tx.put_clock_move(replace(move, state="going"))
    world.move_clock(timedelta(hours=1))
    text = visible(await browser.text("/schedules"))
    assert "It is being advanced to" in text and "25 %" in text
    page = await browser.submit("/clock/stop", back="/schedules")
    assert "ended where it was" in page.text
    assert world.store.clock_move(move.id).state == "cancelling"


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("", "Give a duration"),
        ("soon", "not a duration"),
        ("2001-01-01", "cannot be advanced to an earlier time"),
        ("900 years", "many"),
    ],
)
async def test_a_wrong_time_is_told_at_its_field(
    browser: Browser, world: World, to: str, message: str
) -> None:
    answer = await browser.post("/clock/advance", back="/schedules", to=to)
    if message == "many":
        assert answer.status_code == 409 and "crons start" in visible(answer.text)
    else:
        assert answer.status_code == 422 and message.lower() in visible(answer.text).lower()
    assert world.store.clock_and_moves()[1] == []


# --- errors ---------------------------------------------------------------------------------------


async def test_a_group_of_errors_runs_again_when_its_number_is_confirmed(
    browser: Browser, world: World
) -> None:
    failed = [await fail(world, name) for name in ("ada", "grace", "barbara")]
    (group,) = await world.operations.error_groups()
    text = visible(await browser.text("/errors"))
    assert "ValueError" in text and "3 times" in text and "Run 3 executions again?" in text
    page = await browser.submit(f"/errors/{group.fingerprint}/rerun", back="/errors", count="3")
    assert "3 executions run again" in visible(page.text)
    again = [one for one in await executions(world) if one.rerun_of]
    assert {one.rerun_of for one in again} == {one.id for one in failed}
    assert [one.rerun_of for one in reversed(again)] == [one.id for one in failed]


async def test_a_group_that_has_grown_is_asked_about_again(browser: Browser, world: World) -> None:
    await fail(world, "ada")
    (group,) = await world.operations.error_groups()
    await fail(world, "grace")
    for count in ("1", "", "all"):
        page = await browser.submit(f"/errors/{group.fingerprint}/rerun", back="/errors", count=count)
        assert "there are 2 by now" in visible(page.text)
    assert all(one.state is State.FAILED for one in await executions(world))


async def test_an_unknown_group_is_not_found(browser: Browser) -> None:
    assert (await browser.post("/errors/000000000000/rerun", count="1")).status_code == 404


# --- logs -----------------------------------------------------------------------------------------


async def test_logs_are_searched_and_read_from_top_to_bottom(browser: Browser, world: World) -> None:
    execution = await enqueue(world, "ada")
    world.start(execution.id)
    log(world, execution, "one \x1b[32mgreen\x1b[0m", "two", "three")
    log(world, execution, "to stderr", stream="stderr")
    html = await browser.text("/logs")
    text = visible(html)
    assert text.index("one green") < text.index("two") < text.index("to stderr")
    assert '<span class="ansi-fg-green">green</span>' in html
    assert "two" not in visible(await browser.text("/logs?text=THREE"))
    assert "three" not in visible(await browser.text("/logs?stream=stderr")).partition("Filter")[2]
    assert "No lines" in await browser.text("/logs?function=nightly")


async def test_of_a_long_line_it_is_said_how_much_is_not_shown(browser: Browser, world: World) -> None:
    execution = await enqueue(world, "ada")
    world.start(execution.id)
    log(world, execution, "x" * 5_000)
    assert "4 000 more characters" in visible(await browser.text("/logs"))


async def test_older_lines_are_a_page_further(browser: Browser, world: World) -> None:
    for number in range(4):
        execution = await enqueue(world, number)
        world.start(execution.id)
        log(world, execution, *[f"line {number}.{place}" for place in range(60)])
    first = await browser.text("/logs")
    assert "line 3.0" in first and "line 0.0" not in first
    found = re.search(r'rel="next" href="([^"]+)"', first)
    assert found is not None
    second = await browser.text(found[1].replace("&amp;", "&"))
    assert "line 0.0" in second and "data-live" not in second.partition('id="lines"')[2][:40]


async def test_a_wrong_filter_is_told(browser: Browser) -> None:
    page = await browser.get("/logs?since=whenever&stream=nothing")
    assert page.status_code == 422 and "not a duration" in page.text
    assert (await browser.get("/logs?cursor=x")).status_code == 400


# --- preferences ----------------------------------------------------------------------------------


async def test_the_theme_is_remembered_and_forgotten(browser: Browser) -> None:
    page = await browser.submit("/preferences/theme", theme="dark")
    assert '<html lang="en" data-theme="dark">' in page.text
    page = await browser.submit("/preferences/theme", theme="system")
    assert '<html lang="en">' in page.text
    await browser.submit("/preferences/theme", theme='"><script>')
    assert "<script>" not in await browser.text("/")
