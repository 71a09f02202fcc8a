"""The values that a store and its scheduler exchange.

Times are integers: microseconds since the epoch, on the emulated clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from defer_client.models import Failure, State
from defer_client.options import MaxConcurrencyAction
from defer_emulator.domain.faults import Faults


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How many executions of a function may run, and what happens to those beyond."""

    concurrency: int | None
    action: MaxConcurrencyAction


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """An execution that has just been claimed, or that an earlier emulator left running."""

    sequence: int  # its place in the order of creation; the key inside the file
    id: str
    function: str
    attempt: int  # counted from 1
    state: State  # started or aborting
    arguments: str  # JSON: {"positional": [...], "keyword": {...}}
    executed_by: str | None
    awaited: bool  # its parent waits for it
    faults: Faults | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A row that was written since the last look."""

    sequence: int
    id: str
    function: str
    state: State
    attempt: int
    scheduled_at: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """The answer of `Transaction.claim`."""

    started: Sequence[Running]
    cancelled: Sequence[Change]  # due, beyond a limit whose action is "cancel"
    backlog: int  # runnable and due, but not started for want of places; may be a lower bound
    next_due: int | None  # when the next execution of a runnable function becomes due


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """The end of one attempt. On a row that is `aborting` every completion means `aborted`."""

    sequence: int
    attempt: int
    state: State  # succeed, failed, aborted, or created: tried again at `due`
    result: str | None = None  # JSON text
    failure: Failure | None = None
    due: int | None = None
    consumed: bool = True  # False: a clean stop; the attempt does not count, and the due time stays
    finished_at: int | None = None  # None: the transaction's now


@dataclass(frozen=True, kw_only=True, slots=True)
class LogChunk:
    """Lines that an attempt printed."""

    sequence: int
    attempt: int
    time: int
    stream: Literal["stdout", "stderr", "system"]
    message: str  # one line, without its end
