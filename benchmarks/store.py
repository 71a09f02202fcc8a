"""The store alone, empty and full: `python -m benchmarks.store [ROWS]`, a million finished rows if not said.

What matters is that the second column is not much slower than the first.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from defer_client.models import Arguments, Call, ErrorCode, ExecutionFilters, Interval, Page, State
from defer_emulator.backend import LocalBackend
from defer_emulator.domain.insight import LogSearch
from defer_emulator.domain.work import Completion, Limits
from defer_emulator.operations import LocalOperations, Search
from defer_emulator.store.rows import dumps
from defer_emulator.store.statistics import StatisticsReader
from defer_emulator.store.store import Store
from defer_emulator.store.transaction import new_ids

FUNCTIONS = [f"function_{number}" for number in range(10)]
LIMITS = {name: Limits(concurrency=None, action="keep") for name in FUNCTIONS}
BATCH = 50  # executions that a tick claims and settles

_INSERT = """
    INSERT INTO executions (
        sequence, id, function, state, scheduled_at, created_at, updated_at, started_at, finished_at, attempt,
        error_code, revision, metadata, arguments, result
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, 1, ?, ?, '3')
"""


def fill(store: Store, rows: int) -> None:
    """Store finished executions, one a second until now; one of a hundred has failed."""
    ids = new_ids(store._clock)
    begun = store.now() - rows * 1_000_000

    def finished() -> Iterator[tuple[Any, ...]]:
        for number in range(rows):
            moment, sequence = begun + number * 1_000_000, number + 1
            failed = number % 100 == 0
            yield (
                sequence, ids.new(sequence), FUNCTIONS[number % 10], "failed" if failed else "succeed",
                *[moment] * 5, "ER0003" if failed else None, dumps({"user": str(number % 1_000)}),
                dumps({"positional": [number, "some text"], "keyword": {}}),
            )  # fmt: skip

    with store._database.write() as connection:
        connection.executemany(_INSERT, finished())
        connection.execute(
            "INSERT INTO metadata SELECT 'user', json_extract(metadata, '$.user'), sequence FROM executions"
        )


def enqueue(backend: LocalBackend, count: int) -> None:
    async def calls() -> None:
        for number in range(count):
            await backend.enqueue(
                Call(function_name=random.choice(FUNCTIONS), arguments=Arguments(positional=[number, "text"]))
            )

    asyncio.run(calls())


def run_all(store: Store) -> int:
    """Claim and settle in ticks, as the scheduler does, until nothing is due."""
    done, completions = 0, []
    while True:
        with store.write() as tx:
            tx.settle(completions)
            claim = tx.claim(LIMITS, BATCH, 1)
        completions = [
            Completion(sequence=one.sequence, attempt=one.attempt, state=State.SUCCEED, result="3")
            for one in claim.started
        ]
        done += len(completions)
        if not completions:
            return done


def rates(store: Store, count: int = 2_000, rounds: int = 5) -> dict[str, float]:
    """Executions a second, medians: enqueued one by one, then claimed and settled in batches."""
    backend = LocalBackend(store, wake=lambda: None)
    enqueued, ran = [], []
    for _ in range(rounds):
        begun = time.perf_counter()
        enqueue(backend, count)
        enqueued.append(count / (time.perf_counter() - begun))
        begun = time.perf_counter()
        ran.append(run_all(store) / (time.perf_counter() - begun))
    return {"enqueues/s": statistics.median(enqueued), "claims and ends/s": statistics.median(ran)}


def milliseconds(action: Callable[[], object], rounds: int = 15) -> float:
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        action()
        times.append((time.perf_counter() - begun) * 1_000)
    return statistics.median(times)


def reads(store: Store) -> dict[str, float]:
    """Milliseconds, medians, of lists and look-ups."""
    operations = LocalOperations(store, wake=lambda: None)
    last = asyncio.run(operations.resolve_id("@last"))
    hour = timedelta(hours=1)
    now = datetime.now(timezone.utc)
    searches = {
        "list": Search(),
        "list, failed": Search(filters=ExecutionFilters(states=[State.FAILED])),
        "list, one state of none": Search(filters=ExecutionFilters(states=[State.DISCARDED])),
        "list, six states": Search(filters=ExecutionFilters(states=list(State)[2:])),
        "list, function": Search(function_names=FUNCTIONS[:1]),
        "list, function and failed": Search(
            function_names=FUNCTIONS[1:2], filters=ExecutionFilters(states=[State.FAILED])
        ),
        "list, error code": Search(filters=ExecutionFilters(error_codes=[ErrorCode.TIMEOUT])),
        "list, metadata": Search(filters=ExecutionFilters(metadata={"user": ["7", "8"]})),
        "list, since an hour": Search(created_since=hour),
        "list, due later": Search(filters=ExecutionFilters(scheduled_at=Interval(start=now + hour))),
        "list, started that hour": Search(
            filters=ExecutionFilters(started_at=Interval(start=now - 48 * hour, end=now - 47 * hour))
        ),
    }
    found = {
        name: milliseconds(lambda search=search: asyncio.run(operations.search(Page(), search)))
        for name, search in searches.items()
    }
    found["list, oldest"] = milliseconds(lambda: asyncio.run(operations.search(Page(last=20), Search())))
    reader = StatisticsReader(store)
    begun = time.perf_counter()
    reader.catch_up()
    found["statistics, from nothing"] = (time.perf_counter() - begun) * 1_000
    console = LocalOperations(store, wake=lambda: None, reader=lambda: reader)
    found["statistics, of a day"] = milliseconds(lambda: asyncio.run(console.statistics()))
    found["groups of errors"] = milliseconds(lambda: asyncio.run(console.error_groups()))
    unknown = LogSearch(text="nowhere")
    found["logs, a page"] = milliseconds(lambda: asyncio.run(console.search_logs(LogSearch())))
    found["logs, a look for what is not there"] = milliseconds(
        lambda: asyncio.run(console.search_logs(unknown))
    )
    found["count, failed"] = milliseconds(lambda: asyncio.run(console.count(searches["list, failed"])))
    found["short id"] = milliseconds(lambda: asyncio.run(operations.resolve_id(last[-8:])))
    return found


def measure(rows: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder))
        fill(store, rows)
        result = rates(store) | reads(store)
        enqueue(LocalBackend(store, wake=lambda: None), 20_000)
        result["claim of 50, backlog of 20,000 (ms)"] = milliseconds(lambda: _claim_and_undo(store))
        store.close()
        return result


def _claim_and_undo(store: Store) -> None:
    try:
        with store.write() as tx:
            tx.claim(LIMITS, BATCH, 1)
            raise InterruptedError
    except InterruptedError:
        return


def main(rows: int) -> None:
    empty, full = measure(0), measure(rows)
    print(f"{'':40} {'empty':>12} {f'{rows:,} rows':>16}")
    for name, value in empty.items():
        print(f"{name:40} {value:12,.2f} {full[name]:16,.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
