"""What `defer dev` shows: what it found, then one calm line for each event, and every failure once."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from defer_cli.dev_text import (
    clock_day,
    clock_text,
    clock_time,
    failure_lines,
    iso_time,
    moment_of,
    reload_text,
)
from defer_cli.output import Output, to_json
from defer_cli.text import STATE_STYLES, clock_line, cut, duration, moment, one_line, width
from defer_cli.views import findings, functions_table
from defer_client.models import Failure, State
from defer_client.wire import failure_to_json
from defer_emulator.dev import DevInfo
from defer_emulator.domain.ids import short_id
from defer_emulator.notify import events
from defer_emulator.notify.events import Event
from defer_emulator.project.diagnostics import Diagnostic
from defer_emulator.project.diagnostics import to_json as diagnostic_to_json

MAX_NAME = 32  # columns for the function's name
BUSY = 50  # executions a second, beyond which they are counted, not shown
KNOWN_FAILURES = 200  # that are remembered, so that each is shown whole only once
LINES_WHEN_BUSY = 20  # of output that are shown each second

Later = Callable[[float, Callable[[], None]], object]


class DevView:
    """Shows a running emulator on a terminal, or as plain lines in a pipe.

    `later` calls a function after some seconds (`loop.call_later`), `now` is a monotonic clock.
    """

    def __init__(self, output: Output, later: Later, now: Callable[[], float]) -> None:
        self._output = output
        self._root = Path()
        self._name_width = 12
        self._day = ""  # of the latest line
        self._failures: deque[tuple[str, str, str]] = deque(maxlen=KNOWN_FAILURES)
        self._findings: frozenset[Diagnostic] = frozenset()
        self._rate = _Rate(later, now, self._summary)

    # --- the life of the emulator -------------------------------------------------------------

    def started(self, info: DevInfo) -> None:
        output = self._output
        self._root = info.root
        self._findings = frozenset(info.diagnostics)
        self._name_width = min(MAX_NAME, max([12, *(width(f.spec.name) for f in info.functions)]))
        output.line(f"{output.style('defer', 'bold')} {info.version}  {output.style(info.url, 'cyan')}")
        output.line(f"  project  {info.root}")
        if info.token:
            output.line("  token    needed by HTTP requests; it is in the configuration or in --token")
        if info.clock is not None and (info.clock.mode == "frozen" or info.clock.offset):
            output.line(
                f"  clock    {clock_line(info.clock.now, info.clock.mode, info.clock.offset)}", "yellow"
            )
        for note in info.notes:
            output.line(f"  note     {note}", "yellow")
        output.line()
        if info.functions:
            functions_table(output, info.functions)
        else:
            output.line("no functions yet; add one with: defer new NAME")
        output.line()
        if info.diagnostics:
            findings(output, info.root, info.diagnostics)
            output.line()
        output.line("ready; Ctrl-C stops it", "green")
        output.flush()

    def diagnostics(self, found: Sequence[Diagnostic]) -> None:
        """Only what was not said before."""
        findings(self._output, self._root, [finding for finding in found if finding not in self._findings])
        self._findings = frozenset(found)
        self._output.flush()

    def stopping(self, running: int) -> None:
        what = f": waiting for {running} execution{'s' * (running != 1)}; Ctrl-C again ends them now"
        self._output.line("stopping" + (what if running else ""), "yellow")
        self._output.flush()

    def stopped(self) -> None:
        self._rate.flush()
        self._output.line("stopped")
        self._output.flush()

    # --- events -------------------------------------------------------------------------------

    def event(self, event: Event) -> None:
        if isinstance(event, events.ExecutionChanged):
            if self._rate.count(event):
                self._changed(event)
            if event.failure is not None:
                self._failure(event, event.failure)
        elif isinstance(event, events.Output):
            if self._rate.allows_output():
                self._printed(event)
        elif isinstance(event, events.CronMissed):
            self._missed(event)
        elif isinstance(event, events.Reloaded):
            self._output.line(reload_text(event), "cyan")
        elif isinstance(event, events.ClockMoved):
            self._output.line(clock_text(event), "yellow")
        else:
            self._trouble(event)
        self._output.flush()

    def _changed(self, event: events.ExecutionChanged) -> None:
        wait = 0.0 if event.due is None else (event.due - event.at) / 1_000_000
        if event.reason == "new" and wait < 0.5:
            return  # its start is shown
        word, style = event.state.value, STATE_STYLES[event.state]
        rest = "" if event.duration is None else duration(event.duration)
        if event.reason == "new":
            rest = f"due in {duration(wait)}"
        if event.reason == "retry":
            word, style, rest = "failed", "yellow", f"{rest}  again in {duration(max(0.0, wait))}".strip()
        elif event.reason == "release":
            rest = "queued again: the emulator stops"
        elif event.reason == "limit":
            rest = "the function's limit was reached"
        if event.attempt > 1:
            rest = f"{rest}  attempt {event.attempt}".strip()
        self._line(event.at, event.function, event.id, word, style, rest)

    def _line(self, at: int, function: str, execution_id: str, word: str, style: str, rest: str) -> None:
        paint = self._output.style
        day = clock_day(at)
        if day != self._day:
            if self._day:
                self._output.line(day, "dim")
            self._day = day
        name = cut(function, self._name_width)
        padded = name + " " * (self._name_width - width(name))
        parts = (
            paint(clock_time(at), "dim"),
            paint(padded, "bold"),
            paint(short_id(execution_id), "cyan"),
            paint(word.ljust(9), style),
            rest,
        )
        self._output.line("  ".join(parts).rstrip())

    def _printed(self, event: events.Output) -> None:
        paint = self._output.style
        style = {"stdout": "", "stderr": "yellow", "system": "dim"}[event.stream]
        head = paint(f"{' ' * 12}  {short_id(event.id)} |", "dim")
        self._output.line(f"{head} {paint(event.message, style)}")

    def _failure(self, event: events.ExecutionChanged, failure: Failure) -> None:
        """The user's frames, the first time; after that, and while it is busy, one line says enough."""
        key = (event.function, failure.name, failure.stack)
        head = f"{failure.name}: {failure.message}" if failure.message else failure.name
        if key in self._failures:
            if not self._rate.busy:
                self._output.line(f"{' ' * 14}{one_line(head)} (as before)", "red")
            return
        self._failures.append(key)
        for line in failure_lines(failure, self._root):
            self._output.line(f"{' ' * 14}{line}", "dim")
        self._output.line(f"{' ' * 14}{one_line(head)}", "red")
        self._output.line(f"{' ' * 14}defer show {short_id(event.id)}", "dim")

    def _missed(self, event: events.CronMissed) -> None:
        times = "once" if event.count == 1 else f"{event.count} times"
        self._output.line(
            f"{event.function} was due {times} while nothing ran, first at {moment(moment_of(event.first))}; "
            "missed crons are not replayed",
            "yellow",
        )

    def _trouble(self, event: events.Trouble) -> None:
        self._output.error("trouble", event.message, event.hint)

    def _summary(self, counts: Mapping[tuple[str, State], int], hidden: int) -> None:
        """One line for each function, in place of hundreds."""
        functions = dict.fromkeys(function for function, _ in counts)
        for function in functions:
            states = "  ".join(
                f"{self._output.style(state.value, STATE_STYLES[state])} {counts[function, state]}"
                for state in State
                if counts.get((function, state))
            )
            name = cut(function, self._name_width)
            self._output.line(f"{' ' * 14}{name.ljust(self._name_width)}  {states}")
        if hidden:
            self._output.line(f"{' ' * 14}{hidden} printed lines; see defer logs ID", "dim")
        self._output.flush()


class _Rate:
    """Notices when there is too much to show, counts then, and tells the counts once a second."""

    def __init__(
        self,
        later: Later,
        now: Callable[[], float],
        tell: Callable[[Mapping[tuple[str, State], int], int], None],
    ) -> None:
        self._later = later
        self._now = now
        self._tell = tell
        self._starts: deque[float] = deque(maxlen=BUSY + 1)
        self._counts: Counter[tuple[str, State]] = Counter()
        self._lines = 0  # of output in the present second
        self.busy = False

    def count(self, event: events.ExecutionChanged) -> bool:
        """Whether the event is to be shown; else it is counted."""
        if event.reason == "start":
            self._starts.append(self._now())
        if not self.busy and self._too_many():
            self.busy = True
            self._later(1.0, self._tick)
        if self.busy and event.reason != "new":
            self._counts[event.function, event.state] += 1
        return not self.busy

    def allows_output(self) -> bool:
        if not self.busy:
            return True
        self._lines += 1
        return self._lines <= LINES_WHEN_BUSY

    def _too_many(self) -> bool:
        return len(self._starts) > BUSY and self._now() - self._starts[0] < 1.0

    def _tick(self) -> None:
        self.flush()
        self.busy = self._too_many()
        if self.busy:
            self._later(1.0, self._tick)

    def flush(self) -> None:
        counts, hidden = Counter(self._counts), max(0, self._lines - LINES_WHEN_BUSY)
        self._counts.clear()
        self._lines = 0
        if counts or hidden:
            self._tell(counts, hidden)


class JsonDevView:
    """The same as JSON lines, one for each event: `{"event": "execution", ...}`. Nothing is left out."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def started(self, info: DevInfo) -> None:
        self._write(
            "started",
            url=info.url,
            pid=info.pid,
            project=str(info.root),
            version=info.version,
            functions=[function.spec.name for function in info.functions],
            notes=list(info.notes),
        )
        self.diagnostics(info.diagnostics)

    def diagnostics(self, found: Sequence[Diagnostic]) -> None:
        for diagnostic in found:
            self._write("finding", **diagnostic_to_json(diagnostic))

    def stopping(self, running: int) -> None:
        self._write("stopping", running=running)

    def stopped(self) -> None:
        self._write("stopped")

    def event(self, event: Event) -> None:
        if isinstance(event, events.ExecutionChanged):
            failure = None if event.failure is None else failure_to_json(event.failure)
            self._write("execution", **_plain(event, failure=failure, state=event.state.value))
        else:
            self._write(EVENT_NAMES[type(event)], **_plain(event))

    def _write(self, event: str, **fields: Any) -> None:
        self._output.out.write(to_json({"event": event, **fields}) + "\n")
        self._output.flush()


EVENT_NAMES: dict[type, str] = {
    events.Output: "output",
    events.CronMissed: "cron_missed",
    events.ClockMoved: "clock",
    events.Reloaded: "reloaded",
    events.Trouble: "trouble",
}


def _plain(event: Event, **changes: Any) -> dict[str, Any]:
    """An event's fields, with times (µs) as text."""
    fields = {**asdict(event), **changes}
    for name in ("at", "due", "first", "target"):
        if fields.get(name) is not None:
            fields[name] = iso_time(fields[name])
    if "offset" in fields:
        fields["offset"] /= 1_000_000  # seconds, as everywhere in JSON
    return fields
