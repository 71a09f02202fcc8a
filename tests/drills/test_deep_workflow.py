"""A deep and wide workflow on one place: no deadlock, few processes, a minute at most."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import pytest

from tests.projects import TempProject

pytestmark = pytest.mark.drill

DEPTH, WIDTH = 10, 1_000
SECONDS, PROCESSES = 60.0, 12

LEVEL = """
import asyncio
from defer_client import await_result, defer
from .leaf import leaf
{import_next}

async def level_{n}() -> int:
    waits = [await_result(leaf)(i) for i in range({width})]
    {append_next}
    return sum(await asyncio.gather(*waits))

level_{n} = defer(level_{n})
"""


def test_a_chain_of_ten_with_a_thousand_leaves_each_runs_on_one_place(tmp_path: Path) -> None:
    project = TempProject(tmp_path, {"leaf": "async def leaf(n: int) -> int:\n    return 1"})
    (tmp_path / "defer.toml").write_text("max_concurrency = 1\n")
    for n in range(DEPTH):
        last = n == DEPTH - 1
        source = LEVEL.format(
            n=n,
            width=WIDTH,
            import_next="" if last else f"from .level_{n + 1} import level_{n + 1}",
            append_next="pass" if last else f"waits.append(await_result(level_{n + 1})())",
        )
        project.write(f"level_{n}", source)

    with project.dev().ready() as dev:
        begun = time.monotonic()
        execution = project.call("level_0")
        most = 0
        with sqlite3.connect(tmp_path / ".defer" / "state.db") as database:
            unfinished = "SELECT 1 FROM executions WHERE id = ? AND finished_at IS NULL"
            while database.execute(unfinished, (execution,)).fetchone():
                most = max(most, len(dev.descendants()) - 2)  # without the two fork servers
                assert time.monotonic() - begun < SECONDS, dev.output[-3000:]
                time.sleep(0.05)
        seconds = time.monotonic() - begun
    assert json.loads(project.run("result", execution).stdout) == DEPTH * WIDTH
    assert most <= PROCESSES
    print(f"{DEPTH * (WIDTH + 1)} executions in {seconds:.1f} s, at most {most} workers")
