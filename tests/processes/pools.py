"""A real pool over a small project, and a listener that remembers what it was told."""

from __future__ import annotations

import asyncio
import json
import sys
import textwrap
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from defer_emulator.domain.jobs import Job, JobEnd
from defer_emulator.domain.work import LogChunk
from defer_emulator.runner.loading import LoadRequest, LoadResult, ModuleFile, PoolOptions
from defer_emulator.runner.pace import Pace
from defer_emulator.runner.pool import ProcessPool

PATIENCE = 15.0  # seconds


class Recorder:
    """Implements `PoolListener`; answers requests by a function, at once."""

    def __init__(self) -> None:
        self.chunks: list[LogChunk] = []
        self.ends: dict[int, JobEnd] = {}
        self.ended_at: dict[int, float] = {}
        self.requests: list[tuple[int, int, str, dict[str, Any]]] = []
        self.cancelled: list[tuple[int, int]] = []
        self.troubles: list[str] = []
        self.respond: Callable[[int, int, str, dict[str, Any]], None] = lambda *_: None

    def on_output(self, chunks: Sequence[LogChunk]) -> None:
        self.chunks += chunks

    def on_request(self, sequence: int, request: int, method: str, params: dict[str, Any]) -> None:
        self.requests.append((sequence, request, method, params))
        self.respond(sequence, request, method, params)

    def on_request_cancelled(self, sequence: int, request: int) -> None:
        self.cancelled.append((sequence, request))

    def on_end(self, end: JobEnd) -> None:
        assert end.sequence not in self.ends, "an attempt ends once"
        self.ends[end.sequence] = end
        self.ended_at[end.sequence] = time.monotonic()

    def on_capacity(self) -> None:
        pass

    def lines(self, sequence: int, stream: str = "stdout") -> list[str]:
        return [c.message for c in self.chunks if c.sequence == sequence and c.stream == stream]


class PoolUnderTest:
    """A pool, its recorder and the project's folder."""

    def __init__(self, root: Path, pool: ProcessPool, recorder: Recorder) -> None:
        self.root = root
        self.pool = pool
        self.recorder = recorder
        self._sequence = 0

    def write(self, **functions: str) -> None:
        write_functions(self.root, functions)

    async def load(self, *names: str, **options: Any) -> LoadResult:
        return await self.pool.load(load_request(self.root, names, **options))

    async def start(self, function: str, *args: Any, max_duration: float = 60.0, **kwargs: Any) -> int:
        """Run a function on the next idle worker; the attempt's sequence."""
        await self.until(lambda: self.pool.room > 0, "an idle worker", wanting=1)
        self._sequence += 1
        self.pool.start(
            Job(
                sequence=self._sequence,
                execution_id=str(uuid.uuid4()),
                attempt=1,
                function=function,
                module=f"defer.{function}",
                arguments=json.dumps({"positional": args, "keyword": kwargs}),
                max_duration=max_duration,
            )
        )
        return self._sequence

    async def run(self, function: str, *args: Any, **options: Any) -> JobEnd:
        return await self.end_of(await self.start(function, *args, **options))

    async def end_of(self, sequence: int) -> JobEnd:
        await self.until(lambda: sequence in self.recorder.ends, f"the end of {sequence}")
        return self.recorder.ends[sequence]

    async def printed(self, sequence: int, count: int = 1) -> list[str]:
        await self.until(lambda: len(self.recorder.lines(sequence)) >= count, "its output")
        return self.recorder.lines(sequence)

    async def until(self, condition: Callable[[], object], what: str, wanting: int = 0) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if wanting:
                self.pool.want(wanting)
            assert time.monotonic() < deadline, f"not within {PATIENCE} s: {what} {self.recorder.troubles}"
            await asyncio.sleep(0.002)


def write_functions(root: Path, functions: dict[str, str]) -> None:
    """One file for each function; it gets `@defer` where its source does not mention it."""
    folder = root / "defer"
    folder.mkdir(exist_ok=True)
    (folder / "__init__.py").touch()
    for name, source in functions.items():
        body = textwrap.dedent(source).strip()
        if "defer_client" not in body:
            body = f"from defer_client import defer\n{body}\n{name} = defer({name})"
        (folder / f"{name}.py").write_text(body + "\n")


def load_request(root: Path, names: Sequence[str] = (), **options: Any) -> LoadRequest:
    found = names or sorted(path.stem for path in (root / "defer").glob("[!_]*.py"))
    modules = [ModuleFile(module=f"defer.{name}", file=f"defer/{name}.py", function=name) for name in found]
    return LoadRequest(modules=modules, import_paths=[str(root)], **options)


worker_start = "fork"
"""How workers are started where a test does not say it."""


def pool_options(root: Path, **options: Any) -> PoolOptions:
    given: dict[str, Any] = {
        "root": root,
        "python": sys.executable,
        "project": str(root),
        "emulator_id": uuid.uuid4().hex,
        "worker_start": worker_start,
    }
    return PoolOptions(**{**given, **options})


@asynccontextmanager
async def running_pool(root: Path, pace: Pace | None = None, **options: Any) -> AsyncIterator[PoolUnderTest]:
    recorder = Recorder()
    pool = ProcessPool(
        recorder,
        pool_options(root, **options),
        now=lambda: time.time_ns() // 1000,
        on_trouble=recorder.troubles.append,
        pace=pace,
    )
    await pool.open()
    try:
        yield PoolUnderTest(root, pool, recorder)
    finally:
        await pool.close()
