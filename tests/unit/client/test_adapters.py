from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from defer_client import CronInvocationError, defer
from defer_client.adapters import MAX_BODY, AsgiRoute
from defer_client.inline import InlineBackend
from defer_client.selection import use_backend

pytestmark = pytest.mark.anyio

UNKNOWN = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@defer
async def transcribe(document: str, copies: int = 1) -> list[str]:
    if not document:
        raise ValueError("nothing to transcribe")
    return [document] * copies


@defer
async def another() -> None:
    pass


@defer.cron("0 3 * * *")
async def nightly() -> None:
    pass


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=[Route("/convert", AsgiRoute(transcribe)), Route("/another", AsgiRoute(another))])
    transport = httpx.ASGITransport(app)
    with use_backend(InlineBackend()):
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            yield client


@pytest.mark.parametrize("arguments", [["a", 2], {"document": "a", "copies": 2}])
async def test_posted_arguments_start_the_function_and_its_id_shows_the_result(
    client: httpx.AsyncClient, arguments: object
) -> None:
    started = await client.post("/convert", json=arguments)
    assert started.status_code == 200
    execution_id = started.json()["id"]
    shown = await client.get("/convert", params={"id": execution_id})
    assert shown.json() == {"id": execution_id, "state": "succeed", "result": ["a", "a"]}


async def test_a_failed_one_shows_its_error(client: httpx.AsyncClient) -> None:
    started = await client.post("/convert", json=[""])
    shown = (await client.get("/convert", params={"id": started.json()["id"]})).json()
    assert (shown["state"], shown["result"]["message"]) == ("failed", "nothing to transcribe")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'"text"',
        b"1",
        b"null",
        b"[" * 100_000,
        b"\xff",
        b"[NaN]",
        b"[]",
        b"[1,2,3]",
        b'{"pages":1}',
    ],
)
async def test_a_body_that_is_no_arguments_is_a_bad_request(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/convert", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


async def test_a_body_that_is_too_large_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post("/convert", content=b"x" * (MAX_BODY + 1))).status_code == 413


async def test_executions_of_other_functions_are_not_shown(client: httpx.AsyncClient) -> None:
    other = (await client.post("/another", json=[])).json()["id"]
    for execution_id in (other, UNKNOWN, "nonsense"):
        answer = await client.get("/convert", params={"id": execution_id})
        assert (answer.status_code, answer.json()) == (404, {"error": "no such execution"})


async def test_a_missing_id_and_another_method_are_refused(client: httpx.AsyncClient) -> None:
    assert (await client.get("/convert")).status_code == 400
    assert (await client.delete("/convert")).status_code == 405


def test_a_cron_has_no_route() -> None:
    with pytest.raises(CronInvocationError):
        AsgiRoute(nightly)
