"""What an emulator says while it runs: its events, to follow, and what it told last."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from defer_emulator.notify.events import Event, FindingsChanged, LiveEvent, Reloaded, Trouble

if TYPE_CHECKING:
    from defer_emulator.notify.stream import EventStream
    from defer_emulator.project.diagnostics import Diagnostic

STREAM_SIZE = 1_000  # events that a slow reader may be behind
TROUBLES_KEPT = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """An event, and when it came, in real time."""

    at: datetime
    event: Reloaded | Trouble


class Live:
    """Listens to an emulator and remembers what no file holds. `version` grows with what is remembered."""

    def __init__(self) -> None:
        self.version = 0
        self.reload: Told | None = None  # the latest
        self.troubles: deque[Told] = deque(maxlen=TROUBLES_KEPT)  # oldest first
        self.findings: Sequence[Diagnostic] | None = None  # of `defer check`; None: it has not ended yet
        self._streams: set[EventStream] = set()

    # --- who tells ----------------------------------------------------------------------------

    def event(self, event: Event) -> None:
        """A subscriber of the bus."""
        if isinstance(event, Reloaded | Trouble):
            told = Told(at=datetime.now(timezone.utc), event=event)
            if isinstance(event, Reloaded):
                self.reload = told
            else:
                self.troubles.append(told)
            self.version += 1
        self._publish(event)

    def diagnostics(self, found: Sequence[Diagnostic]) -> None:
        """What `defer check` finds now."""
        self.findings = tuple(found)
        self.version += 1
        self._publish(FindingsChanged())

    def touch(self) -> None:
        """Something else has changed that pages show and no file holds."""
        self.version += 1

    def _publish(self, event: LiveEvent) -> None:
        for stream in tuple(self._streams):
            stream.put(event)

    # --- who listens --------------------------------------------------------------------------

    def stream(self, size: int = STREAM_SIZE) -> EventStream:
        """What is told from now on, for one reader in the event loop's thread."""
        from defer_emulator.notify.stream import EventStream  # asyncio, which no command pays for

        return EventStream(self._streams, size)

    def close(self) -> None:
        """End all streams, so that a server can stop."""
        for stream in tuple(self._streams):
            stream.close()
