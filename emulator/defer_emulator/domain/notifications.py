"""What is told of failures: values that a message is made of.

Times are integers: microseconds since the epoch; on the emulated clock unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from defer_client.models import Failure, Json
from defer_emulator.domain.fingerprints import innermost_frame

Kind = Literal["failed", "handled", "missed"]
"""A root failed, after its last retry; something failed, but its root did not; a cron missed minutes."""

MessageState = Literal["open", "kept", "pending", "sent", "failed"]
"""It still gathers what is alike; it was not meant to be sent; it will be; it was; it was given up."""

KINDS: tuple[Kind, ...] = ("failed", "handled", "missed")
NAMED = 10  # executions, descendants or crons that a message names; more are counted
_SHOWN = 1_000  # characters of an error's message


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """The error of an execution, as far as it is told."""

    name: str
    message: str
    code: str
    place: str | None  # in the project's own code

    @classmethod
    def of(cls, failure: Failure, root: str) -> Fault:
        frame = innermost_frame(failure.stack, root)
        return cls(
            name=failure.name,
            message=failure.message[:_SHOWN],
            code=failure.code.value,
            place=None if frame is None else str(frame),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Descendant:
    """A failed execution that another one started."""

    id: str
    function: str
    fault: Fault


@dataclass(frozen=True, kw_only=True, slots=True)
class Incident:
    """One thing to tell: how the root of a tree ended in which something failed."""

    kind: Kind
    topic: str  # the same for what is alike
    function: str  # of the root, or the cron
    at: int  # when it ended, or was noticed
    id: str | None = None  # of the root
    state: str | None = None  # of the root
    attempt: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)
    fault: Fault | None = None  # of the root, if it failed
    descendants: Sequence[Descendant] = ()  # some of those that failed, oldest first
    descendants_count: int = 0
    first_missed: int | None = None  # a cron's minute
    missed_count: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """What a message tells: one incident, and how many are like it."""

    incident: Incident  # the first
    count: int = 1
    last_at: int
    executions: Sequence[str] = ()  # ids of some of the roots, oldest first
    crons: Sequence[tuple[str, int, int]] = ()  # name, first minute and number of minutes of some of them


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """A row of the outbox. The times of its sending are real ones."""

    id: int
    kind: Kind
    topic: str
    state: MessageState
    created_at: int
    opened_at: int
    joined_at: int
    closed_at: int | None
    next_try: int | None
    sent_at: int | None
    tries: int
    problem: str | None  # why the latest try failed
    content: Content
    body: str | None  # JSON: what is sent; None while it gathers


def content_to_json(content: Content) -> Json:
    return asdict(content)


def content_from_json(data: Any) -> Content:
    incident = data["incident"]
    return Content(
        incident=Incident(
            **{
                **incident,
                "fault": None if incident["fault"] is None else Fault(**incident["fault"]),
                "descendants": [
                    Descendant(**{**one, "fault": Fault(**one["fault"])}) for one in incident["descendants"]
                ],
            }
        ),
        count=data["count"],
        last_at=data["last_at"],
        executions=data["executions"],
        crons=[(name, first, count) for name, first, count in data["crons"]],
    )
