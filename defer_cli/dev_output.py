"""What `defer dev` shows: what it found, then one calm line for each event, and every failure once."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from enum import IntEnum
from pathlib import Path

from defer_cli.dev_rate import Counts, Later, Rate, is_delayed
from defer_cli.dev_text import (
    INDENT,
    clock_day,
    clock_text,
    clock_time,
    headline,
    moment_of,
    reload_text,
    user_frames,
)
from defer_cli.output import Output
from defer_cli.text import STATE_STYLES, clock_line, cut, duration, moment, width
from defer_cli.views import findings, functions_table
from defer_client.models import Failure, State
from defer_emulator.dev import DevInfo
from defer_emulator.domain.ids import short_id
from defer_emulator.notify import events
from defer_emulator.notify.events import Event
from defer_emulator.project.diagnostics import Diagnostic

MAX_NAME = 32  # columns for the function's name
KNOWN_FAILURES = 200  # that are remembered, so that each is shown whole only once
SHORT = 50  # columns of a message that was shown before
SUMMED_UP = 5  # functions that have a line of their own in a summary


class Level(IntEnum):
    """How much is shown."""

    PROBLEMS = 0  # failures, and what goes wrong with the emulator
    QUIET = 1  # and where it listens
    NORMAL = 2  # each event in a line
    VERBOSE = 3  # all that is known of each


class DevView:
    """Shows a running emulator on a terminal, or as plain lines in a pipe.

    `later` calls a function after some seconds (`loop.call_later`), `now` is a monotonic clock.
    """

    def __init__(
        self, output: Output, later: Later, now: Callable[[], float], level: Level = Level.NORMAL
    ) -> None:
        self._output = output
        self._level = level
        self._root = Path()
        self._name_width = 12
        self._day = ""  # of the latest line
        self._failures: deque[tuple[str, ...]] = deque(maxlen=KNOWN_FAILURES)
        self._findings: frozenset[Diagnostic] = frozenset()
        self._rate = Rate(later, now, self._summary)
        self.ready = "ready; Ctrl-C stops it"
        self.last_failed: str | None = None  # the id of the latest that was shown

    # --- the life of the emulator -------------------------------------------------------------

    def started(self, info: DevInfo) -> None:
        output = self._output
        self._root = info.root
        self._findings = frozenset(info.diagnostics)
        self._name_width = min(MAX_NAME, max([12, *(width(f.spec.name) for f in info.functions)]))
        if self._level > Level.PROBLEMS:
            output.line(f"{output.style('defer', 'bold')} {info.version}  {output.style(info.url, 'cyan')}")
            for note in info.notes:
                output.line(f"  note     {note}", "yellow")
        if self._level > Level.QUIET:
            self._overview(info)
        if info.diagnostics:
            findings(output, info.root, info.diagnostics)
            output.line()
        if self._level > Level.QUIET:
            output.line(self.ready, "green")
        output.flush()

    def _overview(self, info: DevInfo) -> None:
        output = self._output
        output.line(f"  project  {info.root}")
        if info.python:
            output.line(f"  python   {info.python.removeprefix('Python ')}")
        if info.token:
            output.line("  token    needed by HTTP requests; it is in the configuration or in --token")
        if info.clock is not None and (info.clock.mode == "frozen" or info.clock.offset):
            output.line(
                f"  clock    {clock_line(info.clock.now, info.clock.mode, info.clock.offset)}", "yellow"
            )
        output.line()
        if info.functions:
            functions_table(output, info.functions)
        else:
            output.line("no functions yet; add one with: defer new NAME")
        output.line()

    def diagnostics(self, found: Sequence[Diagnostic]) -> None:
        """Only what was not said before."""
        findings(self._output, self._root, [finding for finding in found if finding not in self._findings])
        self._findings = frozenset(found)
        self._output.flush()

    def stopping(self, running: int) -> None:
        what = f": waiting for {running} execution{'s' * (running != 1)}; Ctrl-C again ends them now"
        if running or self._level > Level.QUIET:
            self._output.line("stopping" + (what if running else ""), "yellow")
        self._output.flush()

    def stopped(self) -> None:
        self._rate.flush()
        if self._level > Level.QUIET:
            self._output.line("stopped")
        self._output.flush()

    # --- events -------------------------------------------------------------------------------

    def event(self, event: Event) -> None:
        if isinstance(event, events.ExecutionChanged):
            self._changed(event)
        elif isinstance(event, events.Output):
            if self._level > Level.QUIET and self._rate.shows_line():
                self._printed(event)
        elif isinstance(event, events.CronMissed):
            self._missed(event)
        elif isinstance(event, events.Reloaded):
            if self._level > Level.QUIET or event.broken:
                self._output.line(reload_text(event), "cyan")
        elif isinstance(event, events.ClockMoved):
            if self._level > Level.QUIET:
                self._output.line(clock_text(event), "yellow")
        else:
            self._output.error("trouble", event.message, event.hint)
        self._output.flush()

    def _changed(self, event: events.ExecutionChanged) -> None:
        shows = self._rate.shows(event)
        failed = event.state is State.FAILED
        if failed:
            self.last_failed = event.id
        if self._level <= Level.QUIET and not failed:
            return
        failure = event.failure
        key = () if failure is None else self._key(event.function, failure)
        is_known = bool(key) and self._level < Level.VERBOSE and key in self._failures
        if shows:
            self._one_line(event, failure if is_known else None)
        if failure is not None and not is_known and self._rate.shows_failure():
            self._failures.append(key)
            if not shows:
                self._line(event, "failed", STATE_STYLES[State.FAILED], "")
            self.show_failure(failure)
            self._output.line(f"{INDENT}defer show {short_id(event.id)}", "dim")

    def _one_line(self, event: events.ExecutionChanged, known: Failure | None) -> None:
        """`known` is the failure, if it was shown before."""
        wait = 0.0 if event.due is None else (event.due - event.at) / 1_000_000
        delayed = is_delayed(event)
        if event.reason == "new" and not delayed and self._level < Level.VERBOSE:
            return  # its start is shown
        word, style = event.state.value, STATE_STYLES[event.state]
        rest = "" if event.duration is None else duration(event.duration)
        if event.reason == "new":
            rest = f"due in {duration(wait)}" if delayed else ""
        if event.reason == "retry":
            word, style, rest = "failed", "yellow", f"{rest}  again in {duration(max(0.0, wait))}".strip()
        elif event.reason == "release":
            rest = "queued again: the emulator stops"
        elif event.reason == "limit":
            rest = "the function's limit was reached"
        if event.attempt > 1 or (event.attempt and self._level is Level.VERBOSE):
            rest = f"{rest}  attempt {event.attempt}".strip()
        if known is not None:
            rest = f"{rest}  {cut(headline(known), SHORT)}, as before"
        self._line(event, word, style, rest)

    def _line(self, event: events.ExecutionChanged, word: str, style: str, rest: str) -> None:
        paint = self._output.style
        day = clock_day(event.at)
        if day != self._day:
            if self._day:
                self._output.line(day, "dim")
            self._day = day
        parts = (
            paint(clock_time(event.at), "dim"),
            paint(self._padded(event.function), "bold"),
            paint(short_id(event.id), "cyan"),
            paint(word.ljust(9), style),
            rest,
        )
        self._output.line("  ".join(parts).rstrip())

    def _padded(self, function: str) -> str:
        name = cut(function, self._name_width)
        return name + " " * (self._name_width - width(name))

    def _printed(self, event: events.Output) -> None:
        paint = self._output.style
        style = {"stdout": "", "stderr": "yellow", "system": "dim"}[event.stream]
        head = paint(f"{' ' * 12}  {short_id(event.id)} |", "dim")
        self._output.line(f"{head} {paint(event.message, style)}")

    def _missed(self, event: events.CronMissed) -> None:
        times = "once" if event.count == 1 else f"{event.count} times"
        self._output.line(
            f"{event.function} was due {times} while nothing ran, first at {moment(moment_of(event.first))}; "
            "missed crons are not replayed",
            "yellow",
        )

    # --- failures -----------------------------------------------------------------------------

    def _key(self, function: str, failure: Failure) -> tuple[str, ...]:
        """Two failures at the same lines are one, whatever their messages say."""
        places = (frame.shown for frame in user_frames(failure, self._root))
        return (function, failure.name, *places)

    def show_failure(self, failure: Failure) -> None:
        """Its frames in the user's own files, or all of them when verbose, and its message."""
        output = self._output
        if self._level is Level.VERBOSE:
            for line in failure.stack.splitlines():
                output.line(f"{INDENT}{line}", "dim")
        else:
            for frame in user_frames(failure, self._root):
                place = output.link(frame.shown, frame.file, frame.line)
                output.line(f"{INDENT}{output.style(place, 'cyan')}{output.style(frame.rest, 'dim')}")
        output.line(f"{INDENT}{headline(failure)}", "red")

    # --- when there is too much ---------------------------------------------------------------

    def _summary(self, counts: Counts) -> None:
        """A line for each of the busiest functions, and one for the others, in place of hundreds."""
        totals: Counter[str] = Counter()
        for (function, _), count in counts.states.items():
            totals[function] += count
        ranked = [function for function, _ in totals.most_common()]
        rows = [(self._padded(one), [one]) for one in ranked[:SUMMED_UP]]
        if others := ranked[SUMMED_UP:]:
            rows.append((f"{len(others)} other functions", others))
        lines = [text for title, functions in rows if (text := self._counted(title, functions, counts))]
        if counts.lines:
            printed = self._output.style(f"{counts.lines:,} printed lines: see defer logs ID", "dim")
            lines = [*lines[:-1], f"{lines[-1]}  {printed}"] if lines else [printed]
        for line in lines:
            self._output.line(f"{INDENT}{line}")
        self._output.flush()

    def _counted(self, title: str, functions: Sequence[str], counts: Counts) -> str:
        """`send_mail     started 965  succeed 960`; empty where there is nothing to say."""
        words = []
        for state in State if self._level > Level.QUIET else (State.FAILED,):
            count = sum(counts.states.get((function, state), 0) for function in functions)
            if count:
                words.append(f"{self._output.style(state.value, STATE_STYLES[state])} {count:,}")
        return "  ".join([title, *words]) if words else ""
