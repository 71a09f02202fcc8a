from __future__ import annotations

import pytest

from defer_client.models import State
from defer_emulator.web import schemas
from defer_emulator.web.errors import Refused
from defer_emulator.web.schemas import decode_body, decode_query, list_body


def refusal(raw: bytes, kind: type[schemas.Asked]) -> str:
    with pytest.raises(Refused) as caught:
        decode_body(raw, kind)
    assert (caught.value.status, caught.value.error) == (400, "bad_request")
    return caught.value.message


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"nonsense",
        b"\xff",
        b'{"function_name":"\xff"}',
        b'{"function_name":"\\ud800"}',
        b'{"function_name":"f","function_arguments":[NaN]}',
        b'{"function_name":"f"} x',
    ],
)
def test_what_is_no_json_is_told_so(raw: bytes) -> None:
    assert refusal(raw, schemas.EnqueueBody).startswith("the body must be JSON: ")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"NaN", "nan"),
        (b"-Infinity", "-inf"),
        (b'"\\ud800"', "lone surrogate"),
        (b'{"\\udc00":1}', "lone surrogate"),
    ],
)
def test_what_only_looks_like_json_is_named_with_its_place(value: bytes, reason: str) -> None:
    message = refusal(b'{"function_name":"f","function_arguments":[1,{"a":%s}]}' % value, schemas.EnqueueBody)
    assert message.startswith("the body must be JSON: function_arguments[1].a: ")
    assert reason in message


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "function_name: missing, but required"),
        (b"[]", "the body: expected object, got array"),
        (b"null", "the body: expected object, got null"),
        (b'{"function_name":1}', "function_name: expected string, got integer"),
        (b'{"function_name":""}', "function_name: expected string of length >= 1"),
        (b'{"function_name":"f","function_arguments":{}}', "function_arguments: expected array or null"),
        (b'{"function_name":"f","schedule_for":true}', "schedule_for: expected number or string or null"),
        (b'{"function_name":"f","metdata":{}}', "metdata: unknown field, did you mean metadata?"),
        (b'{"function_name":"f","awaited":1}', "awaited: expected boolean, got integer"),
        (b'{"function_name":"f","function_arguments":[1e999]}', "function_arguments[0]: number out of range"),
    ],
)
def test_a_wrong_call_names_the_field_and_what_was_expected(raw: bytes, message: str) -> None:
    assert message in refusal(raw, schemas.EnqueueBody)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"page":{"first":0}}', "page.first: expected integer >= 1"),
        (b'{"page":{"first":1001}}', "page.first: expected integer <= 1000"),
        (b'{"page":{"first":"5"}}', "page.first: expected integer or null, got string"),
        (b'{"page":{"frist":5}}', "page.frist: unknown field, did you mean first?"),
        (b'{"filters":{"states":"failed"}}', "filters.states: expected array or null, got string"),
        (b'{"filters":{"states":["lost"]}}', "expected one of created, started, succeed"),
        (b'{"filters":{"error_codes":["ER9"]}}', "expected one of ER0000, ER0001, ER0002, ER0003"),
        (b'{"filters":{"metadata":[{"values":[]}]}}', "filters.metadata[0].key: missing, but required"),
        (b'{"filters":{"scheduled_at":{"form":1}}}', "scheduled_at.form: unknown field, did you mean from?"),
        (b'{"filters":{"metadata":[{"name":"a","value":["b"]}]}}', "metadata[0].name: unknown field"),
        (b'{"filters":{"state":["failed"]}}', "filters.state: unknown field, did you mean states?"),
    ],
)
def test_a_wrong_list_names_the_field_and_what_was_expected(raw: bytes, message: str) -> None:
    assert message in refusal(raw, schemas.ListBody)


def test_nothing_and_null_mean_no_page_and_no_filters() -> None:
    for raw in (b"", b"{}", b'{"page":null,"filters":null}'):
        assert decode_body(raw, schemas.ListBody) == schemas.ListBody()


def test_a_query_means_the_same_as_a_body() -> None:
    query = b"first=5&after=c&state=failed&state=aborted&metadata=k:a:b&scheduled_from=2026-01-01"
    body = list_body(decode_query(query, schemas.ListQuery))
    assert body.page == schemas.PageBody(first=5, after="c")
    assert body.filters is not None
    assert body.filters.states == [State.FAILED, State.ABORTED]
    assert body.filters.metadata == [schemas.MetadataFilterBody(key="k", values=["a:b"])]
    assert body.filters.scheduled_at == schemas.IntervalBody(start="2026-01-01")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (b"first=x", "first: expected integer, got string"),
        (b"first=", "first: expected integer, got string"),
        (b"first=0", "first: expected integer >= 1"),
        (b"first=1&first=2", "first: given more than once"),
        (b"frist=1", "frist: unknown field, did you mean first?"),
        (b"states=failed", "states: unknown field, did you mean state?"),
        (b"state=lost", "expected one of created"),
        (b"metadata=nocolon", "metadata: expected key:value"),
        (b"after=%ff", "percent-encoded UTF-8"),
        (b"\xff=1", "percent-encoded UTF-8"),
        (b"&".join([b"state=failed"] * 1_001), "at most 1,000 fields"),
    ],
)
def test_a_wrong_query_names_the_field(query: bytes, message: str) -> None:
    with pytest.raises(Refused) as caught:
        list_body(decode_query(query, schemas.ListQuery))
    assert message in caught.value.message


@pytest.mark.parametrize("query", [b"wait=-1", b"wait=nan", b"wait=soon", b"wait=", b"wait=true"])
def test_a_wrong_wait_is_refused(query: bytes) -> None:
    with pytest.raises(Refused, match="wait"):
        decode_query(query, schemas.WaitQuery)
