"""What `defer dev` shows of events."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from defer_cli.dev_json import JsonDevView
from defer_cli.dev_output import DevView, Level
from defer_cli.dev_rate import BUSY, LINES
from defer_cli.output import Output
from defer_client.models import ErrorCode, Failure, State
from defer_client.retry import RetryPolicy
from defer_emulator.dev import DevInfo
from defer_emulator.domain.functions import FunctionSpec, RegisteredFunction
from defer_emulator.notify.events import ClockMoved, CronMissed, ExecutionChanged, Reloaded, Trouble
from defer_emulator.notify.events import Output as Printed

AT = 1_769_846_401_123_000  # 2026-01-31 08:00:01.123 UTC
ID = "0191d1a0-0000-7000-8000-0000deadbeef"
SEND = RegisteredFunction(
    id="f",
    spec=FunctionSpec(
        name="send_mail",
        module="defer.send_mail",
        file="defer/send_mail.py",
        line=5,
        kind="background",
        concurrency=2,
        retry=RetryPolicy(max_attempts=3),
    ),
    status="ready",
    problem=None,
    paused=False,
    cron_after=None,
)
BOOM = Failure(
    name="ValueError",
    message="boom",
    stack='Traceback:\n  File "/app/defer/send_mail.py", line 7, in send_mail\n    raise ValueError("boom")\n'
    '  File "/app/.venv/lib/x.py", line 1, in x\n    y\nValueError: boom\n',
    code=ErrorCode.USER,
)


class _Stream(io.StringIO):
    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


class Screen:
    """A view with its clock and its text."""

    def __init__(self, level: Level = Level.NORMAL, **environment: str) -> None:
        self.stream = _Stream(bool(environment))
        self.time = 0.0
        self.timers: list[Callable[[], None]] = []
        output = Output(self.stream, self.stream, environment)
        self.view = DevView(output, lambda _seconds, call: self.timers.append(call), lambda: self.time, level)
        self.view.started(
            DevInfo(root=Path("/app"), url="http://127.0.0.1:3337", pid=1, version="0.1.0", functions=[SEND])
        )

    def new_lines(self) -> list[str]:
        text = self.stream.getvalue()
        self.stream.seek(0)
        self.stream.truncate()
        return text.splitlines()

    def second_passes(self) -> None:
        self.time += 1.0
        timers, self.timers = self.timers, []
        for timer in timers:
            timer()


@pytest.fixture
def screen() -> Screen:
    return Screen()


def change(state: State, reason: Any, **fields: Any) -> ExecutionChanged:
    return ExecutionChanged(
        **{"at": AT, "id": ID, "function": "send_mail", "attempt": 1, **fields}, state=state, reason=reason
    )


def test_the_banner_lists_what_was_found(screen: Screen) -> None:
    assert screen.new_lines() == [
        "defer 0.1.0  http://127.0.0.1:3337",
        "  project  /app",
        "",
        "FUNCTION   KIND        LIMITS                FILE",
        "send_mail  background  2 at once, 3 retries  defer/send_mail.py:5",
        "",
        "ready; Ctrl-C stops it",
    ]


def test_each_event_is_one_calm_line(screen: Screen) -> None:
    screen.new_lines()
    screen.view.event(change(State.CREATED, "new", due=AT))
    screen.view.event(change(State.STARTED, "start"))
    screen.view.event(Printed(id=ID, function="send_mail", stream="stdout", message="hello"))
    screen.view.event(change(State.SUCCEED, "end", duration=1.2))
    assert screen.new_lines() == [
        "08:00:01.123  send_mail     deadbeef  started",
        "              deadbeef | hello",
        "08:00:01.123  send_mail     deadbeef  succeed    1.2s",
    ]


def test_a_delayed_call_and_a_retry_say_when(screen: Screen) -> None:
    screen.new_lines()
    screen.view.event(change(State.CREATED, "new", due=AT + 7_200_000_000))
    screen.view.event(change(State.CREATED, "retry", duration=0.02, due=AT + 30_000_000))
    created, retry = screen.new_lines()
    assert created.endswith("created    due in 2h")
    assert retry.endswith("failed     20ms  again in 30s")


def test_a_failure_shows_the_users_frames_and_only_once(screen: Screen) -> None:
    screen.new_lines()
    for _ in range(2):
        screen.view.event(change(State.FAILED, "end", duration=0.1, failure=BOOM))
    assert [line.strip() for line in screen.new_lines()[1:]] == [
        'defer/send_mail.py:7 in send_mail  raise ValueError("boom")',
        "ValueError: boom",
        "defer show deadbeef",
        "08:00:01.123  send_mail     deadbeef  failed     100ms  ValueError: boom, as before",
    ]


def test_many_executions_are_summed_up_and_calm_returns(screen: Screen) -> None:
    screen.new_lines()
    for number in range(1_000):
        screen.time = number / 1_000
        screen.view.event(change(State.STARTED, "start"))
        screen.view.event(Printed(id=ID, function="send_mail", stream="stdout", message="hello"))
        screen.view.event(change(State.SUCCEED, "end", duration=0.001))
    assert len(screen.new_lines()) < 4 * BUSY
    screen.second_passes()
    summary = screen.new_lines()
    assert len(summary) == 1
    assert "succeed 950" in summary[0]
    assert "950 printed lines" in summary[0]
    screen.second_passes()
    screen.view.event(change(State.STARTED, "start"))
    assert screen.new_lines()[-1].endswith("deadbeef  started")


def test_many_that_are_enqueued_for_later_are_summed_up_too(screen: Screen) -> None:
    screen.new_lines()
    for number in range(1_000):
        screen.time = number / 1_000
        screen.view.event(change(State.CREATED, "new", due=AT + 60_000_000, attempt=0))
    assert len(screen.new_lines()) == BUSY
    screen.second_passes()
    (summary,) = screen.new_lines()
    assert "created 950" in summary


def test_reloads_missed_crons_and_trouble_are_told(screen: Screen) -> None:
    screen.new_lines()
    screen.view.event(
        Reloaded(
            generation=2,
            changed=("defer/send_mail.py",),
            added=("welcome",),
            removed=(),
            updated=(),
            broken=("bad",),
            seconds=0.024,
        )
    )
    screen.view.event(CronMissed(function="weekly", first=AT, count=3))
    screen.view.event(Trouble(message="the disk is full", hint="make room"))
    assert screen.new_lines() == [
        "reloaded in 24ms: defer/send_mail.py; added welcome; broken bad",
        "weekly was due 3 times while nothing ran, first at 2026-01-31 08:00:01 UTC; "
        "missed crons are not replayed",
        "error: the disk is full",
        "hint: make room",
    ]


def test_the_end_counts_what_still_runs(screen: Screen) -> None:
    screen.new_lines()
    screen.view.stopping(2)
    screen.view.stopping(0)
    screen.view.stopped()
    assert screen.new_lines() == [
        "stopping: waiting for 2 executions; Ctrl-C again ends them now",
        "stopping",
        "stopped",
    ]


def test_json_lines_leave_nothing_out() -> None:
    stream = io.StringIO()
    output = Output(stream, stream, {})
    output.format = "jsonl"
    view = JsonDevView(output)
    view.event(change(State.FAILED, "end", duration=0.5, failure=BOOM))
    view.event(Printed(id=ID, function="send_mail", stream="stderr", message="x"))
    failed, printed = map(json.loads, stream.getvalue().splitlines())
    assert failed["event"] == "execution"
    assert failed["state"] == "failed"
    assert failed["at"] == "2026-01-31T08:00:01.123000Z"
    assert failed["failure"]["message"] == "boom"
    assert printed == {
        "event": "output",
        "id": ID,
        "function": "send_mail",
        "stream": "stderr",
        "message": "x",
    }


def test_a_moved_clock_is_a_line_and_a_new_day_another() -> None:
    screen = Screen()
    day = 86_400_000_000
    screen.view.event(ClockMoved(at=AT, mode="running", offset=0, target=AT + day))
    for at in (AT, AT + day):
        screen.view.event(
            ExecutionChanged(
                at=at, id=ID, function="send_mail", state=State.STARTED, attempt=1, reason="start"
            )
        )
    screen.view.event(ClockMoved(at=AT + day, mode="running", offset=day - 300_000))
    lines = screen.stream.getvalue().splitlines()[-5:]
    assert lines[0] == "clock: advancing to 2026-02-01 08:00:01 UTC"
    assert lines[2] == "Sun 2026-02-01"
    assert lines[4] == "clock: 2026-02-01 08:00:01 UTC, running, 1d ahead of real time"


def test_a_moved_clock_is_an_event_for_programs() -> None:
    stream = io.StringIO()
    JsonDevView(Output(stream, stream, {})).event(ClockMoved(at=AT, mode="frozen", offset=1_500_000))
    assert json.loads(stream.getvalue()) == {
        "event": "clock",
        "at": "2026-01-31T08:00:01.123000Z",
        "mode": "frozen",
        "offset": 1.5,
        "target": None,
    }


def fails(screen: Screen, number: int, **fields: Any) -> None:
    """Each failure has its own message."""
    failure = replace(BOOM, message=f"user {number}", stack=BOOM.stack.replace("boom", f"user {number}"))
    screen.view.event(change(State.FAILED, "end", duration=0.1, failure=failure, **fields))


def test_failures_at_the_same_lines_are_one_whatever_they_say(screen: Screen) -> None:
    screen.new_lines()
    fails(screen, 1)
    fails(screen, 2)
    assert screen.new_lines()[-1].endswith("failed     100ms  ValueError: user 2, as before")
    assert screen.view.last_failed == ID


def test_retries_are_one_line_each_and_the_failure_is_shown_once(screen: Screen) -> None:
    screen.new_lines()
    for attempt in (1, 2, 3):
        screen.view.event(
            change(State.CREATED, "retry", duration=0.02, due=AT + 30_000_000, failure=BOOM, attempt=attempt)
        )
    lines = screen.new_lines()
    assert [line for line in lines if "again in 30s" in line] == [lines[0], *lines[4:]]
    assert len(lines) == 6
    assert screen.view.last_failed is None, "it has not failed yet"


def test_many_different_failures_are_shown_a_few_a_second(screen: Screen) -> None:
    screen.new_lines()
    for number in range(1_000):
        screen.time = number / 1_000
        screen.view.event(change(State.STARTED, "start", function=f"function_{number}"))
        fails(screen, number, function=f"function_{number}")
    assert len(screen.new_lines()) < 6 * BUSY
    screen.second_passes()
    summary = screen.new_lines()
    assert len(summary) == 6
    assert "other functions" in summary[-1]


def test_one_that_prints_a_lot_is_cut_and_counted(screen: Screen) -> None:
    screen.new_lines()
    for number in range(10_000):
        screen.view.event(Printed(id=ID, function="send_mail", stream="stdout", message=f"line {number}"))
    assert len(screen.new_lines()) == LINES
    screen.second_passes()
    assert screen.new_lines() == [f"              {10_000 - LINES:,} printed lines: see defer logs ID"]
    screen.view.event(Printed(id=ID, function="send_mail", stream="stdout", message="calm again"))
    assert "calm again" in screen.new_lines()[0]


def test_quiet_shows_where_it_listens_and_what_fails() -> None:
    screen = Screen(Level.QUIET)
    assert screen.new_lines() == ["defer 0.1.0  http://127.0.0.1:3337"]
    screen.view.event(change(State.STARTED, "start"))
    screen.view.event(Printed(id=ID, function="send_mail", stream="stdout", message="hello"))
    screen.view.event(change(State.SUCCEED, "end", duration=0.1))
    screen.view.event(change(State.CREATED, "retry", due=AT, failure=BOOM))
    screen.view.event(Trouble(message="the disk is full", hint="make room"))
    screen.view.event(change(State.FAILED, "end", duration=0.1, failure=BOOM))
    screen.view.stopping(0)
    screen.view.stopped()
    lines = screen.new_lines()
    assert lines[0] == "error: the disk is full"
    assert lines[2] == "08:00:01.123  send_mail     deadbeef  failed     100ms"
    assert len(lines) == 6


def test_quiet_sums_up_failures_only() -> None:
    screen = Screen(Level.QUIET)
    screen.new_lines()
    for number in range(500):
        screen.time = number / 1_000
        screen.view.event(change(State.STARTED, "start"))
        fails(screen, number)
    screen.new_lines()
    screen.second_passes()
    (summary,) = screen.new_lines()
    assert "failed" in summary
    assert "started" not in summary


def test_verbose_shows_creations_attempts_and_whole_tracebacks() -> None:
    screen = Screen(Level.VERBOSE)
    screen.new_lines()
    screen.view.event(change(State.CREATED, "new", due=AT, attempt=0))
    for _ in range(2):
        screen.view.event(change(State.FAILED, "end", duration=0.1, failure=BOOM))
    text = "\n".join(screen.new_lines())
    assert "created" in text
    assert text.count(".venv/lib/x.py") == 2
    assert "attempt 1" in text


def test_a_frame_is_a_link_where_the_terminal_opens_one() -> None:
    screen = Screen(TERM="xterm-kitty", NO_COLOR="1")
    screen.view.event(change(State.FAILED, "end", failure=BOOM))
    assert "/app/defer/send_mail.py#7\x1b\\defer/send_mail.py:7\x1b]8;;" in screen.stream.getvalue()
