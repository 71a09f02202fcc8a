"""A flood of short jobs: workers are given several at once, and each still is an attempt of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from defer_emulator.runner.pace import DEPTH, LANES, Pace
from tests.processes.pools import PoolUnderTest, running_pool, write_functions

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("both_starts")]

NOTHING = "def nothing(): pass"
SLEEPS = "import time\ndef sleeps(seconds): time.sleep(seconds)"


class Decided(Pace):
    """The test says when there is a flood, however busy the machine is that it runs on."""

    def __init__(self, *, flooded: bool = True) -> None:
        super().__init__()
        self.flooded = flooded

    def is_flood(self, now: float) -> bool:
        return self.flooded


def play(
    root: Path,
    scenario: Callable[[PoolUnderTest], Coroutine[Any, Any, None]],
    *,
    pace: Pace | None = None,
    workers: int = 100,
    **functions: str,
) -> None:
    async def main() -> None:
        write_functions(root, {"nothing": NOTHING, **functions})
        async with running_pool(root, pace=pace or Decided(), max_workers=workers) as pool:
            await pool.load()
            room = LANES * DEPTH if pool.pool.is_flooded else LANES
            await pool.until(lambda: pool.pool.room >= room, "warm workers", wanting=LANES)
            await scenario(pool)

    uvloop.run(main())


@contextmanager
def one_moment() -> Iterator[None]:
    """Jobs that are started here follow each other at once, however long the machine takes for it: the clock
    of the event loop stands, and none of them has run for long."""
    loop = asyncio.get_running_loop()
    now = loop.time()
    loop.time = lambda: now  # type: ignore[method-assign]
    try:
        yield
    finally:
        del loop.time  # type: ignore[method-assign]


async def start_many(pool: PoolUnderTest, function: str, count: int, *args: Any) -> list[int]:
    """Without a pause between them, so that they wait behind each other."""
    assert pool.pool.room >= count
    return [await pool.start(function, *args) for _ in range(count)]


def test_short_jobs_in_a_row_become_a_flood_and_a_long_one_ends_it(tmp_path: Path) -> None:
    async def main() -> None:
        write_functions(tmp_path, {"nothing": NOTHING, "sleeps": SLEEPS})
        async with running_pool(tmp_path) as pool:
            await pool.load()
            assert not pool.pool.is_flooded
            while not pool.pool.is_flooded:
                for sequence in [await pool.start("nothing") for _ in range(4)]:
                    await pool.end_of(sequence)
            await pool.run("sleeps", 0.01)
            assert not pool.pool.is_flooded

    uvloop.run(main())


def test_a_worker_is_given_more_jobs_than_it_runs(tmp_path: Path) -> None:
    async def scenario(pool: PoolUnderTest) -> None:
        with one_moment():
            started = await start_many(pool, "nothing", DEPTH + 1)
        for sequence in started:
            assert (await pool.end_of(sequence)).result == "null"

    play(tmp_path, scenario)


def test_each_attempt_has_its_own_output(tmp_path: Path) -> None:
    source = """
    import subprocess, sys, os
    def prints(number):
        if number % 3 == 0:
            return number
        print("out", number)
        os.write(2, f"err {number}".encode())  # without an end of line
        if number % 4 == 0:
            subprocess.run(["echo", f"child {number}"])
    """

    async def scenario(pool: PoolUnderTest) -> None:
        given = {}
        for number in range(40):
            if number % 10 == 0:
                given[await pool.start("prints", number)] = number
        for sequence, number in given.items():
            await pool.end_of(sequence)
            silent = number % 3 == 0
            child = [f"child {number}"] if not silent and number % 4 == 0 else []
            assert pool.recorder.lines(sequence) == ([] if silent else [f"out {number}", *child])
            assert pool.recorder.lines(sequence, "stderr") == ([] if silent else [f"err {number}"])

    play(tmp_path, scenario, prints=source)


def test_nothing_waits_behind_a_job_that_takes_long(tmp_path: Path) -> None:
    async def scenario(pool: PoolUnderTest) -> None:
        with one_moment():
            (long,) = await start_many(pool, "sleeps", 1, 30)
            short = await start_many(pool, "nothing", DEPTH)
        for sequence in short:
            assert (await pool.end_of(sequence)).end == "returned"
        assert long not in pool.recorder.ends
        pool.pool.kill(long)
        assert (await pool.end_of(long)).end == "killed"

    play(tmp_path, scenario, sleeps=SLEEPS)


def test_long_jobs_leave_the_other_workers_to_the_flood(tmp_path: Path) -> None:
    source = "import time\ndef begins():\n    print('begun')\n    time.sleep(30)"

    pace = Decided(flooded=False)

    async def scenario(pool: PoolUnderTest) -> None:
        for sequence in await start_many(pool, "begins", LANES):
            await pool.printed(sequence)
        await pool.until(lambda: pool.pool.room >= 1, "a worker beside them", wanting=1)
        pace.flooded = True
        for sequence in await start_many(pool, "nothing", DEPTH):
            assert (await pool.end_of(sequence)).end == "returned"

    play(tmp_path, scenario, pace=pace, begins=source)


def test_one_that_is_killed_before_its_beginning_never_runs(tmp_path: Path) -> None:
    source = "def tells(path):\n    open(path, 'w').close()"

    async def scenario(pool: PoolUnderTest) -> None:
        with one_moment():
            (long, *_) = await start_many(pool, "sleeps", LANES, 30)
            doomed = await start_many(pool, "tells", LANES, str(tmp_path / "told"))
        for sequence in doomed:
            pool.pool.kill(sequence)
            assert (await pool.end_of(sequence)).end == "killed"
        pool.pool.kill(long)
        await pool.end_of(long)
        assert not (tmp_path / "told").exists()

    play(tmp_path, scenario, sleeps=SLEEPS, tells=source)


def test_a_worker_that_dies_takes_only_the_job_that_it_runs(tmp_path: Path) -> None:
    source = "import os\ndef dies(): os._exit(3)"

    async def scenario(pool: PoolUnderTest) -> None:
        with one_moment():
            dying = await start_many(pool, "dies", LANES)
            others = await start_many(pool, "nothing", DEPTH)
        assert [(await pool.end_of(sequence)).end for sequence in dying] == ["died"] * LANES
        assert {(await pool.end_of(sequence)).end for sequence in others} == {"returned"}

    play(tmp_path, scenario, dies=source)


def test_a_deadline_ends_only_the_job_that_has_reached_it(tmp_path: Path) -> None:
    async def scenario(pool: PoolUnderTest) -> None:
        with one_moment():
            slow = [await pool.start("sleeps", 30, max_duration=0.05) for _ in range(LANES)]
            others = await start_many(pool, "nothing", DEPTH)
        assert {(await pool.end_of(sequence)).end for sequence in slow} == {"timed_out"}
        assert {(await pool.end_of(sequence)).end for sequence in others} == {"returned"}

    play(tmp_path, scenario, sleeps=SLEEPS)


def test_what_follows_a_worker_that_has_to_be_replaced_runs_elsewhere(tmp_path: Path) -> None:
    source = "import threading, time\ndef leaves(): threading.Thread(target=time.sleep, args=(30,)).start()"

    async def scenario(pool: PoolUnderTest) -> None:
        with one_moment():
            leaving = await start_many(pool, "leaves", LANES)
            others = await start_many(pool, "nothing", DEPTH)
        for sequence in (*leaving, *others):
            assert (await pool.end_of(sequence)).end == "returned"

    play(tmp_path, scenario, leaves=source)


def test_arguments_that_fill_no_message_follow_through_the_channel(tmp_path: Path) -> None:
    source = "def size(text): return len(text)"

    async def scenario(pool: PoolUnderTest) -> None:
        sizes = [10, 100_000, 20, 1_000_000, 30]
        given = [(size, await pool.start("size", "x" * size)) for size in sizes]
        for size, sequence in given:
            assert (await pool.end_of(sequence)).result == str(size)

    play(tmp_path, scenario, size=source)


def test_long_arguments_taken_back_from_a_busy_worker_run_once(tmp_path: Path) -> None:
    source = """
    def tells(path, number, text):
        with open(path, "a") as file:
            file.write(f"{number}\\n")
        return number
    """
    path = tmp_path / "told"

    async def scenario(pool: PoolUnderTest) -> None:
        slow = await start_many(pool, "sleeps", LANES, 0.2)
        given = [await pool.start("tells", str(path), number, "x" * 100_000) for number in range(4)]
        for sequence in slow:
            await pool.end_of(sequence)
        given += [await pool.start("tells", str(path), number, "x" * 100_000) for number in range(4, 12)]
        assert [(await pool.end_of(sequence)).result for sequence in given] == [str(n) for n in range(12)]
        assert sorted(map(int, path.read_text().split())) == list(range(12))

    play(tmp_path, scenario, sleeps=SLEEPS, tells=source)


def test_after_a_stop_the_pool_knows_what_was_never_begun(tmp_path: Path) -> None:
    source = "import time\ndef begins():\n    print('begun')\n    time.sleep(30)"
    stopped: list[tuple[PoolUnderTest, list[int]]] = []

    async def scenario(pool: PoolUnderTest) -> None:
        with one_moment():
            begun = await start_many(pool, "begins", LANES)
            stopped.append((pool, await start_many(pool, "nothing", DEPTH)))
        for sequence in begun:
            await pool.printed(sequence)

    play(tmp_path, scenario, workers=LANES, begins=source)
    ((pool, unbegun),) = stopped
    assert set(pool.pool.unbegun) == set(unbegun)
