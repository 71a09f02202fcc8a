"""The events of an emulator's life, and the bus that carries them to whoever shows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from defer_client.models import Failure, State

Reason = Literal["start", "end", "retry", "cancel", "discard", "limit", "release", "new"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExecutionChanged:
    """An execution has a new state. `duration` is that of the attempt, in seconds of real time."""

    at: int  # µs, emulated
    id: str
    function: str
    state: State
    attempt: int
    reason: Reason
    duration: float | None = None
    failure: Failure | None = None
    due: int | None = None  # µs, emulated: when it is (tried) next


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """A line that an execution printed."""

    id: str
    function: str
    stream: Literal["stdout", "stderr", "system"]
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CronMissed:
    """Minutes of a cron that passed while nobody could fire them. They are not replayed."""

    function: str
    first: int  # µs, emulated
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Reloaded:
    """New code is live."""

    generation: int
    changed: tuple[str, ...]  # files, relative to the root
    added: tuple[str, ...]  # functions
    removed: tuple[str, ...]
    updated: tuple[str, ...]
    broken: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ClockMoved:
    """The emulated clock was moved, frozen or released; or an advance begins, and another event ends it."""

    at: int  # µs: what it shows
    mode: Literal["running", "frozen"]
    offset: int  # µs: emulated minus real time
    target: int | None = None  # µs: where the advance that begins will end


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """Something of the emulator's own went wrong: a full disk, a zygote that died."""

    message: str
    hint: str = ""


Event = ExecutionChanged | Output | CronMissed | Reloaded | ClockMoved | Trouble


@dataclass(frozen=True, kw_only=True, slots=True)
class FindingsChanged:
    """`defer check` has looked at the project again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resync:
    """Events were dropped, because their reader was too slow: look at everything anew."""


LiveEvent = Event | FindingsChanged | Resync
"""What a reader of a stream gets."""


class Bus:
    """Hands each event to every subscriber, in the thread that publishes."""

    def __init__(self) -> None:
        self._subscribers: list[Callable[[Event], None]] = []

    def subscribe(self, subscriber: Callable[[Event], None]) -> Callable[[], None]:
        """Call `subscriber` with every event from now on; the returned function ends that."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def publish(self, event: Event) -> None:
        for subscriber in tuple(self._subscribers):
            subscriber(event)
