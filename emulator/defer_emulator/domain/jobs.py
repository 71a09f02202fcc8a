"""The values that a scheduler and its pool of workers exchange, and what the pool tells."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from defer_client.models import Failure
from defer_emulator.domain.faults import Faults
from defer_emulator.domain.work import LogChunk


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One attempt to run."""

    sequence: int
    execution_id: str
    attempt: int
    function: str
    module: str
    arguments: str  # JSON, as in `Running`
    max_duration: float  # seconds of real time
    faults: Faults | None = None
    debug_port: int = 0  # it waits there for a debugger, and nothing ends it for taking long; 0: it does not


End = Literal["returned", "raised", "died", "timed_out", "out_of_memory", "killed"]
"""How an attempt ended: its function returned or raised, its process died by itself, the pool
ended it for its deadline or its memory, or the scheduler asked for its end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobEnd:
    """What the pool says of an attempt that is over. Its process runs nothing of it any more."""

    sequence: int
    attempt: int
    end: End
    result: str | None = None  # JSON text, when it returned
    failure: Failure | None = None  # else


class Pool(Protocol):
    """The worker processes. All methods return at once."""

    @property
    def generation(self) -> int:
        """Number of the code that idle workers run."""

    @property
    def room(self) -> int:
        """How many jobs can be started now. 0 while new code is loading."""

    @property
    def is_flooded(self) -> bool:
        """Whether many short jobs follow each other, so that they are best claimed and settled together."""

    @property
    def unbegun(self) -> Collection[int]:
        """After its end: the sequences of the jobs that were started and never begun."""

    def want(self, backlog: int) -> None:
        """So many jobs wait for a worker: start some, as many as seems useful."""

    def start(self, job: Job) -> None:
        """Run it as soon as a worker takes it."""

    def answer(self, sequence: int, request: int, result: Any = None, error: Any = None) -> None:
        """Reply to a request: a JSON value, or an error as `wire.error_to_json` makes it."""

    def kill(self, sequence: int) -> None:
        """End the attempt and every process it started; `on_end` follows within 2 s with end "killed"."""


class PoolListener(Protocol):
    """What the pool tells, always from the event loop's thread."""

    def on_output(self, chunks: Sequence[LogChunk]) -> None: ...

    def on_request(self, sequence: int, request: int, method: str, params: dict[str, Any]) -> None:
        """The attempt asks for something of its backend; `Pool.answer` replies with the same number."""

    def on_request_cancelled(self, sequence: int, request: int) -> None:
        """The attempt does not wait for that answer any more."""

    def on_end(self, end: JobEnd) -> None: ...

    def on_capacity(self) -> None:
        """There is room for a job."""
