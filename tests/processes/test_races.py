"""What happens between the moment a job is given to a worker and the moment the worker takes it: workers that
stand still make that moment as long as a test needs. Nothing is lost then, and nothing runs twice."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from defer_emulator.runner.pace import DEPTH
from defer_emulator.runner.process import WorkerProcess
from tests.processes.pools import PoolUnderTest, running_pool, write_functions
from tests.processes.test_floods import Decided, one_moment

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("both_starts")]

TELLS = """
    import os
    def tells(path, number, filling=""):
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{number}\\n".encode())
        os.close(file)
"""
WARM = 2


class Race:
    """A pool whose workers stand still, and what was given to them."""

    def __init__(self, pool: PoolUnderTest) -> None:
        self.pool = pool
        self.told = pool.root / "told"
        self.given: list[int] = []  # sequences
        self.workers = [worker for worker in pool.pool._fleet._workers.values() if worker.pid]

    def stop(self) -> None:
        for worker in self.workers:
            os.kill(pid_of(worker), signal.SIGSTOP)
            while Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
                time.sleep(0.001)

    def go_on(self) -> None:
        for worker in self.workers:
            if worker.state != "gone":
                os.kill(pid_of(worker), signal.SIGCONT)

    def kill_workers(self) -> None:
        for worker in self.workers:
            if worker.state != "gone":
                os.kill(pid_of(worker), signal.SIGKILL)

    async def give(self, count: int, *more: str, **options: Any) -> None:
        with one_moment():
            for _ in range(count):
                number = len(self.given)
                self.given.append(await self.pool.start("tells", str(self.told), number, *more, **options))

    async def each_ran_once_but(self, *killed: int) -> None:
        for sequence in self.given:
            end = await self.pool.end_of(sequence)
            assert end.end == ("killed" if sequence in killed else "returned")
        expected = [number for number, sequence in enumerate(self.given) if sequence not in killed]
        assert self.ran() == expected

    def ran(self) -> list[int]:
        return sorted(map(int, self.told.read_text().split())) if self.told.exists() else []


def pid_of(worker: WorkerProcess) -> int:
    assert worker.pid is not None
    return worker.pid


def play(root: Path, scenario: Callable[[Race], Coroutine[Any, Any, None]], *, flooded: bool = True) -> Race:
    races: list[Race] = []

    async def main() -> None:
        write_functions(root, {"tells": TELLS})
        async with running_pool(root, pace=Decided(flooded=flooded), warm=WARM) as pool:
            await pool.load()
            await pool.until(lambda: pool.pool._fleet.idle >= WARM, "idle workers", wanting=WARM)
            races.append(Race(pool))
            races[0].stop()
            await scenario(races[0])

    uvloop.run(main())
    return races[0]


def test_those_that_are_killed_before_their_worker_takes_them_never_run(tmp_path: Path) -> None:
    async def scenario(race: Race) -> None:
        await race.give(DEPTH)
        killed = race.given[::3]
        for sequence in killed:
            race.pool.pool.kill(sequence)
            assert race.pool.recorder.ends[sequence].end == "killed", "no process had to end for it"
        race.go_on()
        await race.each_ran_once_but(*killed)

    play(tmp_path, scenario)


def test_what_a_worker_has_not_taken_when_it_dies_runs_elsewhere(tmp_path: Path) -> None:
    async def scenario(race: Race) -> None:
        await race.give(DEPTH)
        race.kill_workers()
        await race.each_ran_once_but()

    play(tmp_path, scenario)


def test_what_was_given_before_new_code_came_runs_once(tmp_path: Path) -> None:
    async def scenario(race: Race) -> None:
        await race.give(DEPTH)
        await race.pool.load()
        race.kill_workers()
        await race.each_ran_once_but()

    play(tmp_path, scenario)


def test_what_no_worker_has_taken_when_the_base_dies_runs_once_and_is_killed_at_once(tmp_path: Path) -> None:
    async def scenario(race: Race) -> None:
        await race.give(DEPTH)
        base = race.pool.pool._servers._base
        assert base is not None
        os.kill(base.process.pid, signal.SIGKILL)
        race.pool.pool.kill(race.given[3])
        await race.each_ran_once_but(race.given[3])

    play(tmp_path, scenario)


def test_a_deadline_does_not_end_what_no_worker_has_taken(tmp_path: Path) -> None:
    async def scenario(race: Race) -> None:
        await race.give(DEPTH, max_duration=0.3)
        await race.each_ran_once_but()

    play(tmp_path, scenario)


def test_long_arguments_on_their_way_are_killed_given_again_or_known_as_unbegun(tmp_path: Path) -> None:
    async def scenario(race: Race) -> None:
        await race.give(2, "x" * 100_000)
        killed, other = race.given
        worker = race.pool.pool._jobs._workers[other]
        race.pool.pool.kill(killed)
        os.kill(pid_of(worker), signal.SIGKILL)
        await race.each_ran_once_but(killed)
        await race.pool.until(lambda: race.pool.pool._fleet.idle >= 1, "an idle worker", wanting=1)
        race.workers = [worker for worker in race.pool.pool._fleet._workers.values() if worker.pid]
        race.stop()
        await race.give(1, "x" * 100_000)

    race = play(tmp_path, scenario, flooded=False)
    assert set(race.pool.pool.unbegun) == {race.given[2]}
    assert race.ran() == [1]
