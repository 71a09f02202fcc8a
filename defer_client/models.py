"""The values that travel between an application, a backend and an emulator."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Generic, Literal, TypeVar

from defer_client.errors import InvalidDuration, InvalidRequest

Json = Any
"""A JSON value: str, int, float, bool, None, a list of these or a dict from str to these."""

PAGE_SIZE = 20
MAX_PAGE_SIZE = 1_000


class State(str, Enum):
    """Where an execution is in its life. The names are part of the HTTP API."""

    CREATED = "created"
    STARTED = "started"
    SUCCEED = "succeed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ABORTING = "aborting"
    ABORTED = "aborted"
    DISCARDED = "discarded"

    def __str__(self) -> str:
        return self.value

    @property
    def is_final(self) -> bool:
        """Whether nothing can happen to the execution any more (a rerun is a new execution)."""
        return self in FINAL_STATES


FINAL_STATES = frozenset({State.SUCCEED, State.FAILED, State.CANCELLED, State.ABORTED, State.DISCARDED})


class ErrorCode(str, Enum):
    """Why an execution failed."""

    INTERNAL = "ER0000"  # the emulator stopped or broke while it ran
    TIMEOUT = "ER0001"  # it ran longer than its `max_duration`
    OUT_OF_MEMORY = "ER0002"  # it took more than `memory_limit`; never retried
    USER = "ER0003"  # the function raised, its result is not JSON, or its process ended

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, kw_only=True, slots=True)
class Execution:
    """One call of a function: what was asked, where it stands. Never its arguments or its result.

    All times are aware and in UTC, on the emulator's clock.
    """

    id: str
    state: State
    function_name: str
    function_id: str
    scheduled_at: datetime
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None  # start of the latest attempt
    finished_at: datetime | None = None
    error_code: ErrorCode | None = None
    executed_by: str | None = None  # id of the execution that started this one
    rerun_of: str | None = None
    attempt: int = 0  # number of the latest attempt; 0 before the first start
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """The error of a failed execution or attempt, as it is stored and sent."""

    name: str  # the exception's class name
    message: str
    stack: str
    code: ErrorCode
    module: str | None = None  # where the exception's class can be imported from
    arguments: Sequence[Json] | None = None  # its `args`, when they are JSON


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt(Execution):
    """One run of an execution's function. Its id is `<execution id>.<attempt>`."""

    generation: int = 0  # of the code that ran, counted from 1 in each emulator's life
    error: Failure | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Arguments:
    """The arguments of an execution."""

    positional: Sequence[Json] = ()
    keyword: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class LogLine:
    """One line that an execution printed."""

    time: datetime
    attempt: int
    stream: Literal["stdout", "stderr", "system"]
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A request to run a function: what every backend's `enqueue` takes."""

    function_name: str
    arguments: Arguments = Arguments()
    delay: timedelta | datetime | None = None  # from now, or until a moment on the emulator's clock
    discard_after: timedelta | datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    awaited: bool = False  # the caller waits for the result


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How an execution ended."""

    execution: Execution
    result: Json = None  # the returned value, when it succeeded
    failure: Failure | None = None  # when it failed


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Which page of a list: `first` (after a cursor) or `last` (before one). Lists are newest first.

    Raises `InvalidRequest` when both kinds are given, or a size is outside 1 to 1,000.
    """

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    def __post_init__(self) -> None:
        forward = self.first is not None or self.after is not None
        backward = self.last is not None or self.before is not None
        if forward and backward:
            raise InvalidRequest("page: give first and after, or last and before, not both")
        for name in ("after", "before"):
            cursor = getattr(self, name)
            if not (cursor is None or isinstance(cursor, str)):
                raise InvalidRequest(f"page.{name} must be a cursor of another page, not {cursor!r:.80}")
        for name in ("first", "last"):
            size = getattr(self, name)
            if size is None:
                continue
            if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= MAX_PAGE_SIZE:
                raise InvalidRequest(
                    f"page.{name} must be an integer from 1 to {MAX_PAGE_SIZE}, not {size!r}"
                )

    @property
    def is_backward(self) -> bool:
        return self.last is not None or self.before is not None

    @property
    def size(self) -> int:
        return self.first or self.last or PAGE_SIZE

    @property
    def cursor(self) -> str | None:
        return self.before if self.is_backward else self.after


@dataclass(frozen=True, kw_only=True, slots=True)
class PageInfo:
    has_next_page: bool
    has_prev_page: bool
    start_cursor: str  # "" on an empty page
    end_cursor: str


T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class PageOf(Generic[T]):
    """One page of a list, newest first, and how to go on from it."""

    data: Sequence[T]
    page_info: PageInfo


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """An interval of time, both ends included; a missing end is open.

    An end may be naive, which is UTC, or ISO text. Raises `InvalidRequest` for what is no moment.
    """

    start: datetime | None = None
    end: datetime | None = None

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            end = getattr(self, name)
            if end is not None:
                object.__setattr__(self, name, _moment(end, f"interval.{name}"))


@dataclass(frozen=True, kw_only=True, slots=True)
class ExecutionFilters:
    """Which executions to list. All given filters must match; an empty one matches everything.

    States and error codes may be given as text, and a single value in place of a list. Raises
    `InvalidRequest` for what is unknown or of another type.
    """

    states: Sequence[State] = ()
    function_ids: Sequence[str] = ()
    error_codes: Sequence[ErrorCode] = ()
    scheduled_at: Interval | None = None
    started_at: Interval | None = None  # never started is outside every interval
    executed_by: str | None = None
    metadata: Mapping[str, Sequence[str]] = field(default_factory=dict)  # each key: any of its values

    def __post_init__(self) -> None:
        for name, kind in (("states", State), ("error_codes", ErrorCode)):
            values = _texts(getattr(self, name), name)
            try:
                known = tuple(kind(value) for value in values)
            except ValueError:
                expected = ", ".join(member.value for member in kind)
                raise InvalidRequest(f"filters.{name}: {values!r}: each must be one of {expected}") from None
            object.__setattr__(self, name, known)
        for name in ("scheduled_at", "started_at"):
            if not isinstance(getattr(self, name), Interval | None):
                raise InvalidRequest(f"filters.{name} must be an Interval, not {getattr(self, name)!r:.80}")
        if not isinstance(self.executed_by, str | None):
            raise InvalidRequest(f"filters.executed_by must be an id, not {self.executed_by!r:.80}")
        object.__setattr__(self, "function_ids", _texts(self.function_ids, "function_ids"))
        object.__setattr__(self, "metadata", _metadata(self.metadata))


def _texts(given: Any, field: str) -> tuple[str, ...]:
    """One text is a list of it: its characters are never meant."""
    texts = () if given is None else (given,) if isinstance(given, str) else given
    if isinstance(texts, Collection) and all(isinstance(text, str) for text in texts):
        return tuple(texts)
    raise InvalidRequest(f"filters.{field} must be a list of text, not {given!r:.80}")


def _metadata(given: Any) -> dict[str, list[str]]:
    pairs = {} if given is None else given
    if isinstance(pairs, Mapping) and all(isinstance(key, str) for key in pairs):
        return {key: [*_texts(values, f"metadata[{key!r:.80}]")] for key, values in pairs.items()}
    raise InvalidRequest(f"filters.metadata must map keys to lists of text, not {given!r:.80}")


def _moment(given: object, field: str) -> datetime:
    from defer_client.durations import parse_when

    try:
        moment: object = parse_when(given, field)
    except InvalidDuration:
        moment = None
    if isinstance(moment, datetime):
        return moment
    raise InvalidRequest(f"{field} must be a datetime or ISO text, not {given!r:.80}")
