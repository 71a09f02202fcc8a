"""`defer logs`: what executions printed, one or many."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from click import UsageError

from defer_cli.filters import OPTIONS, FilteredCommand, chosen, is_filtered, moment_of
from defer_cli.log_feed import feed
from defer_cli.parameters import ExecutionIds
from defer_cli.session import Session
from defer_cli.text import paint, safe
from defer_client.wire import log_line_to_json
from defer_emulator.domain.ids import short_id
from defer_emulator.operations import Search
from defer_emulator.store.printed import Printed

LOOK = 0.05  # seconds between two looks for new lines
STYLES = {"stdout": "", "stderr": "yellow", "system": "dim"}


class Command(FilteredCommand):
    """All filters but two: here `--since` is about lines, and `-f` means to follow."""

    filters = tuple(
        (long, None if short == "-f" else short, metavar, multiple, text)
        for long, short, metavar, multiple, text in OPTIONS
        if long != "--since"
    )


def logs(
    ctx: typer.Context,
    execution_ids: ExecutionIds = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until they have ended; with filters, until Ctrl-C.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Lines since: a duration such as 10m, or a time."),
    ] = None,
    tail: Annotated[
        int | None, typer.Option("--tail", "-n", metavar="N", min=0, help="Only the last N lines.")
    ] = None,
    grep: Annotated[
        str | None,
        typer.Option("--grep", "-g", metavar="PATTERN", help="Only lines in which this expression is found."),
    ] = None,
) -> None:
    """Show what executions printed: of some ids, or of all that filters find.

    defer logs @last -f
      defer logs 1f2e3d4c.2 --tail 20
      defer logs --function send_mail --since 10m --grep 'timeout|refused'
      defer logs -f --tail 0              # of everything, from now on
    """
    session: Session = ctx.obj
    if follow and session.output.format == "json":
        raise UsageError("--follow prints as it comes, which JSON cannot: take --output jsonl", ctx=ctx)
    if execution_ids and is_filtered(ctx):
        raise UsageError("give ids or filters, not both", ctx=ctx)
    pattern = _pattern(grep)
    ids = [session.resolve(text) for text in execution_ids] if execution_ids else None
    lines = feed(session, Search() if ids else chosen(ctx), ids)
    printer = _Printer(session, pattern, many=ids is None or len(ids) > 1)
    if follow and not session.server_runs():
        session.output.note("no emulator runs here; start it with: defer dev")
    ended = ids is not None and _have_ended(session, ids)
    found = lines.first(moment_of(session, since, "--since"), None if pattern else tail)
    wanted = (one for one in found if printer.wants(one))
    printer.show(wanted if tail is None else deque(wanted, maxlen=tail))
    while follow and not ended:
        version = session.version()
        session.output.flush()
        while version is not None and session.version() == version:
            time.sleep(LOOK)
        ended = ids is not None and _have_ended(session, ids)
        printer.show(one for one in lines.more() if printer.wants(one))


def _have_ended(session: Session, ids: Sequence[str]) -> bool:
    return all(session.call(session.backend.get_execution(one)).state.is_final for one in ids)


def _pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        return None if text is None else re.compile(text)
    except re.error as error:
        raise UsageError(f"--grep {text!r} is no regular expression: {error}") from None


class _Printer:
    """`many`: each line says whose it is."""

    def __init__(self, session: Session, pattern: re.Pattern[str] | None, *, many: bool) -> None:
        self._output = session.output
        self._colour = session.output.colours(session.output.out)
        self._pattern = pattern
        self._many = many
        self._day = session.now().date()
        self._attempt = 0
        self._width = 0  # of the widest function so far

    def wants(self, one: Printed) -> bool:
        return self._pattern is None or self._pattern.search(safe(one.line.message)) is not None

    def show(self, lines: Iterable[Printed]) -> None:
        if self._output.is_text:
            for one in lines:
                self._heads(one)
                self._line(one)
        else:
            self._output.rows(self._to_json(one) for one in lines)

    def _to_json(self, one: Printed) -> dict[str, Any]:
        row = log_line_to_json(one.line)
        if self._many:
            row = {"execution_id": one.execution_id, "function_name": one.function, **row}
        return row

    def _heads(self, one: Printed) -> None:
        """What changes seldom: the day, and the attempt of a single execution."""
        if one.line.time.date() != self._day:
            self._day = one.line.time.date()
            self._output.line(f"--- {self._day} ---", "dim")
        attempt = one.line.attempt
        if not self._many and attempt != self._attempt and (self._attempt or attempt > 1):
            self._output.line(f"--- attempt {attempt} ---", "dim")
        self._attempt = attempt

    def _line(self, one: Printed) -> None:
        style = self._output.style
        parts = [style(one.line.time.strftime("%H:%M:%S.%f")[:-3], "dim")]
        if self._many:
            self._width = max(self._width, len(one.function))
            attempt = f".{one.line.attempt}" if one.line.attempt > 1 else ""
            parts.append(style(f"{short_id(one.execution_id)}{attempt}", "cyan"))
            parts.append(style(one.function.ljust(self._width), "bold"))
        parts.append(self._message(one))
        self._output.line("  ".join(parts).rstrip())

    def _message(self, one: Printed) -> str:
        text = safe(one.line.message, colour=self._colour)
        if self._colour and self._pattern is not None and "\x1b" not in text:
            return self._pattern.sub(lambda found: paint(found[0], "red"), text)
        return self._output.style(text, STYLES[one.line.stream])
