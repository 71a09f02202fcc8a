"""The pool alone, with no-op functions and real processes: `python -m benchmarks.pool`."""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from defer_emulator.domain.jobs import Job, JobEnd
from defer_emulator.domain.work import LogChunk
from defer_emulator.runner.growth import CPUS
from defer_emulator.runner.loading import LoadRequest, ModuleFile, PoolOptions
from defer_emulator.runner.pool import ProcessPool

SOURCE = "from defer_client import defer\n@defer\nasync def noop(): pass\n"


class Flood:
    """Implements `PoolListener`: gives every worker its next job at once, until `left` are gone."""

    def __init__(self) -> None:
        self.pool: ProcessPool | None = None
        self.left = 0
        self.running = 0
        self.most = 0  # workers at the same time
        self.done = asyncio.Event()

    def fill(self) -> None:
        assert self.pool is not None
        while self.left and self.pool.room:
            self.left -= 1
            self.running += 1
            self.most = max(self.most, self.running)
            self.pool.start(
                Job(
                    sequence=self.left,
                    execution_id=str(uuid.UUID(int=self.left)),
                    attempt=1,
                    function="noop",
                    module="noop",
                    arguments='{"positional": [], "keyword": {}}',
                    max_duration=60.0,
                )
            )
        if self.left:
            self.pool.want(self.left)

    async def run(self, count: int) -> float:
        """Seconds for so many jobs."""
        self.left, self.done = count, asyncio.Event()
        begun = time.perf_counter()
        self.fill()
        await self.done.wait()
        return time.perf_counter() - begun

    def on_capacity(self) -> None:
        asyncio.get_running_loop().call_soon(self.fill)

    def on_end(self, end: JobEnd) -> None:
        assert end.end == "returned", end
        self.running -= 1
        if not self.left and not self.running:
            self.done.set()

    def on_output(self, chunks: Sequence[LogChunk]) -> None: ...

    def on_request(self, sequence: int, request: int, method: str, params: dict[str, Any]) -> None: ...

    def on_request_cancelled(self, sequence: int, request: int) -> None: ...


async def main(count: int = 5_000, rounds: int = 5) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "noop.py").write_text(SOURCE)
        options = PoolOptions(root=root, python=sys.executable, project=folder, emulator_id="benchmark")
        flood = Flood()
        flood.pool = ProcessPool(flood, options, now=lambda: time.time_ns() // 1_000)
        begun = time.perf_counter()
        await flood.pool.open()
        await flood.pool.load(
            LoadRequest(
                modules=[ModuleFile(module="noop", file="noop.py", function="noop")], import_paths=[folder]
            )
        )
        await flood.run(1)
        print(f"open, load and first job: {(time.perf_counter() - begun) * 1e3:.0f} ms")
        single = [await flood.run(1) * 1e6 for _ in range(300)]
        print(f"one job on a warm worker: {statistics.median(single):.0f} µs")
        before = time.process_time()
        rates = [count / await flood.run(count) for _ in range(rounds)]
        ours = (time.process_time() - before) / (count * rounds) * 1e6
        rate = statistics.median(rates)
        print(f"a flood of {count}: {rate:,.0f} jobs/s by {flood.most} workers on {CPUS} CPUs")
        print(f"  of which in the emulator: {ours:.0f} µs a job")
        begun = time.perf_counter()
        await flood.pool.close()
        print(f"close: {(time.perf_counter() - begun) * 1e3:.0f} ms")


if __name__ == "__main__":
    asyncio.run(main())
