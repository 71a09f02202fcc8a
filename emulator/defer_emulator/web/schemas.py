"""The bodies, queries and answers of the API, as types: what is decoded, and what `/openapi.json` shows."""

from __future__ import annotations

import difflib
import json
import re
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import UNSET, Meta, UnsetType

from defer_client.errors import NotSerializable
from defer_client.models import MAX_PAGE_SIZE, PAGE_SIZE, ErrorCode, State
from defer_client.options import MAX_METADATA, MAX_METADATA_TEXT
from defer_client.serialization import check_json
from defer_emulator.web.errors import ErrorName, bad_request

# --- what is asked --------------------------------------------------------------------------

Moment = Annotated[
    str,
    Meta(
        description="An RFC 3339 time on the client's own clock.",
        extra_json_schema={"format": "date-time"},
    ),
]
When = Annotated[
    Moment | float | None,
    Meta(
        description="An RFC 3339 time on the client's own clock, or a number of seconds from now.",
        examples=["2026-01-31T08:00:00Z", 3600],
    ),
]
Size = Annotated[int, Meta(ge=1, le=MAX_PAGE_SIZE, description=f"Default {PAGE_SIZE}.")]
_TEXT = {"type": "string", "minLength": 1, "maxLength": MAX_METADATA_TEXT, "pattern": "^[ -\\x7f]*$"}
Metadata = Annotated[
    dict[str, Any],
    Meta(
        description=f"At most {MAX_METADATA} pairs of printable ASCII text.",
        examples=[{"user_id": "42"}],
        extra_json_schema={
            "maxProperties": MAX_METADATA,
            "propertyNames": _TEXT,
            "additionalProperties": _TEXT,
        },
    ),
]


class Asked(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a client sends. A misspelt field is refused, not overlooked."""


class EnqueueBody(Asked):
    function_name: Annotated[
        str, Meta(min_length=1, description="Exact, or in camelCase.", examples=["send_mail"])
    ]
    function_arguments: list[Any] | None = None
    function_keyword_arguments: dict[str, Any] | None = None
    schedule_for: When = None
    discard_after: When = None
    metadata: Metadata | None = None
    awaited: Annotated[bool, Meta(description="Whether the caller waits for the result.")] = False


class PageBody(Asked):
    """`first` and `after`, or `last` and `before`."""

    first: Size | None = None
    after: str | None = None
    last: Size | None = None
    before: str | None = None


class IntervalBody(Asked):
    """Both ends are included; a missing end is open."""

    start: Moment | None = msgspec.field(name="from", default=None)
    end: Moment | None = msgspec.field(name="to", default=None)


class MetadataFilterBody(Asked):
    """Executions that have any of these values under this key."""

    key: str
    values: list[str] | None = None


class FiltersBody(Asked):
    """ANDed. An empty list is as none."""

    states: list[State] | None = None
    function_ids: list[str] | None = None
    error_codes: list[ErrorCode] | None = None
    scheduled_at: IntervalBody | None = None
    started_at: IntervalBody | None = None
    executed_by: str | None = None
    metadata: list[MetadataFilterBody] | None = None


class ListBody(Asked):
    page: PageBody | None = None
    filters: FiltersBody | None = None


class ListQuery(Asked):
    """The same as `ListBody`, as a query. What is a list may be given several times."""

    first: Size | UnsetType = UNSET
    after: str | UnsetType = UNSET
    last: Size | UnsetType = UNSET
    before: str | UnsetType = UNSET
    state: list[State] = []
    function_id: list[str] = []
    error_code: list[ErrorCode] = []
    executed_by: str | UnsetType = UNSET
    metadata: Annotated[list[str], Meta(description="`key:value`", examples=[["user_id:42"]])] = []
    scheduled_from: Moment | UnsetType = UNSET
    scheduled_to: Moment | UnsetType = UNSET


class WaitQuery(Asked):
    wait: Annotated[float, Meta(ge=0, description="Wait up to so many seconds, at most 60.")] = 0.0


class CancelBody(Asked):
    force: Annotated[bool, Meta(description="Abort it if it runs.")] = False


class ScheduleBody(Asked):
    schedule_for: When = None


class RerunBody(Asked):
    pass


# --- what is answered -----------------------------------------------------------------------

Time = Annotated[
    str, Meta(extra_json_schema={"format": "date-time"}, examples=["2026-01-31T08:00:00.000000Z"])
]


class FailureData(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    name: str
    message: str
    stack: str
    code: ErrorCode
    module: str | UnsetType = UNSET
    arguments: list[Any] | UnsetType = UNSET


class ExecutionData(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An execution, or one of its attempts: that has the last two fields as well."""

    id: str
    state: State
    function_name: str
    function_id: str
    scheduled_at: Time
    created_at: Time
    updated_at: Time
    started_at: Time | None
    finished_at: Time | None
    error_code: ErrorCode | None
    executed_by: str | None
    rerun_of: str | None
    attempt: int
    metadata: dict[str, str]
    generation: int | UnsetType = UNSET
    error: FailureData | UnsetType | None = UNSET


class PageInfoData(msgspec.Struct, kw_only=True):
    has_next_page: bool
    has_prev_page: bool
    start_cursor: str
    end_cursor: str


class ExecutionAnswer(msgspec.Struct, kw_only=True):
    data: ExecutionData


class ExecutionsAnswer(msgspec.Struct, kw_only=True):
    data: list[ExecutionData]
    page_info: PageInfoData


class LogLineData(msgspec.Struct, kw_only=True):
    time: Time
    attempt: int
    stream: Annotated[str, Meta(examples=["stdout"])]
    message: str


class LogsAnswer(msgspec.Struct, kw_only=True):
    data: list[LogLineData]


class ArgumentsAnswer(msgspec.Struct, kw_only=True):
    """Of an execution that has keyword arguments; of others the positional ones, a bare array."""

    positional: list[Any]
    keyword: dict[str, Any]


class ClockAnswer(msgspec.Struct, kw_only=True):
    now: Time
    offset: Annotated[float, Meta(description="Seconds that it is ahead of real time.")]
    mode: Annotated[str, Meta(examples=["running", "frozen"])]


class HealthAnswer(msgspec.Struct, kw_only=True):
    status: Annotated[str, Meta(examples=["ok"])]
    project: str
    version: str


class ErrorAnswer(msgspec.Struct, kw_only=True):
    error: ErrorName
    message: str


# --- decoding -------------------------------------------------------------------------------

Body = TypeVar("Body", bound=Asked)


def decode_body(raw: bytes, kind: type[Body]) -> Body:
    """The body of a request; nothing at all is an empty object. Raises `Refused` (400)."""
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise bad_request(explain(str(error), "the body", kind)) from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise bad_request(f"the body must be JSON: {_not_json(raw) or error}") from None


def _not_json(raw: bytes) -> str | None:
    """Where there is a NaN, an infinity or a lone surrogate, which Python's own reader lets through."""
    try:
        for name, value in json.loads(raw).items():
            check_json(value, name)
    except NotSerializable as error:
        return error.message
    except (ValueError, AttributeError, RecursionError):
        pass
    return None


def decode_query(raw: bytes, kind: type[Body]) -> Body:
    """The query of a request. Raises `Refused` (400)."""
    given: dict[str, Any] = {}
    lists = {field.name for field in msgspec.structs.fields(kind) if field.default_factory is list}
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=1_000)
    except ValueError:
        raise bad_request("the query must be percent-encoded UTF-8 with at most 1,000 fields") from None
    for name, value in pairs:
        if name in lists:
            given.setdefault(name, []).append(value)
        elif name in given:
            raise bad_request(f"{name}: given more than once")
        else:
            given[name] = value
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise bad_request(explain(str(error), "the query", kind)) from None


def list_body(query: ListQuery) -> ListBody:
    """The body that means the same as a query. Raises `Refused` (400)."""
    metadata = []
    for pair in query.metadata:
        key, colon, value = pair.partition(":")
        if not colon:
            raise bad_request(f"metadata: expected key:value, got {pair[:80]!r}")
        metadata.append(MetadataFilterBody(key=key, values=[value]))
    given = {name: getattr(query, name) for name in ("first", "after", "last", "before")}
    return ListBody(
        page=PageBody(**{name: value for name, value in given.items() if value is not UNSET}),
        filters=FiltersBody(
            states=query.state,
            function_ids=query.function_id,
            error_codes=query.error_code,
            scheduled_at=IntervalBody(
                start=None if query.scheduled_from is UNSET else query.scheduled_from,
                end=None if query.scheduled_to is UNSET else query.scheduled_to,
            ),
            executed_by=query.executed_by or None,
            metadata=metadata,
        ),
    )


_PLACE = re.compile(r"^(?P<what>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>[^`]*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`")
_WORDS = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_ENUMS: dict[str, type[State] | type[ErrorCode]] = {"state": State, "error_code": ErrorCode}


def explain(problem: str, whole: str, kind: type[Asked]) -> str:
    """A validation error in the words of the API: the field first, then what was expected.

    >>> explain("Expected `int`, got `str` - at `$.page.first`", "the body", ListBody)
    'page.first: expected integer, got string'
    """
    match = _PLACE.match(problem)
    assert match is not None
    what, path = match["what"], (match["path"] or "").lstrip(".")
    if missing := _MISSING.fullmatch(what):
        return f"{_join(path, missing['name'])}: missing, but required"
    if unknown := _UNKNOWN.fullmatch(what):
        return f"{_join(path, unknown['name'][:80])}: unknown field{_suggestion(unknown['name'], path, kind)}"
    if what.startswith("Invalid enum value"):
        name = path.partition("[")[0].rpartition(".")[2].removesuffix("s")
        what = f"{what[:120]}, expected one of {', '.join(_ENUMS[name])}"
    words = re.sub(r"`([^`]*)`", lambda quoted: _plain(quoted[1]), what)
    return f"{path or whole}: {words[:1].lower()}{words[1:]}"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _plain(types: str) -> str:
    return " or ".join(_WORDS.get(name, name) for name in types.split(" | "))


_INNER: dict[str, type[Asked]] = {
    "page": PageBody,
    "filters": FiltersBody,
    "scheduled_at": IntervalBody,
    "started_at": IntervalBody,
    "metadata": MetadataFilterBody,
}


def _suggestion(name: str, path: str, kind: type[Asked]) -> str:
    struct = _INNER.get(path.rpartition(".")[2].partition("[")[0], kind)
    known = [field.encode_name for field in msgspec.structs.fields(struct)]
    close = difflib.get_close_matches(name, known, n=1)
    return f", did you mean {close[0]}?" if close else ""
