"""How fast the HTTP API is: `python -m benchmarks.http`. The client shares the machine with the emulator."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from urllib.parse import urlsplit

from benchmarks.project import Emulator, project, write_function

SLEEPS = """
        import asyncio
        async def sleeps(seconds: float) -> None:
            await asyncio.sleep(seconds)
"""
LATER = 86_400  # seconds: what is only enqueued must not run, or it would be measured as well


class Connection:
    """One kept connection that sends a request and waits for its answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, url: str) -> Connection:
        parts = urlsplit(url)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port))

    async def ask(self, method: str, path: str, body: object = None) -> bytes:
        raw = json.dumps(body).encode() if body is not None else b""
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(raw)}\r\n\r\n"
        self._writer.write(head.encode() + raw)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        content = await self._reader.readexactly(length)
        if not answer.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(f"{method} {path}: {content.decode()}")
        return content


def call(function: str, *arguments: object, delay: float | None = None) -> dict[str, object]:
    return {"function_name": function, "function_arguments": arguments, "schedule_for": delay}


def percentile(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


async def enqueues(url: str, count: int = 8_000, connections: int = 16, rounds: int = 3) -> list[float]:
    """Enqueues a second over kept connections."""
    rates = []
    opened = [await Connection.open(url) for _ in range(connections)]

    async def some(connection: Connection) -> None:
        for _ in range(count // connections):
            await connection.ask("PUT", "/public/v2/executions", call("noop", delay=LATER))

    for _ in range(rounds):
        begun = time.perf_counter()
        await asyncio.gather(*map(some, opened))
        rates.append(count / (time.perf_counter() - begun))
    return rates


async def steady(url: str, rate: int = 500, seconds: float = 4.0, running: int = 50) -> list[float]:
    """Milliseconds of each of `rate` enqueues a second, while other executions run."""
    idle = [await Connection.open(url) for _ in range(16)]
    for _ in range(running):
        await idle[0].ask("PUT", "/public/v2/executions", call("sleeps", seconds + 10))
    await asyncio.sleep(2)
    times: list[float] = []

    async def one(due: float) -> None:
        connection = idle.pop() if idle else await Connection.open(url)
        await connection.ask("PUT", "/public/v2/executions", call("noop", delay=LATER))
        times.append((time.perf_counter() - due) * 1e3)
        idle.append(connection)

    begun = time.perf_counter()
    sent: list[asyncio.Task[None]] = []
    for number in range(int(rate * seconds)):
        due = begun + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        sent.append(asyncio.create_task(one(due)))
    await asyncio.gather(*sent)
    return times


async def pages(url: str, count: int = 200) -> list[float]:
    """Milliseconds of a page of 20 executions."""
    connection = await Connection.open(url)
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        await connection.ask("POST", "/public/v2/executions", {})
        times.append((time.perf_counter() - begun) * 1e3)
    return times


async def measure(url: str) -> None:
    rates = await enqueues(url)
    print(f"enqueues, 16 connections      {statistics.median(rates):>9,.0f} a second   goal 4,000")
    times = await pages(url)
    print(f"a page of 20, p50 / p99       {percentile(times, 0.5):>9.2f} / {percentile(times, 0.99):.2f} ms")
    times = await steady(url)
    print(
        f"enqueue at 500/s, p50 / p99   {percentile(times, 0.5):>9.2f} / {percentile(times, 0.99):.2f} ms"
        "   goal p99 10 ms, 50 executions running"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http", description=__doc__)
    parser.add_argument("--url", help="of a running emulator whose project has noop() and sleeps(s)")
    url = parser.parse_args().url
    if url is not None:
        asyncio.run(measure(url))
        return
    with project() as root:
        write_function(root, "sleeps", SLEEPS)
        with Emulator(root) as emulator:
            asyncio.run(measure(emulator.url))


if __name__ == "__main__":
    main()
