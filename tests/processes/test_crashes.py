"""Whatever is killed, no process stays: neither ours nor the functions'."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from defer_emulator.runner.leftovers import end_leftovers
from defer_emulator.workers import tree
from tests.processes.pools import running_pool, write_functions

pytestmark = pytest.mark.processes

JOB = """
    import os, subprocess, sys, time
    SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
    def job():
        hidden = "import subprocess, sys; "
        hidden += "print(subprocess.Popen(sys.argv[1:], start_new_session=True, env={}).pid)"
        plain = subprocess.Popen(SLEEP)
        subprocess.run([sys.executable, "-c", hidden, *SLEEP], check=True)
        print(plain.pid)
        print(os.getpid())
        time.sleep(60)
"""
PIDS = "import os\ndef pids(): return [os.getpid(), os.getppid()]"


def mark(root: Path) -> str:
    return f"DEFER_PROJECT_ID={root}"


def living(root: Path) -> list[int]:
    return [pid for pid in tree.with_environment(mark(root)) if not tree.is_zombie(pid)]


def is_gone(pid: int) -> bool:
    return tree.is_zombie(pid) or not Path(f"/proc/{pid}").exists()


def wait_until(condition: Callable[[], object], within: float) -> bool:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


@pytest.mark.parametrize("victim", ["generation", "base"])
def test_running_attempt_dies_with_its_fork_server_and_the_next_one_runs(tmp_path: Path, victim: str) -> None:
    write_functions(tmp_path, {"job": JOB, "pids": PIDS})

    async def main() -> None:
        async with running_pool(tmp_path) as pool:
            await pool.load()
            _, generation = json.loads((await pool.run("pids")).result or "")
            base = next(pid for pid in tree.ancestors(generation))
            sequence = await pool.start("job")
            below = [int(line) for line in await pool.printed(sequence, 3)]
            old = set(living(tmp_path))
            os.kill(generation if victim == "generation" else base, signal.SIGKILL)
            begun = time.monotonic()
            end = await pool.end_of(sequence)
            assert time.monotonic() - begun < 2
            assert end.end == "died"
            if victim == "generation":  # without its base, a process that hides its environment is not known
                assert all(is_gone(pid) for pid in below)
            spared = {base} if victim == "generation" else set()
            assert not old.intersection(living(tmp_path)) - spared
            assert (await pool.run("pids")).end == "returned"
            assert pool.recorder.troubles

    uvloop.run(main())


def test_spawned_workers_survive_a_new_base(tmp_path: Path) -> None:
    write_functions(tmp_path, {"pids": PIDS})

    async def main() -> None:
        async with running_pool(tmp_path, worker_start="spawn", warm=1) as pool:
            await pool.load()
            _, base = json.loads((await pool.run("pids")).result or "")
            os.kill(base, signal.SIGKILL)
            await pool.until(lambda: pool.recorder.troubles, "the loss of the base is noticed")
            assert (await pool.run("pids")).end == "returned"

    uvloop.run(main())


def test_code_that_was_lost_is_loaded_as_soon_as_it_can_be(tmp_path: Path) -> None:
    write_functions(tmp_path, {"pids": PIDS})
    python = tmp_path / "python"
    python.symlink_to(sys.executable)

    async def main() -> None:
        async with running_pool(tmp_path, python=str(python)) as pool:
            await pool.load()
            _, generation = json.loads((await pool.run("pids")).result or "")
            python.unlink()
            os.kill(next(pid for pid in tree.ancestors(generation)), signal.SIGKILL)
            said = pool.recorder.troubles
            await pool.until(lambda: any("cannot be started" in one for one in said), "the reason")
            python.symlink_to(sys.executable)
            assert (await pool.run("pids")).end == "returned"
            assert sum("cannot be started" in one for one in said) == 1, "said once"

    uvloop.run(main())


EMULATOR = """
    import asyncio, sys
    from pathlib import Path
    from tests.processes.pools import running_pool

    async def main():
        async with running_pool(Path(sys.argv[1])) as pool:
            await pool.load()
            sequence = await pool.start("job")
            print(*await pool.printed(sequence, 3), flush=True)
            await asyncio.sleep(60)

    asyncio.run(main())
"""


def start_emulator(root: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """An emulator in a process of its own, and the pids that its running job has printed."""
    script = [sys.executable, "-c", textwrap.dedent(EMULATOR), str(root)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(script, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    return process, [int(pid) for pid in process.stdout.readline().split()]


def test_emulator_killed_leaves_nothing_after_two_seconds(tmp_path: Path) -> None:
    write_functions(tmp_path, {"job": JOB})
    process, pids = start_emulator(tmp_path)
    with process:
        assert len(living(tmp_path)) >= 5 and len(pids) == 3
        process.kill()
        assert wait_until(lambda: not living(tmp_path) and all(is_gone(pid) for pid in pids), 2)


def test_leftovers_are_ended_before_a_new_start(tmp_path: Path) -> None:
    environment = {**os.environ, "DEFER_PROJECT_ID": str(tmp_path)}
    unrelated = {**os.environ, "DEFER_PROJECT_ID": f"{tmp_path}/other"}
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    with (
        subprocess.Popen(sleep, env=environment, start_new_session=True) as left,
        subprocess.Popen(sleep, env=unrelated) as other,
    ):
        assert wait_until(lambda: living(tmp_path) == [left.pid], 5)
        assert end_leftovers(str(tmp_path)) == 1
        assert left.wait(1) == -signal.SIGKILL
        assert other.poll() is None
        other.kill()
    assert end_leftovers(str(tmp_path)) == 0


def test_load_in_progress_is_ended_by_close(tmp_path: Path) -> None:
    write_functions(tmp_path, {"job": "import time\ntime.sleep(60)"})

    async def main() -> None:
        async with running_pool(tmp_path) as pool:
            loading = asyncio.create_task(pool.load())
            await pool.until(lambda: len(living(tmp_path)) >= 2, "the import")
            loading.cancel()
            await asyncio.gather(loading, return_exceptions=True)

    uvloop.run(main())
    assert living(tmp_path) == []
