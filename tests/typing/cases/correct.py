"""Uses that a type checker must accept, and what it must find out about them."""
# ruff: noqa: F821 (reveal_type is the checkers' own)

from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from defer_client import (
    CronFunction,
    Execution,
    RetryPolicy,
    add_metadata,
    assign_options,
    await_result,
    defer,
    delay,
    discard_after,
    sync,
)


@defer
async def add(a: int, b: int = 2) -> int:
    return a + b


@defer(retry=3, concurrency=5, max_duration=60, max_concurrency_action="cancel")
async def greet(name: str, *, loud: bool = False) -> str:
    return name.upper() if loud else name


@defer(retry=RetryPolicy(max_attempts=2))
def plain(x: int) -> list[int]:
    return [x]


@defer.cron("0 8 * * MON", concurrency=1)
async def weekly() -> None: ...


async def original(x: int) -> bytes:
    return bytes(x)


async def nightly_original() -> None: ...


called = defer(original, concurrency=5)
nightly = defer.cron(nightly_original, "5 0 * * *", retry=True)


async def application() -> None:
    reveal_type(await add(1, 2))  # R: defer_client.models.Execution
    reveal_type(await add(1, b=2))  # R: defer_client.models.Execution
    reveal_type(await await_result(add)(1, 2))  # R: int
    reveal_type(await await_result(greet, timeout="2m")("x", loud=True))  # R: str
    reveal_type(await await_result(plain)(1))  # R: list[int]
    reveal_type(await await_result(called)(1))  # R: bytes
    reveal_type(await await_result(delay(add, "1 day"))(1))  # R: int
    reveal_type(await delay(add, "1 day")(1))  # R: defer_client.models.Execution
    reveal_type(add.enqueue(1))  # R: defer_client.models.Execution
    reveal_type(sync.await_result(add)(1, 2))  # R: int
    reveal_type(sync.await_result(plain, timeout=5)(1))  # R: list[int]
    reveal_type(await add.local(1))  # R: int
    reveal_type(plain.local(1))  # R: list[int]
    reveal_type(await weekly.local())  # R: None
    reveal_type(sync.get_execution("x"))  # R: defer_client.models.Execution
    await assign_options(greet, delay=timedelta(days=1), metadata={"a": "b"}, discard_after=60)("x")
    await add_metadata(add, {"a": "b"})(1)
    await discard_after(add, 60)(1)
    await add.with_options(delay=5).with_options(metadata={"a": "b"})(1, 2)
    coroutine: Coroutine[Any, Any, Execution] = add(1)
    cron: CronFunction[Coroutine[Any, Any, None]] = nightly
    print(coroutine, cron.cron_expression, add.name, add.options.concurrency)
