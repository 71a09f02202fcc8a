"""Kills at random moments: nothing that was acknowledged is lost, nothing runs twice at once."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.projects import TempProject, clean_environment, eventually

WRITER = """
import sys, time
from defer.add import add
while True:
    print(add.enqueue(1, 2).id, flush=True)
    time.sleep(0.01)
"""


@pytest.mark.parametrize(
    "kills", [pytest.param(8, id="8"), pytest.param(200, id="200", marks=pytest.mark.drill)]
)
def test_emulators_killed_at_random_moments_lose_no_acknowledged_call(kills: int, tmp_path: Path) -> None:
    seed = random.randrange(1_000_000)
    chance = random.Random(seed)
    project = TempProject(
        tmp_path,
        {
            "add": """
                from defer_client import RetryPolicy, defer
                async def add(a: int, b: int) -> int:
                    return a + b
                add = defer(add, retry=RetryPolicy(initial_interval=0.01, max_interval=0.01))
            """
        },
    )
    project.dev().ready().kill()
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER],
            cwd=tmp_path,
            env=clean_environment() | {"PYTHONPATH": str(tmp_path)},
            stdout=(tmp_path / f"writer-{n}.txt").open("w"),
        )
        for n in range(2)
    ]
    try:
        for _ in range(kills):
            with project.dev() as dev:
                if chance.random() < 0.7:
                    dev.ready()
                time.sleep(chance.random() * 0.3)
                dev.kill()
    finally:
        for writer in writers:
            assert writer.poll() is None, "a writer failed"
            writer.kill()
            writer.wait()

    acknowledged = {
        line
        for n in range(len(writers))
        for line in (tmp_path / f"writer-{n}.txt").read_text().splitlines(keepends=True)
        if line.endswith("\n")
    }
    database = sqlite3.connect(tmp_path / ".defer" / "state.db")
    unfinished = "SELECT count(*) FROM executions WHERE state IN ('created', 'started')"
    with project.dev().ready():
        eventually(lambda: database.execute(unfinished).fetchone() == (0,), f"all ran (seed {seed})", 60)
    states = dict(database.execute("SELECT id, state FROM executions"))
    assert len(acknowledged) > kills
    assert {states.get(line.strip()) for line in acknowledged} == {"succeed"}, f"seed {seed}"
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
