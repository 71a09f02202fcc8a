"""Whether a worker of the project starts and runs functions, for `defer doctor`."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from defer_emulator.domain.jobs import Job, JobEnd
from defer_emulator.domain.work import LogChunk
from defer_emulator.interpreter import WorkersUnavailable
from defer_emulator.runner.loading import LoadRequest, LoadResult, PoolOptions
from defer_emulator.runner.pool import ProcessPool

_PATIENCE = 10.0  # seconds until a worker has started, and until it has answered


async def try_worker(options: PoolOptions, request: LoadRequest) -> LoadResult:
    """Load the project as `defer dev` does, start one worker, and let it do nothing.

    Raises `WorkersUnavailable`.
    """
    trial = _Trial()
    pool = ProcessPool(trial, replace(options, warm=1), now=lambda: 0, on_trouble=trial.on_trouble)
    await pool.open()
    try:
        result = await pool.load(request)
        pool.want(1)
        await _within(trial.is_ready)
        if trial.trouble or not pool.room:
            raise WorkersUnavailable(
                f"no worker starts: {trial.trouble or f'not within {_PATIENCE:g} s'}",
                hint='worker_start = "spawn" in the configuration starts each worker afresh',
            )
        pool.start(_job())
        await _within(trial.is_over)
        if trial.end is None or trial.end.end != "returned":
            raise WorkersUnavailable(
                f"a worker starts, but runs nothing: {_reason(trial)}",
                hint="look at setup and after_fork in the configuration",
            )
        return result
    finally:
        await pool.close()


def _job() -> Job:
    return Job(
        sequence=1,
        execution_id=str(uuid.uuid4()),
        attempt=1,
        function="probe",
        module="defer_emulator.workers.python.probe",
        arguments='{"positional": [], "keyword": {}}',
        max_duration=_PATIENCE,
    )


async def _within(event: asyncio.Event) -> None:
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(event.wait(), _PATIENCE)


def _reason(trial: _Trial) -> str:
    if trial.end is not None and trial.end.failure is not None:
        return f"{trial.end.failure.name}: {trial.end.failure.message}"
    return trial.trouble or "it does not answer"


@dataclass(kw_only=True, slots=True)
class _Trial:
    """Listens to the pool."""

    is_ready: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    trouble: str = ""
    end: JobEnd | None = None

    def on_capacity(self) -> None:
        self.is_ready.set()

    def on_trouble(self, message: str) -> None:
        self.trouble = self.trouble or message
        self.is_ready.set()
        self.is_over.set()

    def on_end(self, end: JobEnd) -> None:
        self.end = end
        self.is_over.set()

    def on_output(self, chunks: Sequence[LogChunk]) -> None: ...

    def on_request(self, sequence: int, request: int, method: str, params: dict[str, Any]) -> None: ...

    def on_request_cancelled(self, sequence: int, request: int) -> None: ...
