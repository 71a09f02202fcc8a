"""Runs the measurements and prints the median of each, beside its goal."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from benchmarks.project import DEFER, Emulator, project, use_project, write_function


def report(what: str, values: Sequence[float], unit: str, goal: str) -> None:
    median = statistics.median(values)
    print(f"{what:<46} {median:>10,.1f} {unit:<14} goal {goal}", flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def throughput(count: int = 5_000, rounds: int = 3) -> None:
    """From the first enqueue of one application until the last has ended."""
    from defer.noop import noop  # type: ignore[import-not-found]

    rates = []
    for _ in range(rounds):
        begun = time.perf_counter()
        for _ in range(count):
            await noop()
        await _until_idle()
        rates.append(count / (time.perf_counter() - begun))
    report(f"no-op executions, {count} in a row", rates, "executions/s", "5,000")


async def _until_idle() -> None:
    from defer_client import ExecutionFilters, Page, State, list_executions

    waiting = [State.CREATED, State.STARTED]
    while (await list_executions(Page(first=1), ExecutionFilters(states=waiting))).data:
        await asyncio.sleep(0.005)


async def latency(count: int = 300) -> None:
    """One at a time on a warm emulator."""
    from defer.started_at import started_at  # type: ignore[import-not-found]

    from defer_client import await_result

    to_code, to_result = [], []
    for _ in range(count):
        before = time.time_ns()
        begun = await await_result(started_at)()
        to_result.append((time.time_ns() - before) / 1e6)
        to_code.append((begun - before) / 1e6)
        await asyncio.sleep(0.002)
    report("enqueue → user code, p50", to_code, "ms", "1")
    report("enqueue → user code, p99", [percentile(to_code, 0.99)], "ms", "5")
    report("enqueue → result at the caller, p50", to_result, "ms", "3")


async def fan_out(width: int = 200, rounds: int = 7) -> None:
    from defer.fan_out import fan_out as spread  # type: ignore[import-not-found]

    from defer_client import await_result

    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        await await_result(spread)(width)
        times.append((time.perf_counter() - begun) * 1e3)
    report(f"fan-out of {width} children with results", times, "ms", "150")


async def reload(root: Path, rounds: int = 7) -> None:
    """From a save to the first execution that runs the new code."""
    from defer.version import version  # type: ignore[import-not-found]

    from defer_client import await_result

    times = []
    for number in range(1, rounds + 1):
        source = f"        async def version() -> int:\n            return {number}\n"
        write_function(root, "version", source)
        begun = time.perf_counter()
        while await await_result(version)() != number:
            await asyncio.sleep(0.002)
        times.append((time.perf_counter() - begun) * 1e3)
        await asyncio.sleep(0.2)
    report("save → new code runs", times, "ms", "150")


def ready(rounds: int = 5) -> None:
    times = []
    for _ in range(rounds):
        with project() as root, Emulator(root) as emulator:
            times.append(emulator.ready_after * 1e3)
    report("defer dev: start → ready", times, "ms", "500")


def commands(root: Path, rounds: int = 7) -> None:
    def timed(*command: str) -> float:
        begun = time.perf_counter()
        subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)
        return (time.perf_counter() - begun) * 1e3

    report("defer list", [timed(DEFER, "list") for _ in range(rounds)], "ms", "150")
    report("defer --help", [timed(DEFER, "--help") for _ in range(rounds)], "ms", "120")
    bare = statistics.median(timed(sys.executable, "-c", "pass") for _ in range(rounds))
    imports = [timed(sys.executable, "-c", "import defer_client") - bare for _ in range(rounds)]
    report("import defer_client", imports, "ms", "40")


def main() -> None:
    live: dict[str, Callable[[Path], Awaitable[None]]] = {
        "throughput": lambda _root: throughput(),
        "latency": lambda _root: latency(),
        "fan_out": lambda _root: fan_out(),
        "reload": reload,
    }
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*live, "ready", "commands", []])
    names = parser.parse_args().names or [*live, "ready", "commands"]

    with project() as root:
        use_project(root)
        if running := [name for name in live if name in names]:
            with Emulator(root):
                for name in running:
                    asyncio.run(live[name](root))  # type: ignore[arg-type]
        if "commands" in names:
            commands(root)
    if "ready" in names:
        ready()


if __name__ == "__main__":
    main()
