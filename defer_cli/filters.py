"""The options that choose executions: those of `list`, and of what acts on many."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click import UsageError
from click.shell_completion import CompletionItem

from defer_cli.advice import nearest
from defer_cli.registry import DeferCommand
from defer_cli.session import Session
from defer_client.durations import parse_when
from defer_client.models import ErrorCode, ExecutionFilters, Interval, State

if TYPE_CHECKING:  # to complete or to explain the options takes none of it
    from defer_emulator.operations import Search

KEY = "defer_cli.filters"  # where a parsed command line keeps the options below

FilterOption = tuple[str, str | None, str, bool, str]
"""Long and short name, what stands for the value, whether it is repeatable, help."""

OPTIONS: tuple[FilterOption, ...] = (
    ("--state", "-s", "STATE", True, "In this state; repeatable."),
    ("--function", "-f", "NAME", True, "Of this function, by name or id; repeatable."),
    ("--metadata", "-m", "KEY=VALUE", True, "With this metadata; repeatable."),
    ("--executed-by", None, "ID", False, "Started by this execution."),
    ("--error-code", "-e", "CODE", True, "Failed with this code, such as ER0003; repeatable."),
    ("--since", None, "TIME", False, "Created since: a duration such as 2h, or a time."),
    ("--scheduled-from", None, "TIME", False, "Due then or later; +2h means in two hours."),
    ("--scheduled-to", None, "TIME", False, "Due then or before."),
    ("--started-from", None, "TIME", False, "Started then or later."),
    ("--started-to", None, "TIME", False, "Started then or before."),
    ("--text", None, "TEXT", False, "With this in its name, arguments, result or error, in any case."),
)

E = TypeVar("E", bound=Enum)


class FilteredCommand(DeferCommand):
    """A command with filters: all of them, unless it says which. It reads them with `chosen`."""

    filters: tuple[FilterOption, ...] = OPTIONS

    def more_options(self) -> list[click.Parameter]:
        return [
            click.Option(
                [long, *([short] if short else [])], metavar=metavar, multiple=multiple, help=text,
                expose_value=False, callback=_keep, shell_complete=_complete,
            )
            for long, short, metavar, multiple, text in self.filters
        ]  # fmt: skip


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    ctx.meta.setdefault(KEY, {})[param.name] = value


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from defer_cli.completing import filter_values

    found = filter_values(ctx.obj, param.opts[0], incomplete) or ()
    return [CompletionItem(value, help=text) for value, text in found]


def chosen(ctx: click.Context) -> Search:
    """What the filters on the command line mean.

    Raises `UsageError`, `InvalidDuration`, and what resolving an id raises.
    """
    from defer_emulator.operations import Search

    given = ctx.meta[KEY]
    session: Session = ctx.obj
    functions: Sequence[str] = given["function"]
    executed_by, since = given["executed_by"], given.get("since")

    def interval(name: str) -> Interval | None:
        start, end = (moment_of(session, given[f"{name}_{end}"], f"--{name}-{end}") for end in ("from", "to"))
        return None if start is None and end is None else Interval(start=start, end=end)

    return Search(
        filters=ExecutionFilters(
            states=_members(State, given["state"], "--state"),
            error_codes=_members(ErrorCode, given["error_code"], "--error-code"),
            function_ids=[function for function in functions if is_uuid(function)],
            executed_by=None if executed_by is None else session.resolve(executed_by),
            metadata=_metadata(given["metadata"]),
            scheduled_at=interval("scheduled"),
            started_at=interval("started"),
        ),
        function_names=[function for function in functions if not is_uuid(function)],
        created_since=None if since is None else parse_when(since, "--since"),
        text=given["text"] or None,
    )


def moment_of(session: Session, text: str | None, option: str) -> datetime | None:
    """A time; a duration is that long ago, after a `+` that far ahead. Raises `InvalidDuration`."""
    if text is None:
        return None
    ahead = text.strip().startswith("+")
    when = parse_when(text.strip()[1:] if ahead else text, option)
    if isinstance(when, datetime):
        return when
    try:
        return session.now() + (when if ahead else -when)
    except OverflowError:
        raise UsageError(f"{option} {text!r}: no calendar goes there") from None


def is_filtered(ctx: click.Context) -> bool:
    """Whether any filter is on the command line."""
    return any(value not in (None, ()) for value in ctx.meta[KEY].values())


def nothing_found(session: Session, search: Search) -> str:
    """What to say when nothing matches: also that a function is unknown, and which was probably meant."""
    text = "no executions match"
    if session.endpoint or not search.function_names:
        return text
    from defer_cli.functions import names_of_functions

    known = names_of_functions(session)
    unknown = [name for name in search.function_names if name not in known]
    return text + "".join(f"; there is no function {name!r}{nearest(name, known)}" for name in unknown)


def narrowed(search: Search, states: Sequence[State]) -> Search:
    """The same search in these states, unless it names some itself."""
    if search.filters.states:
        return search
    return replace(search, filters=replace(search.filters, states=list(states)))


def _members(kind: type[E], values: Sequence[str], option: str) -> list[E]:
    by_name = {member.value.lower(): member for member in kind}
    found = []
    for value in (part.strip() for text in values for part in text.split(",")):
        if value.lower() not in by_name:
            known = ", ".join(member.value for member in kind)
            near = nearest(value, (member.value for member in kind))
            raise UsageError(f"{option} {value!r}: take one of {known}{near}")
        found.append(by_name[value.lower()])
    return found


def is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _metadata(pairs: Sequence[str]) -> dict[str, list[str]]:
    """A key that is given twice matches any of its values."""
    found: dict[str, list[str]] = {}
    for pair in pairs:
        key, value = split_pair(pair)
        found.setdefault(key, []).append(value)
    return found


def split_pair(pair: str) -> tuple[str, str]:
    """`key=value`. Raises `UsageError`."""
    key, equals, value = pair.partition("=")
    if not equals or not key:
        raise UsageError(f"--metadata {pair!r}: write it as key=value")
    return key, value
