"""Acts on many executions: they go on while the page that shows their progress is read, or is not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from defer_client.backend import Backend
from defer_client.errors import DeferError
from defer_emulator.operations.live import Live
from defer_emulator.web.console.acts import Act, When
from defer_emulator.web.errors import full_message

BATCH = 20  # executions, before others have their turn
TOLD = 20  # failures that are told one by one
KEPT = 50  # jobs


@dataclass(kw_only=True, slots=True)
class Job:
    """How far an act on many has come."""

    number: int
    act: Act
    ids: Sequence[str]  # oldest first
    when: When
    back: str  # the list that it was asked on
    done: int = 0
    failed: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)  # id and message of the first
    made: list[str] = field(default_factory=list)  # ids of the first executions that it made or changed
    is_stopped: bool = False
    is_over: bool = False

    @property
    def total(self) -> int:
        return len(self.ids)

    @property
    def tried(self) -> int:
        return self.done + self.failed


class Jobs:
    """Those of this emulator. They end with it."""

    def __init__(self, backend: Backend, live: Live) -> None:
        self._backend = backend
        self._live = live
        self._jobs: dict[int, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._last = 0

    def close(self) -> None:
        for job in self._jobs.values():
            job.is_stopped = True

    def get(self, number: int) -> Job | None:
        return self._jobs.get(number)

    def start(self, act: Act, ids: Sequence[str], when: When, back: str) -> Job:
        self._last += 1
        job = Job(number=self._last, act=act, ids=ids, when=when, back=back)
        self._jobs[job.number] = job
        over = [number for number, one in self._jobs.items() if one.is_over]
        for number in over[: max(0, len(self._jobs) - KEPT)]:
            del self._jobs[number]
        task = asyncio.create_task(self._run(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    async def _run(self, job: Job) -> None:
        try:
            for place, execution_id in enumerate(job.ids):
                if job.is_stopped:
                    break
                await self._perform(job, execution_id)
                if place % BATCH == BATCH - 1:
                    await asyncio.sleep(0)
        finally:
            job.is_over = True
            self._live.touch()

    async def _perform(self, job: Job, execution_id: str) -> None:
        """One that fails does not stop the others."""
        try:
            changed = await job.act.perform(self._backend, execution_id, job.when)
        except DeferError as error:
            job.failed += 1
            if len(job.failures) < TOLD:
                job.failures.append((execution_id, full_message(error)))
        else:
            job.done += 1
            if len(job.made) < TOLD:
                job.made.append(changed.id)
