"""The options that choose executions: those of `list`, and of what acts on many."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from typing import Any, TypeVar

import click
from click import UsageError

from defer_cli.registry import DeferCommand
from defer_cli.session import Session
from defer_client.durations import parse_when
from defer_client.models import ErrorCode, ExecutionFilters, State
from defer_emulator.operations import Search

KEY = "defer_cli.filters"  # where a parsed command line keeps the options below

OPTIONS = (
    ("--state", "-s", "STATE", True, "In this state; repeatable."),
    ("--function", "-f", "NAME", True, "Of this function, by name or id; repeatable."),
    ("--metadata", "-m", "KEY=VALUE", True, "With this metadata; repeatable."),
    ("--executed-by", None, "ID", False, "Started by this execution."),
    ("--error-code", "-e", "CODE", True, "Failed with this code, such as ER0001; repeatable."),
    ("--since", None, "TIME", False, "Created since: a duration such as 2h, or a time."),
)

E = TypeVar("E", bound=Enum)


class FilteredCommand(DeferCommand):
    """A command with all the filters. It reads them with `chosen`."""

    def more_options(self) -> list[click.Parameter]:
        return [
            click.Option(
                [long, *([short] if short else [])], metavar=metavar, multiple=multiple, help=text,
                expose_value=False, callback=_keep,
            )
            for long, short, metavar, multiple, text in OPTIONS
        ]  # fmt: skip


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    ctx.meta.setdefault(KEY, {})[param.name] = value


def chosen(ctx: click.Context) -> Search:
    """What the filters on the command line mean.

    Raises `UsageError`, `InvalidDuration`, and what resolving an id raises.
    """
    given = ctx.meta[KEY]
    session: Session = ctx.obj
    functions: Sequence[str] = given["function"]
    executed_by, since = given["executed_by"], given["since"]
    return Search(
        filters=ExecutionFilters(
            states=_members(State, given["state"], "--state"),
            error_codes=_members(ErrorCode, given["error_code"], "--error-code"),
            function_ids=[function for function in functions if is_uuid(function)],
            executed_by=None if executed_by is None else session.resolve(executed_by),
            metadata=_metadata(given["metadata"]),
        ),
        function_names=[function for function in functions if not is_uuid(function)],
        created_since=None if since is None else parse_when(since, "--since"),
    )


def is_filtered(ctx: click.Context) -> bool:
    """Whether any filter is on the command line."""
    return any(value not in (None, ()) for value in ctx.meta[KEY].values())


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
            raise UsageError(f"{option} {value!r}: take one of {known}")
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
