"""Kills at random moments: nothing that was acknowledged is lost, nothing runs twice at once."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.projects import Dev, TempProject, clean_environment, eventually

pytestmark = pytest.mark.processes

WRITER = """
import sys, time
from defer.add import add
while True:
    print(add.enqueue(1, 2).id, flush=True)
    time.sleep(0.01)
"""
# Writes down that it is alive, in one file for all: the order of the lines is that of the moments.
ADD = """
    import asyncio, os
    from defer_client import RetryPolicy, current_execution, defer
    async def add(a: int, b: int) -> int:
        me = current_execution()
        beats = os.open("beats.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for beat in range(5):
            os.write(beats, f"{me.id} {me.attempt}\\n".encode())
            await asyncio.sleep(0.004)
        os.close(beats)
        return a + b
    add = defer(add, retry=RetryPolicy(max_attempts=50, initial_interval=0.01, max_interval=0.01))
"""
# Holds out against everything, and so do its children: one hides its environment, one keeps it.
STUBBORN = """
    import os, signal, subprocess, sys, time
    from defer_client import RetryPolicy, current_execution, defer
    BEAT = '''
    import os, signal, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    beats = os.open("beats.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    while True:
        os.write(beats, sys.argv[1].encode())
        time.sleep(0.001)
    '''
    HIDE = "import subprocess, sys; subprocess.Popen(sys.argv[1:], start_new_session=True, env={})"
    def stubborn() -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        me = current_execution()
        line = f"{me.id} {me.attempt}\\n"
        subprocess.Popen([sys.executable, "-c", BEAT, line], start_new_session=True)
        if os.path.exists("hide"):
            subprocess.run([sys.executable, "-c", HIDE, sys.executable, "-c", BEAT, line], check=True)
        beats = os.open("beats.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        while True:
            try:
                os.write(beats, line.encode())
                time.sleep(0.001)
            except BaseException:
                pass
    stubborn = defer(stubborn, retry=RetryPolicy(max_attempts=1_000, initial_interval=0.0))
"""


def assert_no_overlap(beats: Path) -> int:
    """No sign of an attempt after the first one of the next; how many attempts there were."""
    latest: dict[str, int] = {}
    count = 0
    for line in beats.read_text().splitlines():
        execution, number = line.split()
        attempt = int(number)
        assert attempt >= latest.get(execution, 0), f"{execution}: {attempt} beside {latest[execution]}"
        count += attempt != latest.get(execution)
        latest[execution] = attempt
    return count


@contextmanager
def writers(root: Path, count: int) -> Iterator[list[Path]]:
    """Applications that enqueue, and the files where they write down what was acknowledged."""
    files = [root / f"writer-{n}.txt" for n in range(count)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER],
            cwd=root,
            env=clean_environment() | {"PYTHONPATH": str(root)},
            stdout=file.open("w"),
        )
        for file in files
    ]
    try:
        yield files
        assert all(process.poll() is None for process in processes), "a writer failed"
    finally:
        for process in processes:
            process.kill()
            process.wait()


def kill_one(dev: Dev, victim: int) -> None:
    """The emulator itself, or one of its fork servers and workers."""
    family = [dev.pid, *dev.descendants()]
    pid = family[victim % len(family)]
    if pid == dev.pid:
        dev.kill()
    else:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    "kills", [pytest.param(20, id="20"), pytest.param(200, id="200", marks=pytest.mark.drill)]
)
def test_kills_at_random_moments_lose_no_acknowledged_call_and_overlap_no_attempts(
    kills: int, tmp_path: Path
) -> None:
    seed = random.randrange(1_000_000)
    chance = random.Random(seed)
    project = TempProject(tmp_path, {"add": ADD})
    project.dev().ready().kill()
    done = 0
    with writers(tmp_path, 2) as files:
        while done < kills:
            with project.dev() as dev:
                if chance.random() < 0.7:
                    dev.ready()
                while done < kills and dev.process.poll() is None:
                    time.sleep(chance.random() * 0.2)
                    kill_one(dev, chance.choice([0, 0, chance.randrange(100)]))
                    done += 1

    acknowledged = {
        line.strip() for file in files for line in file.read_text().splitlines(True) if line.endswith("\n")
    }
    database = sqlite3.connect(tmp_path / ".defer" / "state.db")
    unfinished = "SELECT count(*) FROM executions WHERE state IN ('created', 'started')"
    with project.dev().ready():
        eventually(lambda: database.execute(unfinished).fetchone() == (0,), f"all ran (seed {seed})", 60)
    states = dict(database.execute("SELECT id, state FROM executions"))
    assert len(acknowledged) > kills
    assert {states.get(line) for line in acknowledged} == {"succeed"}, f"seed {seed}"
    assert assert_no_overlap(tmp_path / "beats.txt") >= len(acknowledged)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize(
    "kills", [pytest.param(3, id="3"), pytest.param(20, id="20", marks=pytest.mark.drill)]
)
@pytest.mark.parametrize("worker_start", ["fork", "spawn"])
@pytest.mark.parametrize("victims", ["emulator", "all but the function's"])
def test_attempts_of_what_cannot_be_stopped_never_overlap(
    victims: str, worker_start: str, kills: int, tmp_path: Path
) -> None:
    project = TempProject(tmp_path, {"stubborn": STUBBORN})
    (tmp_path / "defer.toml").write_text(f'worker_start = "{worker_start}"\n')
    if victims == "emulator":  # else nothing is left that knows a process without our mark
        (tmp_path / "hide").touch()
    beats = tmp_path / "beats.txt"
    beats.touch()
    execution = project.call("stubborn")
    for number in range(1, kills + 1):
        with project.dev() as dev:
            eventually(lambda n=number: f"{execution} {n}\n" in beats.read_text()[-300:], f"attempt {number}")
            time.sleep(0.05)
            servers = dev.descendants()[:2] if victims != "emulator" else []
            for pid in (dev.pid, *servers):
                with suppress(ProcessLookupError):  # each may die of the one before
                    os.kill(pid, signal.SIGKILL)
            dev.process.wait()
    with project.dev() as dev:
        eventually(lambda: f"{execution} {kills + 1}\n" in beats.read_text()[-300:], "the last attempt")
        project.run("cancel", execution, "--force")
        project.wait_for(execution, "aborted", patience=3)
        size = beats.stat().st_size
        time.sleep(0.05)
        assert beats.stat().st_size == size, "all of it has ended"
    assert assert_no_overlap(beats) == kills + 1
