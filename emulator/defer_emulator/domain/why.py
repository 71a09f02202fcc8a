"""Why an execution is where it is, and the command that helps: facts in, reasons out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from defer_client.models import Attempt, ErrorCode, Execution, Failure, Json, State
from defer_client.wire import failure_to_json, time_to_json
from defer_emulator.domain.functions import RegisteredFunction
from defer_emulator.domain.ids import short_id
from defer_emulator.domain.texts import duration, moment

ReasonKind = Literal[
    "delayed",  # created: waits for its time
    "retry",  # waits for its next attempt
    "paused",  # its function, or everything
    "broken",  # its file does not import
    "removed",  # its function is gone
    "unknown",  # there never was such a function
    "no_emulator",
    "not_selected",  # the emulator runs other functions only
    "concurrency",  # waits for a place of its function
    "max_concurrency",  # waits for a place of the emulator
    "starting",
    "running",  # started
    "parked",  # waits for executions that it started
    "orphaned",  # its emulator is gone
    "aborting",
    "succeeded",
    "failed",
    "cancelled",
    "cancelled_by_limit",
    "aborted",
    "discarded",
]

SHOWN = 5  # related executions that a message names
LONGEST_ERROR = 200  # characters


@dataclass(frozen=True, kw_only=True, slots=True)
class Emulator:
    """The one that serves the project now."""

    max_concurrency: int | None = None  # None: not known
    only: Sequence[str] = ()  # empty: all functions


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """All that the present of an execution depends on."""

    execution: Execution  # or one of its attempts
    now: datetime  # the emulated time
    clock: Literal["real", "moved", "frozen"]
    emulator: Emulator | None  # None: none is alive
    function: RegisteredFunction | None
    function_paused: bool  # by its own name
    everything_paused: bool
    holders: Sequence[Execution]  # that run, of its function, oldest first; some of them
    holders_count: int
    places_taken: int  # of the whole emulator
    awaited: Sequence[Execution]  # that it started, waits for and have not ended; some of them
    awaited_count: int
    last_failure: Failure | None  # of its latest attempt that failed
    ended_by: str | None
    discard_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """One thing that holds an execution, or what has become of it."""

    kind: ReasonKind
    message: str  # one line
    details: Mapping[str, Json] = field(default_factory=dict)
    commands: Sequence[str] = ()  # that help, most useful first


@dataclass(frozen=True, kw_only=True, slots=True)
class Why:
    """The answer: `reasons` has at least one, and the one to look at first comes first."""

    execution: Execution
    reasons: Sequence[Reason]

    @property
    def main(self) -> Reason:
        return self.reasons[0]


def explain(facts: Facts) -> Why:
    """Why an execution is where it is."""
    state = facts.execution.state
    if state is State.CREATED:
        reasons = tuple(_waiting(facts)) or (_starting(facts),)
    elif state in (State.STARTED, State.ABORTING):
        reasons = (_running(facts),)
    else:
        reasons = (_ended(facts),)
    return Why(execution=facts.execution, reasons=reasons)


# --- created ----------------------------------------------------------------------------------


def _waiting(facts: Facts) -> Iterator[Reason]:
    """All that has to change before it can start. What an emulator has found out counts while it lives."""
    served = facts.emulator is not None
    if served:
        yield from _function_missing(facts)
    yield from _paused(facts)
    yield from _not_due(facts)
    if not served:
        yield Reason(
            kind="no_emulator",
            message="no emulator runs here: nothing starts until one does",
            commands=("defer dev",),
        )
        yield from _function_missing(facts)
    else:
        yield from _no_place(facts)


def _function_missing(facts: Facts) -> Iterator[Reason]:
    name, function = facts.execution.function_name, facts.function
    short = short_id(facts.execution.id)
    if function is None:
        if facts.emulator is not None:  # otherwise the project was only not looked at yet
            yield Reason(
                kind="unknown",
                message=f"there is no function {name!r} in this project: it starts when there is one",
                details={"function": name},
                commands=(f"defer new {name}", "defer functions", f"defer cancel {short}"),
            )
    elif function.status == "removed":
        yield Reason(
            kind="removed",
            message=f"{name} is not in the project any more ({function.spec.file} is gone): it waits until"
            " the function is back",
            details={"function": name, "file": function.spec.file},
            commands=("defer check", f"defer cancel {short}"),
        )
    elif function.status == "broken":
        problem = function.problem or "the reason is not known"
        yield Reason(
            kind="broken",
            message=f"the file of {name} does not import: {problem}",
            details={"function": name, "file": function.spec.file, "problem": problem},
            commands=("defer check",),
        )


def _paused(facts: Facts) -> Iterator[Reason]:
    name = facts.execution.function_name
    if facts.everything_paused:
        yield Reason(
            kind="paused",
            message="everything is paused",
            details={"scope": "everything"},
            commands=("defer resume",),
        )
    if facts.function_paused:
        yield Reason(
            kind="paused",
            message=f"{name} is paused",
            details={"scope": "function", "function": name},
            commands=(f"defer resume {name}",),
        )


def _not_due(facts: Facts) -> Iterator[Reason]:
    execution = facts.execution
    seconds = (execution.scheduled_at - facts.now).total_seconds()
    if seconds <= 0:
        return
    frozen = facts.clock == "frozen"
    stands = "; the clock stands still" if frozen else ""
    move = "defer clock resume" if frozen else "defer clock advance --next"
    due = f"in {duration(seconds)}, at {moment(execution.scheduled_at)}{stands}"
    details: dict[str, Json] = {"until": time_to_json(execution.scheduled_at), "seconds": seconds}
    short = short_id(execution.id)
    if execution.attempt == 0:
        discard = f"; discarded at {moment(facts.discard_at)}" if facts.discard_at else ""
        if facts.discard_at:
            details["discard_at"] = time_to_json(facts.discard_at)
        yield Reason(
            kind="delayed",
            message=f"waits for its time: due {due}{discard}",
            details=details,
            commands=(f"defer reschedule {short}", move),
        )
        return
    attempt = execution.attempt + 1
    of = max(attempt, _attempts(facts))
    error = f"; the last error: {_error_line(facts.last_failure)}" if facts.last_failure else ""
    details |= {"attempt": attempt, "attempts": of, "last_error": _error_json(facts.last_failure)}
    yield Reason(
        kind="retry",
        message=f"waits for a retry: attempt {attempt} of {of} {due}{error}",
        details=details,
        commands=(f"defer logs {short}.{execution.attempt}", f"defer reschedule {short}", move),
    )


def _no_place(facts: Facts) -> Iterator[Reason]:
    name, function, emulator = facts.execution.function_name, facts.function, facts.emulator
    assert emulator is not None
    if emulator.only and name not in emulator.only:
        yield Reason(
            kind="not_selected",
            message=f"defer dev was started for {', '.join(emulator.only)} only",
            details={"only": list(emulator.only)},
            commands=("defer dev", f"defer dev --only {name}"),
        )
    if facts.execution.scheduled_at > facts.now:
        return
    limit = None if function is None else function.spec.concurrency
    if limit is not None and facts.holders_count >= limit:
        held = _named(facts.holders, facts.holders_count)
        first = short_id(facts.holders[0].id)
        yield Reason(
            kind="concurrency",
            message=f"waits for a place of {name}: limit {facts.holders_count}/{limit}, held by {held}",
            details={
                "function": name,
                "limit": limit,
                "running": facts.holders_count,
                "held_by": [holder.id for holder in facts.holders],
            },
            commands=(f"defer why {first}", f"defer cancel {first} --force"),
        )
    if emulator.max_concurrency is not None and facts.places_taken >= emulator.max_concurrency:
        yield Reason(
            kind="max_concurrency",
            message="waits for a place of the emulator: max_concurrency"
            f" {facts.places_taken}/{emulator.max_concurrency}",
            details={"limit": emulator.max_concurrency, "running": facts.places_taken},
            commands=("defer list --state started",),
        )


def _starting(facts: Facts) -> Reason:
    return Reason(
        kind="starting",
        message="it is due and nothing holds it: it starts as soon as a worker is ready",
        commands=(f"defer show {short_id(facts.execution.id)}",),
    )


# --- started ----------------------------------------------------------------------------------


def _running(facts: Facts) -> Reason:
    execution = facts.execution
    short = short_id(execution.id)
    if facts.emulator is None:
        retried = execution.attempt < _attempts(facts) and execution.state is State.STARTED
        end = "aborted" if execution.state is State.ABORTING else "interrupted"
        again = ", and tries it again" if retried else ""
        return Reason(
            kind="orphaned",
            message=f"its emulator is gone: the next one ends it as {end}{again}",
            details={"attempt": execution.attempt, "retried": retried},
            commands=("defer dev",),
        )
    if execution.state is State.ABORTING:
        return Reason(
            kind="aborting",
            message=f"it is being aborted{_asked_by(facts)}: its processes end within 2s",
            details={"by": facts.ended_by},
            commands=(f"defer show {short}",),
        )
    if facts.awaited:
        first = short_id(facts.awaited[0].id)
        count = facts.awaited_count
        what = "an execution" if count == 1 else f"{count} executions"
        return Reason(
            kind="parked",
            message=f"waits for {what} that it started: {_named(facts.awaited, count)}",
            details={"waits_for": [child.id for child in facts.awaited], "count": count},
            commands=(f"defer why {first}", f"defer tree {short.partition('.')[0]}"),
        )
    return _busy(facts)


def _busy(facts: Facts) -> Reason:
    execution, function = facts.execution, facts.function
    since = execution.started_at or facts.now
    seconds = max(0.0, (facts.now - since).total_seconds())
    of = max(execution.attempt, _attempts(facts))
    details: dict[str, Json] = {
        "since": time_to_json(since),
        "seconds": seconds,
        "attempt": execution.attempt,
        "attempts": of,
    }
    limit = ""
    if function is not None:
        longest = function.spec.max_duration
        details["max_duration"] = longest
        limit = f"; it may take {duration(longest)}"
        if facts.clock == "real":  # deadlines are real time
            deadline = since + timedelta(seconds=longest)
            details["deadline"] = time_to_json(deadline)
            limit += f", until {moment(deadline)}"
    short = short_id(execution.id)
    return Reason(
        kind="running",
        message=f"runs since {duration(seconds)} (attempt {execution.attempt} of {of}){limit}",
        details=details,
        commands=(f"defer logs {short} -f", f"defer cancel {short.partition('.')[0]} --force"),
    )


# --- ended ------------------------------------------------------------------------------------


def _ended(facts: Facts) -> Reason:
    execution = facts.execution
    short = short_id(execution.id)
    base = short.partition(".")[0]
    again = f"defer rerun {base}"
    when = f", at {moment(execution.finished_at)}" if execution.finished_at else ""
    by: dict[str, Json] = {"by": facts.ended_by}
    if execution.state is State.FAILED:
        return _failed(facts)
    if execution.state is State.SUCCEED:
        return Reason(
            kind="succeeded",
            message=f"it succeeded{when}",
            details={"attempt": execution.attempt},
            commands=(f"defer result {short}",),
        )
    if execution.state is State.DISCARDED:
        last = f" ({moment(facts.discard_at)})" if facts.discard_at else ""
        details = {"discard_at": time_to_json(facts.discard_at)} if facts.discard_at else {}
        return Reason(
            kind="discarded",
            message=f"it was discarded: it had not started by its discard_after{last}",
            details=details,
            commands=(again,),
        )
    if execution.state is State.ABORTED:
        commands = (f"defer logs {short}", again)
        message = f"it was aborted{_asked_by(facts)}{when}"
        return Reason(kind="aborted", message=message, details=by, commands=commands)
    if facts.ended_by == "limit":
        name = execution.function_name
        limit = None if facts.function is None else facts.function.spec.concurrency
        return Reason(
            kind="cancelled_by_limit",
            message=f'it was cancelled{when}: {name} had reached its limit, whose action is "cancel"',
            details={**by, "function": name, "limit": limit},
            commands=(again,),
        )
    message = f"it was cancelled{_asked_by(facts)}{when}"
    return Reason(kind="cancelled", message=message, details=by, commands=(again,))


def _failed(facts: Facts) -> Reason:
    execution, failure = facts.execution, facts.last_failure
    short = short_id(execution.id)
    of = max(execution.attempt, _attempts(facts))
    why = ""
    if isinstance(execution, Attempt):
        why = f" (attempt {execution.attempt})"
    elif execution.error_code is ErrorCode.OUT_OF_MEMORY:
        why = " (out of memory is never tried again)"
    elif of > 1:
        why = f" (attempt {execution.attempt} of {of})"
    said = _error_line(failure) if failure else str(execution.error_code)
    return Reason(
        kind="failed",
        message=f"it failed: {said}{why}",
        details={"error": _error_json(failure), "attempt": execution.attempt, "attempts": of},
        commands=(f"defer logs {short}", f"defer rerun {short.partition('.')[0]}"),
    )


# --- words ------------------------------------------------------------------------------------


def _attempts(facts: Facts) -> int:
    """How many attempts it has at most."""
    return 1 if facts.function is None else facts.function.spec.retry.max_attempts + 1


def _asked_by(facts: Facts) -> str:
    if facts.ended_by is None:
        return ""
    return " by a request" if facts.ended_by == "request" else f" by execution {short_id(facts.ended_by)}"


def _named(executions: Sequence[Execution], count: int) -> str:
    """`1f2e3d4c (send_mail, started), 9b8a7c6d (…) and 7 more`."""
    names = [f"{short_id(one.id)} ({one.function_name}, {one.state})" for one in executions[:SHOWN]]
    more = f" and {count - len(names)} more" if count > len(names) else ""
    return ", ".join(names) + more


def _error_line(failure: Failure) -> str:
    """`ER0003 ValueError: no`, in one line."""
    lines = failure.message.strip().splitlines()
    first = lines[0][:LONGEST_ERROR] if lines else failure.name
    said = failure.name if first == failure.name else f"{failure.name}: {first}"
    return f"{failure.code} {said}"


def _error_json(failure: Failure | None) -> Json:
    if failure is None:
        return None
    whole = failure_to_json(failure)
    return {name: whole[name] for name in ("code", "name", "message")}
