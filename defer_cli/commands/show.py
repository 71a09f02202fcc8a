"""`defer show`: one execution on one screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import typer

from defer_cli.output import to_json
from defer_cli.parameters import ExecutionId
from defer_cli.session import Session
from defer_cli.text import STATE_STYLES, duration, moment, relative
from defer_cli.views import describe, message_of, took
from defer_client.errors import Conflict, DeferError
from defer_client.models import (
    Arguments,
    Attempt,
    Execution,
    ExecutionFilters,
    Json,
    Page,
    State,
)
from defer_client.wire import execution_to_json
from defer_emulator.domain.ids import short_id

LABEL = 12  # columns
CHILDREN = 10  # that are shown
LONG = 2_000  # characters of a value that are shown


def show(
    ctx: typer.Context,
    execution_id: ExecutionId,
) -> None:
    """Show one execution on one screen: state, times, arguments, result, attempts, relatives.

    defer show 1f2e3d4c
      defer show @last-failed
    """
    session: Session = ctx.obj
    execution = session.call(session.backend.get_execution(session.resolve(execution_id)))
    if session.output.is_text:
        _Screen(session, execution).show()
    else:
        session.output.value(execution_to_json(execution))


class _Screen:
    def __init__(self, session: Session, execution: Execution) -> None:
        self.session = session
        self.output = session.output
        self.execution = execution
        self.now = session.now()

    def show(self) -> None:
        execution, output = self.execution, self.output
        state = output.style(execution.state.value, STATE_STYLES[execution.state])
        output.line(f"{output.style(execution.function_name, 'bold')}  {state}")
        self._why()
        self._field("id", execution.id)
        self._times()
        if execution.attempt:
            self._field("attempt", str(execution.attempt))
        for label, related in (("started by", execution.executed_by), ("rerun of", execution.rerun_of)):
            if related:
                self._field(label, self._relative_of(related))
        for place, (key, value) in enumerate(execution.metadata.items()):
            self._field("" if place else "metadata", f"{key}={value}")
        self._arguments()
        self._result()
        self._attempts()
        self._children()
        self._commands()

    def _why(self) -> None:
        if not self.session.endpoint:  # only the project's file knows
            self._field("why", message_of(self.session.call(self.session.operations.why(self.execution.id))))

    def _field(self, label: str, value: str) -> None:
        self.output.line(f"  {self.output.style(label.ljust(LABEL), 'dim')}{value}")

    def _title(self, text: str) -> None:
        self.output.line()
        self.output.line(text, "bold")

    def _block(self, text: str, style: str = "") -> None:
        shown = text if len(text) <= LONG else f"{text[:LONG]}… ({len(text)} characters)"
        for line in shown.splitlines() or [""]:
            self.output.line(f"  {line}", style)

    def _time(self, label: str, value: datetime, extra: str = "") -> None:
        self._field(label, f"{moment(value)}  ({relative(value, self.now)}{extra})")

    def _times(self) -> None:
        execution = self.execution
        self._time("created", execution.created_at)
        if execution.scheduled_at != execution.created_at:
            self._time("due", execution.scheduled_at)
        if execution.started_at:
            waited = (execution.started_at - execution.scheduled_at).total_seconds()
            queued = f", {duration(waited)} after it was due" if waited > 0 else ""
            self._time("started", execution.started_at, queued)
        if execution.finished_at:
            self._time("finished", execution.finished_at)
        if took(execution, self.now):
            self._field("took", took(execution, self.now))

    def _relative_of(self, execution_id: str) -> str:
        try:
            return describe(self.output, self.session.call(self.session.backend.get_execution(execution_id)))
        except DeferError:
            return f"{execution_id} (not stored any more)"

    def _arguments(self) -> None:
        arguments = self.session.call(self.session.backend.get_execution_arguments(self.execution.id))
        if arguments.positional or arguments.keyword:
            self._title("arguments")
            names = self._parameter_names()
            for label, value in labelled(arguments, names):
                self._block(f"{label}{to_json(value)}")

    def _parameter_names(self) -> list[str]:
        if self.session.endpoint:
            return []
        try:
            spec = self.session.call(self.session.operations.find_function(self.execution.function_name)).spec
        except DeferError:
            return []  # it is gone, or was never loaded
        return [p.name for p in spec.parameters if p.kind.startswith("positional")]

    def _result(self) -> None:
        if self.execution.state not in (State.SUCCEED, State.FAILED):
            return
        try:
            result = self.session.call(self.session.backend.get_execution_result(self.execution.id))
        except Conflict:
            return
        if self.execution.state is State.FAILED:
            self._failure(result)
        else:
            self._title("result")
            self._block(to_json(result, indent=2))

    def _failure(self, error: Json) -> None:
        self._title("error")
        self._block(f"{error['code']} {error['name']}: {error['message']}", "red")
        if error["stack"]:
            self._block(error["stack"].rstrip(), "dim")

    def _attempts(self) -> None:
        attempts = self.session.call(
            self.session.backend.list_execution_attempts(
                self.execution.id.partition(".")[0], Page(), ExecutionFilters()
            )
        )
        if len(attempts.data) > 1:
            self._title("attempts")
            for attempt in reversed(attempts.data):
                self._block(self._attempt(attempt))

    def _attempt(self, attempt: Attempt) -> str:
        state = self.output.style(attempt.state.value, STATE_STYLES[attempt.state])
        error = f"  {attempt.error.name}: {attempt.error.message}" if attempt.error else ""
        return f"{attempt.attempt}  {state}  {took(attempt, self.now)}{error}"

    def _children(self) -> None:
        children = self.session.children(self.execution.id.partition(".")[0])
        if children:
            self._title(f"started {len(children)}")
            for child in children[:CHILDREN]:
                self._block(describe(self.output, child))
            if len(children) > CHILDREN:
                self._block(f"… all of them: defer list --executed-by {short_id(self.execution.id)}", "dim")

    def _commands(self) -> None:
        self._title("next")
        for command in next_commands(self.execution):
            self._block(command)


def labelled(arguments: Arguments, names: Sequence[str]) -> list[tuple[str, Json]]:
    """Each argument with the name of its parameter, where that is known."""
    pairs: list[tuple[str, Json]] = [
        (f"{names[place]} = " if place < len(names) else "", value)
        for place, value in enumerate(arguments.positional)
    ]
    keyword: Mapping[str, Json] = arguments.keyword
    return [*pairs, *((f"{name} = ", value) for name, value in keyword.items())]


def next_commands(execution: Execution) -> list[str]:
    """What makes sense now, most useful first."""
    short = short_id(execution.id.partition(".")[0])
    by_state = {
        State.CREATED: ["reschedule", "cancel"],
        State.STARTED: ["logs -f", "cancel --force"],
        State.ABORTING: ["logs -f"],
        State.SUCCEED: ["result", "logs", "rerun"],
        State.FAILED: ["logs", "attempts", "rerun"],
    }
    return [
        f"defer {verb.partition(' ')[0]} {short}{verb[len(verb.partition(' ')[0]) :]}"
        for verb in by_state.get(execution.state, ["logs", "rerun"])
    ]
