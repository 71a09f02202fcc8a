"""`defer dev` for programs: JSON lines, one for each event. docs/cli.md describes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from defer_cli.dev_text import iso_time
from defer_cli.output import Output, to_json
from defer_client.wire import failure_to_json
from defer_emulator.dev import DevInfo
from defer_emulator.notify import events
from defer_emulator.notify.events import Event
from defer_emulator.project.diagnostics import Diagnostic
from defer_emulator.project.diagnostics import to_json as diagnostic_to_json

EVENT_NAMES: dict[type, str] = {
    events.ExecutionChanged: "execution",
    events.Output: "output",
    events.CronMissed: "cron_missed",
    events.ClockMoved: "clock",
    events.Reloaded: "reloaded",
    events.Trouble: "trouble",
}


class JsonDevView:
    """Each event is an object: `{"event": "execution", ...}`. Nothing is left out."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def started(self, info: DevInfo) -> None:
        self._write(
            "started",
            url=info.url,
            pid=info.pid,
            project=str(info.root),
            version=info.version,
            python=info.python,
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
        changes: dict[str, Any] = {}
        if isinstance(event, events.ExecutionChanged):
            failure = None if event.failure is None else failure_to_json(event.failure)
            changes = {"failure": failure, "state": event.state.value}
        self._write(EVENT_NAMES[type(event)], **_plain(event, changes))

    def _write(self, event: str, **fields: Any) -> None:
        self._output.out.write(to_json({"event": event, **fields}) + "\n")
        self._output.flush()


def _plain(event: Event, changes: dict[str, Any]) -> dict[str, Any]:
    """An event's fields, with times (µs) as text."""
    fields = {**asdict(event), **changes}
    for name in ("at", "due", "first", "target"):
        if fields.get(name) is not None:
            fields[name] = iso_time(fields[name])
    if "offset" in fields:
        fields["offset"] /= 1_000_000  # seconds, as everywhere in JSON
    return fields
