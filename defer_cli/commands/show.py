"""`defer show`: one execution on one screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import typer

from defer_cli.faults import shown_faults
from defer_cli.output import to_json
from defer_cli.parameters import ExecutionId
from defer_cli.session import Session
from defer_cli.text import STATE_STYLES, Cell, Column, bar, duration, moment, relative, safe, width, wrapped
from defer_cli.views import counted, failed_first, message_of, queued, took
from defer_client.errors import Conflict, DeferError
from defer_client.models import (
    Arguments,
    Attempt,
    Execution,
    ExecutionFilters,
    Failure,
    Json,
    Page,
    State,
)
from defer_client.wire import execution_to_json, failure_from_json
from defer_emulator.domain.functions import FunctionSpec
from defer_emulator.domain.ids import short_id
from defer_emulator.domain.why import Why

LABEL = 12  # columns
RELATIVES, ATTEMPTS, COMMANDS = 10, 10, 5  # that are shown
LONG = 2_000  # characters of a value that a terminal shows
BAR = 24  # columns

RELATED = (
    Column(title="RELATION"),
    Column(title="ID"),
    Column(title="FUNCTION", least=8),
    Column(title="STATE"),
    Column(title="TOOK", rank=1),
)
TRIED = (
    Column(title="TRY"),
    Column(title="STATE"),
    Column(title="STARTED", rank=2),
    Column(title="QUEUED", rank=3),
    Column(title="TOOK", rank=1),
    Column(title="CODE", rank=4),
    Column(title="ERROR", least=10, rank=5),
)


def show(
    ctx: typer.Context,
    execution_id: ExecutionId,
) -> None:
    """Show one execution on one screen: its state and why, times, attempts, arguments, result, relatives.

    defer show 1f2e3d4c
      defer show @last-failed
    """
    session: Session = ctx.obj
    execution = session.call(session.backend.get_execution(session.resolve(execution_id)))
    if session.output.is_text:
        _Screen(session, execution).show()
    else:
        faults = shown_faults(session, execution)
        session.output.value(execution_to_json(execution) | ({"injected": faults} if faults else {}))


class _Screen:
    def __init__(self, session: Session, execution: Execution) -> None:
        self.session = session
        self.output = session.output
        self.execution = execution
        self.id = execution.id.partition(".")[0]  # without the attempt
        self.now = session.now()
        self.spec = session.spec(execution.function_name)
        attempts = session.call(
            session.backend.list_execution_attempts(self.id, Page(first=ATTEMPTS), ExecutionFilters())
        )
        self.attempts: Sequence[Attempt] = attempts.data  # newest first
        self.cut = session.output.is_terminal()

    def show(self) -> None:
        execution, output = self.execution, self.output
        state = output.style(execution.state.value, STATE_STYLES[execution.state])
        output.line(f"{output.style(execution.function_name, 'bold')}  {state}")
        why = self._why()
        if why is not None:
            self._field("why", message_of(why))
        self._field("id", execution.id)
        self._times()
        self._code()
        for place, (key, value) in enumerate(execution.metadata.items()):
            self._field("" if place else "metadata", f"{key}={value}")
        faults = shown_faults(self.session, execution)
        if faults:
            self._field("injected", faults)
        self._arguments()
        self._result()
        self._attempts()
        self._relatives()
        self._commands(() if why is None else (one for reason in why.reasons for one in reason.commands))

    def _why(self) -> Why | None:
        """Only the project's file knows."""
        if self.session.endpoint:
            return None
        return self.session.call(self.session.operations.why(self.execution.id))

    # --- how things look ----------------------------------------------------------------------

    def _field(self, label: str, value: str) -> None:
        room = None if self.output.width is None else max(20, self.output.width - LABEL - 2)
        for place, line in enumerate(wrapped(value, room)):
            head = self.output.style(("" if place else label).ljust(LABEL), "dim")
            self.output.line(f"  {head}{line}")

    def _title(self, text: str) -> None:
        self.output.line()
        self.output.line(text, "bold")

    def _block(self, text: str, style: str = "", *, rest: str = "") -> None:
        """Lines of text; a terminal gets the beginning of a long one, and the command for the `rest`."""
        shown = text[:LONG] if self.cut else text
        for line in shown.splitlines() or [""]:
            self.output.line(f"  {safe(line)}".rstrip(), style)
        if len(shown) < len(text):
            self.output.line(f"  … {len(text):,} characters; all of it: {rest}", "dim")

    def _value(self, label: str, value: Json, rest: str) -> None:
        """JSON on one line if it fits there."""
        line = label + to_json(value)
        fits = self.output.width is None or width(line) <= self.output.width - 2
        self._block(line if fits else label + to_json(value, indent=2), rest=rest)

    # --- what there is ------------------------------------------------------------------------

    def _time(self, label: str, value: datetime) -> None:
        self._field(label, f"{moment(value)}, {relative(value, self.now)}")

    def _times(self) -> None:
        execution = self.execution
        self._time("created", execution.created_at)
        if execution.scheduled_at != execution.created_at:
            self._time("due", execution.scheduled_at)
        if execution.started_at:
            self._time("started", execution.started_at)
        if execution.finished_at:
            self._time("finished", execution.finished_at)
        if execution.started_at and took(execution, self.now):
            waited = max(0.0, (execution.started_at - execution.scheduled_at).total_seconds())
            ran = max(0.0, ((execution.finished_at or self.now) - execution.started_at).total_seconds())
            drawn = f"  {bar(waited / (waited + ran), BAR)}" if waited + ran else ""
            verb = "ran" if execution.finished_at else "runs for"
            self._field("time", f"queued {duration(waited)}, {verb} {duration(ran)}{drawn}")

    def _code(self) -> None:
        execution = self.execution
        if not execution.attempt:
            return
        of = "" if self.spec is None else f" of {max(execution.attempt, self.spec.retry.max_attempts + 1)}"
        generation = next((one.generation for one in self.attempts if one.attempt == execution.attempt), 0)
        code = f", code of generation {generation}" if generation else ""
        self._field("attempt", f"{execution.attempt}{of}{code}")

    def _arguments(self) -> None:
        arguments = self.session.call(self.session.backend.get_execution_arguments(self.execution.id))
        if not (arguments.positional or arguments.keyword):
            return
        self._title("arguments")
        for label, value in labelled(arguments, self.spec):
            self._value(label, value, f"defer show {short_id(self.id)} | cat")

    def _result(self) -> None:
        state, short = self.execution.state, short_id(self.execution.id)
        if state not in (State.SUCCEED, State.FAILED):
            return
        try:
            result = self.session.call(self.session.backend.get_execution_result(self.execution.id))
        except Conflict:
            return
        if state is State.FAILED:
            self._failure(failure_from_json(result))
        else:
            self._title("result")
            self._value("", result, f"defer result {short}")

    def _failure(self, failure: Failure) -> None:
        from defer_cli.dev_text import user_frames

        self._title("error")
        message = f"{failure.code} {failure.name}: {failure.message}".splitlines()
        room = self.output.width and self.output.width - 2
        lines = [line for text in message for line in wrapped(safe(text), room)]
        self._block("\n".join(lines), "red", rest=f"defer result {short_id(self.execution.id)}")
        frames = [] if self.session.endpoint else user_frames(failure, self.session.root)
        for frame in frames:
            place = self.output.link(frame.shown, frame.file, frame.line)
            self.output.line(f"  {self.output.style(place, 'bold')}{safe(frame.rest)}")
        if len(frames) < failure.stack.count('\n  File "') or not frames:
            self.output.line()
            self._block(failure.stack.rstrip(), "dim", rest=f"defer result {short_id(self.execution.id)}")

    def _attempts(self) -> None:
        if len(self.attempts) < 2:
            return
        self._title("attempts")
        rows = [self._attempt(attempt) for attempt in reversed(self.attempts)]
        self.output.table(TRIED, rows, header=False, indent=2)
        if self.attempts[-1].attempt > 1:
            self._block(f"… all of them: defer attempts {short_id(self.id)}", "dim")

    def _attempt(self, attempt: Attempt) -> list[Cell]:
        error = f"{attempt.error.name}: {attempt.error.message}" if attempt.error else ""
        return [
            Cell(text=str(attempt.attempt)),
            Cell(text=attempt.state.value, style=STATE_STYLES[attempt.state]),
            Cell(text=relative(attempt.started_at, self.now) if attempt.started_at else ""),
            Cell(text=f"queued {queued(attempt)}"),
            Cell(text=f"ran {took(attempt, self.now)}"),
            Cell(text=f"code {attempt.generation}", style="dim"),
            Cell(text=error.partition("\n")[0], style="red"),
        ]

    def _relatives(self) -> None:
        execution = self.execution
        related = (("started by", execution.executed_by), ("rerun of", execution.rerun_of))
        rows = [self._relative(label, one) for label, one in related if one]
        if rows:
            self._title("relatives")
            self.output.table(RELATED, rows, header=False, indent=2)
        children = self.session.children(self.id)
        if children:
            self._title(f"started {len(children)}: {counted(children)}")
            rows = [self._row("", child) for child in failed_first(children)[:RELATIVES]]
            self.output.table(RELATED, rows, header=False, indent=2)
            if len(children) > RELATIVES:
                self._block(f"… all of them: defer tree {short_id(self.id)} --all", "dim")

    def _relative(self, label: str, execution_id: str) -> list[Cell]:
        try:
            return self._row(label, self.session.call(self.session.backend.get_execution(execution_id)))
        except DeferError:
            return [
                Cell(text=text) for text in (label, short_id(execution_id), "not stored any more", "", "")
            ]

    def _row(self, label: str, execution: Execution) -> list[Cell]:
        return [
            Cell(text=label, style="dim"),
            Cell(text=short_id(execution.id), style="cyan"),
            Cell(text=execution.function_name, style="bold"),
            Cell(text=execution.state.value, style=STATE_STYLES[execution.state]),
            Cell(text=took(execution, self.now)),
        ]

    def _commands(self, helpful: Iterable[str]) -> None:
        self._title("next")
        for command in list(dict.fromkeys((*helpful, *next_commands(self.execution))))[:COMMANDS]:
            self._block(command)


def labelled(arguments: Arguments, spec: FunctionSpec | None) -> list[tuple[str, Json]]:
    """Each argument with the name of its parameter, where that is known."""
    names = [one.name for one in spec.parameters if one.kind.startswith("positional")] if spec else []
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
