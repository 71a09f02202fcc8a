"""The table of functions: what the project's file remembers of the project."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from functools import lru_cache
from sqlite3 import Connection, Row
from typing import Any

from defer_client.retry import RetryPolicy
from defer_emulator.domain.functions import (
    BrokenFunction,
    FunctionSpec,
    FunctionStatus,
    Parameter,
    RegisteredFunction,
)
from defer_emulator.store.queries import SQL
from defer_emulator.store.rows import dumps, function_id, text_of

_GRACE = 60_000_000  # µs: how late a cron's minute may still fire


def read_functions(connection: Connection, project_id: str) -> list[RegisteredFunction]:
    """All functions by name. While everything is paused, each of them is."""
    all_paused = bool(connection.execute(SQL["project"]).fetchone()["paused"])
    rows = connection.execute(SQL["functions"])
    return [registered_of(row, project_id, all_paused=all_paused) for row in rows]


def register(
    connection: Connection,
    functions: Collection[FunctionSpec],
    broken: Mapping[str, BrokenFunction],
    *,
    now: int,
) -> None:
    """Make the table equal to the project: `functions` are ready, `broken` ones keep their last options,
    all others are removed."""
    known = {function.spec.name: function for function in read_functions(connection, _ANY_PROJECT)}
    present = {spec.name for spec in functions}
    for spec in functions:
        after = _cron_after(known.get(spec.name), spec, now)
        _put(connection, known, spec, "ready", None, after)
    for name in broken.keys() - present:
        old, now_broken = known.get(name), broken[name]
        spec = now_broken.unseen(name) if old is None else old.spec
        after = None if old is None else old.cron_after
        _put(connection, known, spec, "broken", text_of(now_broken.reason), after)
    for name in known.keys() - present - broken.keys():
        _put(connection, known, known[name].spec, "removed", None, known[name].cron_after)


def remember(connection: Connection, spec: FunctionSpec) -> None:
    """Take a function in that no emulator has loaded yet; the next one that does knows its options."""
    _put(connection, {}, spec, "ready", None, None)


_ANY_PROJECT = "00000000-0000-0000-0000-000000000000"  # ids play no part here


def _put(
    connection: Connection,
    known: Mapping[str, RegisteredFunction],
    spec: FunctionSpec,
    status: FunctionStatus,
    problem: str | None,
    cron_after: int | None,
) -> None:
    old = known.get(spec.name)
    if old and (old.spec, old.status, old.problem, old.cron_after) == (spec, status, problem, cron_after):
        return
    values = {
        "name": spec.name,
        "kind": spec.kind,
        "concurrency": spec.concurrency,
        "status": status,
        "problem": problem,
        "cron_after": cron_after,
        "spec": spec_text(spec),
    }
    connection.execute(SQL["put_function"], values)


def _cron_after(old: RegisteredFunction | None, spec: FunctionSpec, now: int) -> int | None:
    """From when the minutes of a cron count: from now if it is new or has another expression."""
    if spec.cron is None:
        return None
    if old is None or old.cron_after is None or old.spec.cron != spec.cron:
        return now
    if old.status == "removed":
        # An editor that replaces a file removes it for a moment: that must not cost a minute.
        return max(old.cron_after, now - _GRACE - 1)
    return old.cron_after


def spec_text(spec: FunctionSpec) -> str:
    return text_of(dumps(asdict(spec)))


@lru_cache(maxsize=4_096)  # the same few texts are read at every call over HTTP
def spec_of(text: str) -> FunctionSpec:
    data: Mapping[str, Any] = json.loads(text)
    parameters = tuple(Parameter(**parameter) for parameter in data["parameters"])
    return FunctionSpec(**{**data, "retry": RetryPolicy(**data["retry"]), "parameters": parameters})


def registered_of(row: Row, project_id: str, *, all_paused: bool) -> RegisteredFunction:
    return RegisteredFunction(
        id=function_id(project_id, row["name"]),
        spec=spec_of(row["spec"]),
        status=row["status"],
        problem=row["problem"],
        paused=bool(row["paused"]) or all_paused,
        cron_after=row["cron_after"],
    )
