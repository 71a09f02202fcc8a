from __future__ import annotations

import asyncio
import json
import re
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import msgspec
import pytest

from defer_client import wire
from defer_emulator.web import schemas
from tests.unit.web.world import FAILURE, PREFIX, World

pytestmark = pytest.mark.anyio

EXECUTIONS = f"{PREFIX}/executions"
UNKNOWN = "01890000-0000-7000-8000-000000000000"
DAY = timedelta(days=1)


async def enqueue(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    body = {"function_name": "send_mail", "function_arguments": ["ada"], **fields}
    answer = await client.put(EXECUTIONS, json=body)
    assert answer.status_code == 201, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def refused(client: httpx.AsyncClient, **fields: Any) -> str:
    body = {"function_name": "send_mail", "function_arguments": ["ada"], **fields}
    return error(await client.put(EXECUTIONS, json=body), 400, "bad_request")


def error(answer: httpx.Response, status: int, name: str) -> str:
    body = answer.json()
    assert (answer.status_code, body["error"]) == (status, name), answer.text
    assert set(body) == {"error", "message"}
    message: str = body["message"]
    return message


# --- enqueueing -----------------------------------------------------------------------------


async def test_a_call_gives_an_execution(client: httpx.AsyncClient, world: World) -> None:
    data = await enqueue(client, metadata={"user": "42"})
    assert data == {
        "id": data["id"],
        "state": "created",
        "function_name": "send_mail",
        "function_id": data["function_id"],
        "scheduled_at": world.later(),
        "created_at": world.later(),
        "updated_at": world.later(),
        "started_at": None,
        "finished_at": None,
        "error_code": None,
        "executed_by": None,
        "rerun_of": None,
        "attempt": 0,
        "metadata": {"user": "42"},
    }


async def test_a_name_in_camel_case_is_found(client: httpx.AsyncClient) -> None:
    assert (await enqueue(client, function_name="sendMail"))["function_name"] == "send_mail"


async def test_an_unknown_function_is_refused_with_the_one_that_was_meant(client: httpx.AsyncClient) -> None:
    assert "send_mail" in await refused(client, function_name="sendMial")
    assert "nothing_like_it" in await refused(client, function_name="nothing_like_it")


async def test_a_cron_is_refused_whatever_its_arguments(client: httpx.AsyncClient) -> None:
    for arguments in ([], [1]):
        assert "cron" in await refused(client, function_name="nightly", function_arguments=arguments)


async def test_arguments_that_do_not_fit_are_refused_naming_the_parameter(client: httpx.AsyncClient) -> None:
    assert "'to'" in await refused(client, function_arguments=[])
    assert "too many" in await refused(client, function_arguments=[1, 2, 3])
    assert "'cc'" in await refused(client, function_keyword_arguments={"cc": 1})


async def test_a_function_whose_file_is_broken_takes_any_arguments(client: httpx.AsyncClient) -> None:
    await enqueue(client, function_name="half_written", function_arguments=[1, 2, 3])


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"metadata": {f"k{number}": "v" for number in range(26)}}, "25"),
        ({"metadata": {"k": "x" * 257}}, "256"),
        ({"metadata": {"k" * 257: "x"}}, "256"),
        ({"metadata": {"k": ""}}, "metadata"),
        ({"metadata": {"k": "é"}}, "ASCII"),
        ({"metadata": {"k": 1}}, "metadata"),
        ({"metadata": []}, "metadata"),
        ({"schedule_for": "tomorrow"}, "schedule_for"),
        ({"schedule_for": "+275760-09-13T00:00:00.000Z"}, "schedule_for"),
        ({"schedule_for": "0001-01-01T00:00:00Z"}, "schedule_for"),
        ({"schedule_for": "9999-12-31T23:59:59Z"}, "schedule_for"),
        ({"schedule_for": -1}, "schedule_for"),
        ({"schedule_for": 10**30}, "schedule_for"),
        ({"schedule_for": True}, "schedule_for"),
        ({"discard_after": "2026-13-01"}, "discard_after"),
        ({"discard_after": 1e300}, "discard_after"),
        ({"discard_after": {}}, "discard_after"),
        ({"function_name": None}, "function_name"),
        ({"function_name": "a b"}, "a b"),
        ({"function_name": "\0"}, "function"),
        ({"function_keyword_arguments": []}, "function_keyword_arguments"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_a_wrong_field_is_named(client: httpx.AsyncClient, fields: dict[str, Any], named: str) -> None:
    assert named in await refused(client, **fields)


@pytest.mark.parametrize("depth", [300, 900, 100_000])
async def test_arguments_that_are_nested_too_deeply_are_refused(
    client: httpx.AsyncClient, depth: int
) -> None:
    raw = b'{"function_name":"send_mail","function_arguments":[' + b"[" * depth + b"]" * depth + b"]}"
    assert "nested" in error(await client.put(EXECUTIONS, content=raw), 400, "bad_request")


async def test_arguments_survive_as_they_were_sent(client: httpx.AsyncClient) -> None:
    value = {"text": "Zoë \u2028 \U0001f600", "numbers": [0, -1, 1.5, 2**70], "none": None, "yes": True}
    data = await enqueue(client, function_arguments=[value])
    assert (await client.get(f"{EXECUTIONS}/{data['id']}/arguments")).json() == [value]
    named = {"function_arguments": ["ada"], "function_keyword_arguments": {"subject": "hi"}}
    data = await enqueue(client, **named)
    shown = (await client.get(f"{EXECUTIONS}/{data['id']}/arguments")).json()
    assert shown == {"positional": ["ada"], "keyword": {"subject": "hi"}}


async def test_an_execution_token_makes_a_child(client: httpx.AsyncClient) -> None:
    parent = (await enqueue(client))["id"]
    token = {"Defer-Execution-Token": f"{parent}.secret"}
    body = {"function_name": "send_mail", "function_arguments": ["ada"]}
    answer = await client.put(EXECUTIONS, json=body, headers=token)
    assert answer.json()["data"]["executed_by"] == parent
    forged = await client.put(EXECUTIONS, json=body, headers={"Defer-Execution-Token": f"{parent}.guess"})
    assert forged.json()["data"]["executed_by"] is None
    children = await client.get(EXECUTIONS, params={"executed_by": parent})
    assert [child["id"] for child in children.json()["data"]] == [answer.json()["data"]["id"]]


# --- times ----------------------------------------------------------------------------------


def clients_time(world: World, delay: timedelta) -> str:
    """As the JavaScript client sends it: its own clock, in milliseconds."""
    moment = datetime.fromtimestamp(world.clock.real() / 1e6, timezone.utc) + delay
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def test_times_of_the_clients_own_clock_are_shifted_by_the_offset(
    client: httpx.AsyncClient, world: World
) -> None:
    for offset in (timedelta(), 3 * DAY, -2 * DAY):
        world.move_clock(offset)
        data = await enqueue(client, schedule_for=clients_time(world, DAY))
        assert data["scheduled_at"] == world.later(DAY)
        schedule = {"schedule_for": clients_time(world, 2 * DAY)}
        moved = await client.patch(f"{EXECUTIONS}/{data['id']}/schedule", json=schedule)
        assert moved.json()["data"]["scheduled_at"] == world.later(2 * DAY)
        around = {"from": clients_time(world, DAY), "to": clients_time(world, 3 * DAY)}
        found = await client.post(EXECUTIONS, json={"filters": {"scheduled_at": around}})
        assert data["id"] in [one["id"] for one in found.json()["data"]]


async def test_seconds_are_from_now_on_the_emulated_clock(client: httpx.AsyncClient, world: World) -> None:
    world.move_clock(3 * DAY)
    data = await enqueue(client, schedule_for=90.5)
    assert data["scheduled_at"] == world.later(timedelta(seconds=90.5))


async def test_emulated_times_are_taken_as_they_are(client: httpx.AsyncClient, world: World) -> None:
    world.move_clock(3 * DAY)
    client.headers["Defer-Clock"] = "emulated"
    data = await enqueue(client, schedule_for=world.later(DAY))
    assert data["scheduled_at"] == world.later(DAY)


async def test_the_clock_is_shown(client: httpx.AsyncClient, world: World) -> None:
    world.move_clock(3 * DAY)
    answer = (await client.get(f"{PREFIX}/clock")).json()
    assert answer == {"now": world.later(), "offset": 259_200.0, "mode": "running"}


# --- one execution --------------------------------------------------------------------------


async def test_an_execution_and_its_attempts_are_shown(client: httpx.AsyncClient, world: World) -> None:
    execution_id = (await enqueue(client))["id"]
    assert (await client.get(f"{EXECUTIONS}/{execution_id}/attempts")).json()["data"] == []
    world.start(execution_id)
    world.end(execution_id, failure=FAILURE)
    data = (await client.get(f"{EXECUTIONS}/{execution_id}")).json()["data"]
    assert (data["state"], data["error_code"], data["attempt"]) == ("failed", "ER0003", 1)
    assert "generation" not in data and "result" not in data
    attempts = (await client.post(f"{EXECUTIONS}/{execution_id}/attempts")).json()["data"]
    assert [attempt["id"] for attempt in attempts] == [f"{execution_id}.1"]
    assert attempts[0]["error"]["message"] == "no luck"
    assert (await client.get(f"{EXECUTIONS}/{execution_id}.1")).json()["data"] == attempts[0]


async def test_a_result_is_bare(client: httpx.AsyncClient, world: World) -> None:
    for result in ('{"total": 3}', "null", '"text"', "[]", '"\\ud800"'):
        execution_id = (await enqueue(client))["id"]
        world.start(execution_id)
        world.end(execution_id, result)
        answer = await client.get(f"{EXECUTIONS}/{execution_id}/results")
        assert answer.status_code == 200
        assert answer.json() == json.loads(result)


async def test_the_result_of_a_failure_is_its_error(client: httpx.AsyncClient, world: World) -> None:
    execution_id = (await enqueue(client))["id"]
    world.start(execution_id)
    world.end(execution_id, failure=FAILURE)
    answer = await client.get(f"{EXECUTIONS}/{execution_id}/results")
    assert answer.status_code == 200
    assert answer.json() == {
        "name": "ValueError",
        "message": "no luck",
        "stack": "Traceback…",
        "code": "ER0003",
    }


async def test_no_result_yet_and_none_ever_are_told_apart(client: httpx.AsyncClient, world: World) -> None:
    execution_id = (await enqueue(client))["id"]
    results = f"{EXECUTIONS}/{execution_id}/results"
    answer = await client.get(results)
    assert (answer.status_code, answer.json()["data"]["state"]) == (202, "created")
    world.start(execution_id)
    assert (await client.get(results)).json()["data"]["state"] == "started"
    await client.post(f"{EXECUTIONS}/{execution_id}/cancellation", json={"force": True})
    assert (await client.get(results)).json()["data"]["state"] == "aborting"
    cancelled = (await enqueue(client))["id"]
    await client.post(f"{EXECUTIONS}/{cancelled}/cancellation")
    answer = await client.get(f"{EXECUTIONS}/{cancelled}/results")
    assert (answer.status_code, answer.content) == (204, b"")


async def test_a_long_poll_answers_as_soon_as_it_ends(client: httpx.AsyncClient, world: World) -> None:
    execution_id = (await enqueue(client))["id"]
    world.start(execution_id)
    polling = asyncio.ensure_future(client.get(f"{EXECUTIONS}/{execution_id}/results?wait=30"))
    await asyncio.sleep(0)
    assert not polling.done()
    world.end(execution_id, "42")
    answer = await asyncio.wait_for(polling, 10)
    assert (answer.status_code, answer.json()) == (200, 42)


async def test_a_long_poll_that_is_over_answers_not_yet(client: httpx.AsyncClient) -> None:
    execution_id = (await enqueue(client))["id"]
    answer = await client.get(f"{EXECUTIONS}/{execution_id}/results?wait=0.01")
    assert answer.status_code == 202


async def test_a_long_poll_ends_with_the_application(world: World) -> None:
    app = world.app()
    async with world.client(app) as client:
        execution_id = (await enqueue(client))["id"]
        polling = asyncio.ensure_future(client.get(f"{EXECUTIONS}/{execution_id}/results?wait=60"))
        while not polling.done():
            await asyncio.sleep(0.01)
            app.close()
        assert polling.result().status_code == 202


async def test_logs_are_listed(client: httpx.AsyncClient) -> None:
    execution_id = (await enqueue(client))["id"]
    assert (await client.get(f"{EXECUTIONS}/{execution_id}/logs")).json() == {"data": []}


@pytest.mark.parametrize(
    ("method", "part"),
    [
        ("GET", ""),
        ("GET", "/results"),
        ("GET", "/results?wait=1"),
        ("GET", "/arguments"),
        ("GET", "/logs"),
        ("GET", "/attempts"),
        ("POST", "/attempts"),
        ("POST", "/cancellation"),
        ("PATCH", "/schedule"),
        ("POST", "/reruns"),
    ],
)
@pytest.mark.parametrize(
    "execution_id", [UNKNOWN, f"{UNKNOWN}.1", "nonsense", "x" * 5_000, "%00", "%ff", "..%2f"]
)
async def test_an_unknown_id_is_not_found(
    client: httpx.AsyncClient, method: str, part: str, execution_id: str
) -> None:
    answer = await client.request(method, f"{EXECUTIONS}/{execution_id}{part}")
    assert len(error(answer, 404, "not_found")) < 500


# --- changing one ---------------------------------------------------------------------------


async def test_one_that_waits_is_cancelled_with_or_without_force(client: httpx.AsyncClient) -> None:
    for body in (b"", b"{}", b'{"force":false}', b'{"force":true}'):
        execution_id = (await enqueue(client))["id"]
        answer = await client.post(f"{EXECUTIONS}/{execution_id}/cancellation", content=body)
        assert (answer.status_code, answer.json()["data"]["state"]) == (200, "cancelled")
        again = await client.post(f"{EXECUTIONS}/{execution_id}/cancellation", content=body)
        error(again, 409, "conflict")


async def test_one_that_runs_is_aborted_by_force_and_once(client: httpx.AsyncClient, world: World) -> None:
    execution_id = (await enqueue(client))["id"]
    cancellation = f"{EXECUTIONS}/{execution_id}/cancellation"
    world.start(execution_id)
    error(await client.post(cancellation), 409, "conflict")
    answer = await client.post(cancellation, json={"force": True})
    assert (answer.status_code, answer.json()["data"]["state"]) == (200, "aborting")
    error(await client.post(cancellation), 409, "conflict")
    again = await client.post(cancellation, json={"force": True})
    assert "already" in error(again, 202, "conflict")


@pytest.mark.parametrize("force", [None, 0, 1, "true", [], {}])
async def test_force_must_be_a_boolean(client: httpx.AsyncClient, force: object) -> None:
    execution_id = (await enqueue(client))["id"]
    answer = await client.post(f"{EXECUTIONS}/{execution_id}/cancellation", json={"force": force})
    assert error(answer, 400, "bad_request").startswith("force: expected boolean")


async def test_a_schedule_moves_to_a_time_or_to_now(client: httpx.AsyncClient, world: World) -> None:
    execution_id = (await enqueue(client, schedule_for=3600))["id"]
    schedule = f"{EXECUTIONS}/{execution_id}/schedule"
    moved = await client.patch(schedule, json={"schedule_for": 60})
    assert moved.json()["data"]["scheduled_at"] == world.later(timedelta(seconds=60))
    for body in (b"", b"{}", b'{"schedule_for":null}'):
        moved = await client.patch(schedule, content=body)
        assert moved.json()["data"]["scheduled_at"] == world.later()
    wrongs: list[Any] = [True, "soon", -1, "9999-12-31", []]
    for wrong in wrongs:
        answer = await client.patch(schedule, json={"schedule_for": wrong})
        assert "schedule_for" in error(answer, 400, "bad_request")
    world.start(execution_id)
    error(await client.patch(schedule), 409, "conflict")


async def test_a_rerun_is_a_new_execution_of_the_same_call(client: httpx.AsyncClient, world: World) -> None:
    first = await enqueue(client, metadata={"user": "42"}, schedule_for=3600)
    answer = await client.post(f"{EXECUTIONS}/{first['id']}/reruns", json={})
    again = answer.json()["data"]
    assert answer.status_code == 200
    assert (again["rerun_of"], again["metadata"]) == (first["id"], {"user": "42"})
    assert again["scheduled_at"] == world.later()
    wrong = await client.post(f"{EXECUTIONS}/{first['id']}/reruns", content=b"[")
    error(wrong, 400, "bad_request")


# --- lists ----------------------------------------------------------------------------------


async def page(
    client: httpx.AsyncClient, page: dict[str, Any] | None = None, **filters: Any
) -> dict[str, Any]:
    answer = await client.post(EXECUTIONS, json={"page": page, "filters": filters})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def ids(body: dict[str, Any]) -> list[str]:
    return [one["id"] for one in body["data"]]


async def test_pages_show_every_execution_once_in_both_directions(client: httpx.AsyncClient) -> None:
    newest_first = [(await enqueue(client))["id"] for _ in range(5)][::-1]
    forward: list[str] = []
    after: dict[str, str] = {}
    while True:
        found = await page(client, {"first": 2, **after})
        forward += ids(found)
        await enqueue(client)  # a newer one changes nothing for who goes on to older ones
        if not found["page_info"]["has_next_page"]:
            break
        after = {"after": found["page_info"]["end_cursor"]}
    assert forward == newest_first
    oldest = await page(client, {"last": 2})
    assert ids(oldest) == newest_first[3:]
    before = {"last": 3, "before": oldest["page_info"]["start_cursor"]}
    assert ids(await page(client, before)) == newest_first[:3]


async def test_an_empty_page_has_empty_cursors(client: httpx.AsyncClient) -> None:
    assert await page(client) == {
        "data": [],
        "page_info": {"has_next_page": False, "has_prev_page": False, "start_cursor": "", "end_cursor": ""},
    }


async def test_filters_by_body_and_by_query_find_the_same(client: httpx.AsyncClient, world: World) -> None:
    one = await enqueue(client, metadata={"user": "42", "kind": "a"})
    two = await enqueue(client, metadata={"user": "43"})
    other = await enqueue(client, metadata={"user": "44"})
    await client.post(f"{EXECUTIONS}/{other['id']}/cancellation")
    metadata = [{"key": "user", "values": ["42", "43"]}]
    found = await page(client, states=["created"], metadata=metadata)
    assert ids(found) == [two["id"], one["id"]]
    query = "state=created&metadata=user:42&metadata=user:43"
    assert (await client.get(f"{EXECUTIONS}?{query}")).json() == found
    body = {"filters": {"states": ["created"], "metadata": metadata}}
    assert (await client.request("GET", EXECUTIONS, json=body)).json() == found
    assert ids(await page(client, states=["cancelled"])) == [other["id"]]
    assert len(ids(await page(client, states=[], function_ids=[], error_codes=[], metadata=[]))) == 3
    assert ids(await page(client, metadata=[{"key": "kind", "values": []}])) == ids(await page(client))
    assert ids(await page(client, function_ids=[UNKNOWN])) == []


async def test_started_intervals_leave_out_what_never_started(
    client: httpx.AsyncClient, world: World
) -> None:
    started = (await enqueue(client))["id"]
    await enqueue(client, schedule_for=3600)
    world.start(started)
    assert ids(await page(client, started_at={"from": world.later(), "to": world.later()})) == [started]
    assert ids(await page(client, started_at={"from": "1970-01-01T00:00:00Z"})) == [started]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"{", "JSON"),
        (b"[]", "the body"),
        (b'{"page":{"first":1,"last":1}}', "last"),
        (b'{"page":{"first":1,"before":"x"}}', "before"),
        (b'{"page":{"first":0}}', "page.first"),
        (b'{"page":{"last":1001}}', "page.last"),
        (b'{"page":{"after":"nonsense"}}', "page.after: unknown cursor"),
        (b'{"page":{"after":""}}', "page.after: unknown cursor"),
        (b'{"page":{"last":2,"before":""}}', "page.before: unknown cursor"),
        (b'{"page":{"after":1}}', "page.after"),
        (b'{"filters":{"states":["lost"]}}', "filters.states"),
        (b'{"filters":{"scheduled_at":{"from":"soon"}}}', "filters.scheduled_at.from"),
        (b'{"filters":{"scheduled_at":{"from":5}}}', "filters.scheduled_at.from"),
        (b'{"filters":{"metadata":{"user":"42"}}}', "filters.metadata"),
        (b'{"filters":{"executed_by":5}}', "filters.executed_by"),
        (b'{"filter":{}}', "did you mean filters"),
    ],
)
async def test_a_wrong_list_names_the_field(client: httpx.AsyncClient, body: bytes, named: str) -> None:
    assert named in error(await client.post(EXECUTIONS, content=body), 400, "bad_request")
    execution_id = (await enqueue(client))["id"]
    attempts = await client.post(f"{EXECUTIONS}/{execution_id}/attempts", content=body)
    assert named in error(attempts, 400, "bad_request")


@pytest.mark.parametrize(
    "query",
    [
        "first=0",
        "first=1&last=1",
        "after=x",
        "after=",
        "state=lost",
        "page=1",
        "metadata=x",
        "scheduled_from=",
        "scheduled_to=x",
    ],
)
async def test_a_wrong_query_names_the_field(client: httpx.AsyncClient, query: str) -> None:
    message = error(await client.get(f"{EXECUTIONS}?{query}"), 400, "bad_request")
    assert re.search(rf"\b{query.partition('=')[0]}\b", message)


async def test_a_body_and_a_query_at_once_are_refused(client: httpx.AsyncClient) -> None:
    answer = await client.request("GET", f"{EXECUTIONS}?first=1", json={"page": {"first": 2}})
    assert "not in both" in error(answer, 400, "bad_request")


# --- around it ------------------------------------------------------------------------------


async def test_health_is_open_and_the_rest_needs_the_token(world: World) -> None:
    async with world.client(world.app(token="s3cret")) as client:
        answer = await client.get("/health")
        assert answer.json() == {"status": "ok", "project": "shop", "version": "1.2"}
        for path in ("/", "/openapi.json", EXECUTIONS, "/nothing"):
            refusal = await client.get(path)
            error(refusal, 401, "unauthorized")
            assert refusal.headers["WWW-Authenticate"].startswith("Basic")
        assert (await client.get(EXECUTIONS, auth=("", "s3cret"))).status_code == 200


async def test_a_foreign_page_cannot_change_or_read_anything(client: httpx.AsyncClient) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        for method, path in (("PUT", EXECUTIONS), ("GET", EXECUTIONS), ("GET", "/health")):
            error(await client.request(method, path, headers=headers), 403, "forbidden")


async def test_what_is_not_there_says_so_in_json(client: httpx.AsyncClient) -> None:
    for path in ("/nothing", f"{PREFIX}/", f"{EXECUTIONS}/", f"{EXECUTIONS}/{UNKNOWN}/results/1", "/health/"):
        error(await client.get(path), 404, "not_found")
    answer = await client.delete(EXECUTIONS)
    error(answer, 405, "bad_request")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST, PUT"


async def test_options_and_head_are_answered(client: httpx.AsyncClient) -> None:
    options = await client.options(EXECUTIONS)
    assert (options.status_code, options.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, POST, PUT")
    assert (await client.head(EXECUTIONS)).status_code == 200


async def test_an_unexpected_error_is_logged_and_not_shown(
    client: httpx.AsyncClient, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.store.close()
    world.operations._store = None  # type: ignore[assignment]
    message = error(await client.get(f"{PREFIX}/clock"), 500, "internal")
    assert "Traceback" not in message and "_store" not in message
    assert caplog.records[0].exc_info is not None


async def test_every_answer_has_the_shape_that_the_description_shows(
    client: httpx.AsyncClient, world: World
) -> None:
    execution_id = (await enqueue(client))["id"]
    world.start(execution_id)
    world.end(execution_id, failure=FAILURE)
    for path, kind in (
        (EXECUTIONS, schemas.ExecutionsAnswer),
        (f"{EXECUTIONS}/{execution_id}", schemas.ExecutionAnswer),
        (f"{EXECUTIONS}/{execution_id}.1", schemas.ExecutionAnswer),
        (f"{EXECUTIONS}/{execution_id}/attempts", schemas.ExecutionsAnswer),
        (f"{EXECUTIONS}/{execution_id}/results", schemas.FailureData),
        (f"{EXECUTIONS}/{execution_id}/logs", schemas.LogsAnswer),
        (f"{PREFIX}/clock", schemas.ClockAnswer),
        ("/health", schemas.HealthAnswer),
        (f"{EXECUTIONS}/{UNKNOWN}", schemas.ErrorAnswer),
    ):
        msgspec.json.decode((await client.get(path)).content, type=kind)


async def test_errors_name_their_class_for_our_own_client(client: httpx.AsyncClient) -> None:
    missing = await client.get(f"{EXECUTIONS}/{UNKNOWN}")
    rebuilt = wire.error_from_json({**missing.json(), "error": missing.headers["Defer-Error"]})
    assert type(rebuilt).__name__ == "ExecutionNotFound"
    cron = await client.put(EXECUTIONS, json={"function_name": "nightly"})
    assert cron.headers["Defer-Error"] == "CronInvocationError"
