"""Between a scheduler and its pool: makes go wrong what a person asked to go wrong with an execution.

All others pass untouched. A worker knows two of the faults, which are in its job: to wait, and to raise. The
other two are the pool's business, and happen here: a process is killed, and a job that has succeeded is
delivered a second time, as a queue does that has lost the news of its end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from defer_client.models import ErrorCode, Failure
from defer_emulator.domain.faults import LABEL, Delivery, Faults, difference
from defer_emulator.domain.jobs import Job, JobEnd, Pool, PoolListener
from defer_emulator.domain.texts import duration
from defer_emulator.domain.work import LogChunk


@dataclass(slots=True)
class _Faulty:
    """A job with faults, from its start to what the scheduler hears of its end."""

    job: Job
    faults: Faults
    deliveries: list[Delivery] = field(default_factory=lambda: [Delivery()])
    first_end: JobEnd | None = None  # of the first delivery, when there is a second
    kill: asyncio.TimerHandle | None = None
    is_killed: bool = False  # by its fault
    is_aborted: bool = False  # by the scheduler
    waits: set[int] = field(default_factory=set)  # requests that wait for an execution


class FaultInjector:
    """Implements the scheduler's `Pool` over another one, whose `PoolListener` it is.

    `now` is the emulated time, µs.
    """

    def __init__(
        self, listener: PoolListener, pool: Callable[[PoolListener], Pool], *, now: Callable[[], int]
    ) -> None:
        self._listener = listener
        self._pool = pool(self)
        self._now = now
        self._faulty: dict[int, _Faulty] = {}  # by sequence
        self._again: list[Job] = []  # that wait for a worker, to be delivered again

    # --- the pool ---------------------------------------------------------------------------

    @property
    def generation(self) -> int:
        return self._pool.generation

    @property
    def room(self) -> int:
        return max(0, self._pool.room - len(self._again))

    @property
    def is_flooded(self) -> bool:
        return self._pool.is_flooded

    @property
    def unbegun(self) -> Collection[int]:
        return self._pool.unbegun

    def want(self, backlog: int) -> None:
        self._pool.want(backlog + len(self._again))

    def start(self, job: Job) -> None:
        if job.faults is not None:
            self._begin(_Faulty(job, job.faults))
        self._pool.start(job)

    def answer(self, sequence: int, request: int, result: Any = None, error: Any = None) -> None:
        if sequence in self._faulty:
            self._faulty[sequence].waits.discard(request)
        self._pool.answer(sequence, request, result, error)

    def kill(self, sequence: int) -> None:
        faulty = self._faulty.get(sequence)
        if faulty is not None:
            faulty.is_aborted = True
            if faulty.job in self._again:  # no process to kill
                self._again.remove(faulty.job)
                end = JobEnd(sequence=sequence, attempt=faulty.job.attempt, end="killed")
                asyncio.get_running_loop().call_soon(self.on_end, end)
                return
        self._pool.kill(sequence)

    # --- its listener -----------------------------------------------------------------------

    def on_output(self, chunks: Sequence[LogChunk]) -> None:
        self._listener.on_output(chunks)

    def on_request(self, sequence: int, request: int, method: str, params: dict[str, Any]) -> None:
        faulty = self._faulty.get(sequence)
        if faulty is not None and method == "enqueue":
            faulty.deliveries[-1].calls.append(_call(params["call"]))
        elif faulty is not None and method == "wait":
            faulty.waits.add(request)
        self._listener.on_request(sequence, request, method, params)

    def on_request_cancelled(self, sequence: int, request: int) -> None:
        self._listener.on_request_cancelled(sequence, request)

    def on_end(self, end: JobEnd) -> None:
        faulty = self._faulty.get(end.sequence)
        if faulty is None:
            self._listener.on_end(end)
            return
        if faulty.kill is not None:
            faulty.kill.cancel()
        if faulty.is_killed and not faulty.is_aborted and end.end == "killed":
            end = replace(end, end="died", failure=_killed(faulty.faults))
        faulty.deliveries[-1].result, faulty.deliveries[-1].failure = end.result, end.failure
        if faulty.first_end is None and faulty.faults.deliver_twice and end.end == "returned":
            self._deliver_again(faulty, end)
            return
        del self._faulty[end.sequence]
        if faulty.first_end is not None and not faulty.is_aborted:
            self._say(faulty, *difference(*faulty.deliveries))
            end = faulty.first_end
        self._listener.on_end(end)

    def on_capacity(self) -> None:
        while self._again and self._pool.room:
            self._pool.start(self._again.pop(0))
        self._listener.on_capacity()

    # --- faults -----------------------------------------------------------------------------

    def _begin(self, faulty: _Faulty) -> None:
        job, faults = faulty.job, faulty.faults
        self._faulty[job.sequence] = faulty
        if faults.slow:
            self._say(faulty, f"{LABEL}: waits {duration(faults.slow)} before its code (--slow)")
        if faults.kill_at is not None and job.attempt == 1:
            loop = asyncio.get_running_loop()
            faulty.kill = loop.call_later(faults.kill_at, self._kill, faulty)

    def _kill(self, faulty: _Faulty) -> None:
        faulty.is_killed = True
        self._pool.kill(faulty.job.sequence)

    def _deliver_again(self, faulty: _Faulty, first: JobEnd) -> None:
        for request in faulty.waits:  # nobody reads their answers any more
            self._listener.on_request_cancelled(first.sequence, request)
        faulty.waits.clear()
        faulty.first_end = first
        faulty.deliveries.append(Delivery())
        self._say(faulty, f"{LABEL}: delivered a second time (--deliver-twice)")
        self._again.append(faulty.job)
        self._pool.want(len(self._again))  # its worker comes back in a moment, unless it has to be replaced

    def _say(self, faulty: _Faulty, *messages: str) -> None:
        job, now = faulty.job, self._now()
        self._listener.on_output(
            [
                LogChunk(
                    sequence=job.sequence, attempt=job.attempt, time=now, stream="system", message=message
                )
                for message in messages
            ]
        )


def _killed(faults: Faults) -> Failure:
    after = duration(faults.kill_at or 0.0)
    return Failure(
        name="ProcessDied",
        message=f"{LABEL}: its process was killed by SIGKILL {after} after its start (--kill-at)",
        stack="",
        code=ErrorCode.USER,
    )


def _call(call: dict[str, Any]) -> str:
    """`send_mail(7, user="ada")`."""
    positional = [json.dumps(value, ensure_ascii=False) for value in call["function_arguments"]]
    keyword = [
        f"{name}={json.dumps(value, ensure_ascii=False)}"
        for name, value in call["function_keyword_arguments"].items()
    ]
    return f"{call['function_name']}({', '.join(positional + keyword)})"
