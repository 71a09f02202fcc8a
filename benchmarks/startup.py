"""How long a command takes from start to end: `python -m benchmarks.startup [ROWS]`, a million executions if
not said.

Wall and CPU time in milliseconds, medians of 15; on a busy machine the CPU time is the one to look at.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.project import DEFER
from benchmarks.store import FUNCTIONS, fill
from defer_emulator.store.store import Store

ROUNDS = 15


def completing(line: str) -> dict[str, str]:
    """What a shell asks when Tab is pressed at the end of this line."""
    place = str(len(line.split(" ")) - 1)
    return {"_DEFER_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": place}


COMMANDS: dict[str, tuple[Sequence[str], dict[str, str], int]] = {
    "defer --help": (["--help"], {}, 120),
    "defer list": (["list"], {}, 150),
    "defer list --state failed": (["list", "--state", "failed"], {}, 150),
    "defer show @last": (["show", "@last"], {}, 150),
    "defer logs @last": (["logs", "@last"], {}, 150),
    "completion of a command": ([], completing("defer l"), 100),
    "completion of a name": ([], completing("defer run f"), 100),
    "completion of an id": ([], completing("defer show "), 100),
}


def once(words: Sequence[str], environment: dict[str, str], root: Path) -> tuple[float, float]:
    """Wall and CPU time, ms."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [DEFER, *words],
        cwd=root,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall * 1e3, cpu * 1e3


def main(rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "defer").mkdir()
        for name in ("__init__", *FUNCTIONS):
            (root / "defer" / f"{name}.py").touch()
        store = Store.open(root)
        fill(store, rows)
        store.close()
        print(f"{f'{rows:,} executions stored':28} {'wall':>8} {'CPU':>8} {'goal':>8}")
        for name, (words, environment, goal) in COMMANDS.items():
            once(words, environment, root)
            times = [once(words, environment, root) for _ in range(ROUNDS)]
            wall, cpu = (statistics.median(values) for values in zip(*times, strict=True))
            print(f"{name:28} {wall:8.1f} {cpu:8.1f} {goal:8}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
