"""How long pages of the console take: `python -m benchmarks.console [ROWS]`; a million rows if not said.

The goal is 100 ms for each. Medians, the first time of each, and how much was sent.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

from benchmarks.project import Emulator, project
from benchmarks.store import fill
from defer_emulator.operations import LocalOperations
from defer_emulator.store.store import Store

PAGES = (
    "/",
    "/?range=all",
    "/functions",
    "/functions/noop",
    "/executions",
    "/executions?state=failed",
    "/executions?state=discarded",
    "/executions?function=function_1&state=failed",
    "/executions?metadata=user:7",
    "/executions?text=no+such+text",
    "/executions?since=1h",
    "/executions?id={latest}",
    "/executions/{latest}",
    "/executions/{latest}/workflow",
    "/executions/act?act=rerun&all=1&state=failed",
    "/schedules",
    "/errors",
    "/logs",
    "/logs?text=no+such+text",
    "/outbox",
)
GOAL = 100.0  # ms
ROUNDS = 9


def ask(connection: HTTPConnection, path: str) -> tuple[float, int]:
    """Milliseconds until the page has arrived, and its bytes."""
    begun = time.perf_counter()
    connection.request("GET", path, headers={"Accept": "text/html"})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status not in (200, 303):
        raise RuntimeError(f"{path}: {answer.status}")
    return (time.perf_counter() - begun) * 1e3, len(body)


def measure(url: str, latest: str) -> None:
    connection = HTTPConnection(urlsplit(url).netloc)
    for pattern in PAGES:
        path = pattern.format(latest=latest)
        first, size = ask(connection, path)
        median = statistics.median(ask(connection, path)[0] for _ in range(ROUNDS))
        note = "" if median <= GOAL else "   over the goal"
        print(
            f"{pattern:<48} {median:>8.1f} ms   first {first:>8.1f} ms   {size:>8,} bytes{note}", flush=True
        )


def main(rows: int) -> None:
    with project() as root:
        store = Store.open(root)
        fill(store, rows)
        latest = asyncio.run(LocalOperations(store, wake=lambda: None).resolve_id("@last"))
        store.close()
        with Emulator(root) as emulator:
            measure(emulator.url, latest)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
