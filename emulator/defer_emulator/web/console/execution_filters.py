"""The filters of the list of executions, as they stand in its address: those of the API, and text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from typing import TypeVar
from uuid import UUID

from defer_client.durations import parse_when
from defer_client.errors import DeferError, InvalidOption
from defer_client.models import ErrorCode, ExecutionFilters, Interval, State
from defer_emulator.domain.ids import parse_id
from defer_emulator.operations import Search
from defer_emulator.web.console.request import PageRequest
from defer_emulator.web.errors import full_message

NAMES = (
    "state",
    "function",
    "text",
    "since",
    "error_code",
    "metadata",
    "executed_by",
    "scheduled_from",
    "scheduled_to",
    "started_from",
    "started_to",
)
LONGEST_TEXT = 1_000  # characters

E = TypeVar("E", bound=Enum)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """What an address asks for. With errors, by field, the search must not be used: it would find more."""

    search: Search
    errors: Mapping[str, str]
    pairs: Sequence[tuple[str, str]]  # the filters as they were given

    @property
    def is_filtered(self) -> bool:
        return bool(self.pairs)

    def narrowed(self, states: Sequence[State]) -> Search:
        """The same in these states, unless it names some itself."""
        if self.search.filters.states or not states:
            return self.search
        return replace(self.search, filters=replace(self.search.filters, states=states))


async def chosen(request: PageRequest) -> Chosen:
    errors: dict[str, str] = {}

    def read(name: str, parse: Callable[[], T], otherwise: T) -> T:
        try:
            return parse()
        except DeferError as error:
            errors[name] = full_message(error)
            return otherwise

    now = await request.site.backend.now()
    functions = request.all("function")
    executed_by = await _parent(request, errors)

    def interval(name: str, label: str) -> Interval | None:
        start, end = (
            read(
                f"{name}_{end}", partial(_moment, request.get(f"{name}_{end}"), f"{label} {word}", now), None
            )
            for end, word in (("from", "from"), ("to", "until"))
        )
        return None if start is None and end is None else Interval(start=start, end=end)

    search = Search(
        filters=ExecutionFilters(
            states=read("state", lambda: _members(State, request.all("state"), "state"), []),
            error_codes=read(
                "error_code", lambda: _members(ErrorCode, request.all("error_code"), "error code"), []
            ),
            function_ids=[name for name in functions if _is_uuid(name)],
            executed_by=executed_by,
            metadata=read("metadata", lambda: _metadata(request.all("metadata")), {}),
            scheduled_at=interval("scheduled", "due"),
            started_at=interval("started", "started"),
        ),
        function_names=[name for name in functions if not _is_uuid(name)],
        created_since=read("since", lambda: _moment(request.get("since"), "since", now), None),
        text=read("text", lambda: _text(request.get("text")), None),
    )
    pairs = [(name, value) for name in NAMES for value in request.all(name)]
    return Chosen(search=search, errors=errors, pairs=pairs)


async def _parent(request: PageRequest, errors: dict[str, str]) -> str | None:
    text = request.get("executed_by")
    if not text or parse_id(text) is not None:
        return text.lower() or None  # of one that is not stored any more, the children may be
    try:
        return await request.site.operations.resolve_id(text)
    except DeferError as error:
        errors["executed_by"] = full_message(error)
        return None


def _moment(text: str, name: str, now: datetime) -> datetime | None:
    """A duration is that long ago, after a `+` that far ahead."""
    if not text:
        return None
    ahead = text.startswith("+")
    when = parse_when(text[1:] if ahead else text, name)
    if not isinstance(when, timedelta):
        return when
    try:
        return now + (when if ahead else -when)
    except OverflowError:
        raise InvalidOption(f"{name}: no calendar goes there") from None


def _text(text: str) -> str | None:
    if len(text) > LONGEST_TEXT:
        raise InvalidOption(f"text: at most {LONGEST_TEXT:,} characters can be searched for")
    return text or None


def _members(kind: type[E], values: Sequence[str], name: str) -> list[E]:
    found = []
    for value in values:
        try:
            found.append(kind(value))
        except ValueError:
            known = ", ".join(str(member.value) for member in kind)
            raise InvalidOption(f"there is no {name} {value[:60]!r}: take one of {known}") from None
    return found


def _metadata(pairs: Sequence[str]) -> dict[str, list[str]]:
    """`key:value` or `key=value`. A key that is given twice matches any of its values."""
    found: dict[str, list[str]] = {}
    for pair in pairs:
        place = min((at for at in (pair.find(":"), pair.find("=")) if at > 0), default=0)
        if not place:
            raise InvalidOption(f"metadata is key:value, not {pair[:60]!r}")
        found.setdefault(pair[:place].strip(), []).append(pair[place + 1 :].strip())
    return found


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
