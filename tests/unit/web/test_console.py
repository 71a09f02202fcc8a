from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from defer_client.models import Arguments, Call
from defer_emulator.domain.functions import BrokenFunction, FunctionSpec
from tests.unit.web.world import World, function

pytestmark = pytest.mark.anyio


async def test_the_overview_shows_functions_and_the_latest_executions(
    client: httpx.AsyncClient, world: World
) -> None:
    call = Call(function_name="send_mail", arguments=Arguments(positional=["ada"]))
    execution = await world.backend.enqueue(call)
    page = await client.get("/")
    assert page.status_code == 200
    for shown in ("shop", "send_mail", "nightly", "0 3 * * *", "SyntaxError: line 3", execution.id[-8:]):
        assert shown in page.text


async def test_an_empty_project_is_told_what_to_do(client: httpx.AsyncClient, world: World) -> None:
    with world.store.write() as tx:
        tx.register([], {})
    assert "None yet" in (await client.get("/")).text


async def test_a_moved_clock_is_shown(client: httpx.AsyncClient, world: World) -> None:
    world.move_clock(timedelta(days=3))
    assert "the clock is moved by 3 days" in (await client.get("/")).text


async def test_everything_is_escaped_and_nothing_foreign_is_loaded(
    client: httpx.AsyncClient, world: World
) -> None:
    hostile = "<script>alert(1)</script>"
    spec: FunctionSpec = function("hostile")
    with world.store.write() as tx:
        tx.register([spec], {"broken": BrokenFunction(reason=f"SyntaxError: {hostile}")})
    page = await client.get("/")
    assert hostile not in page.text
    assert "&lt;script&gt;" in page.text
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy and "script-src" not in policy
    assert "http://" not in page.text and "https://" not in page.text


async def test_the_style_sheet_is_served(client: httpx.AsyncClient) -> None:
    style = await client.get("/static/style.css")
    assert style.headers["Content-Type"].startswith("text/css")
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/", "/static/other.css"):
        assert (await client.get(path)).status_code == 404
