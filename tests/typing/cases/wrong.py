"""Uses that a type checker must refuse: each line with a mark, for the reasons in it, and no other."""

from defer_client import assign_options, await_result, defer, delay, reschedule_execution, sync


@defer
async def add(a: int, b: int = 2) -> int:
    return a + b


@defer(retyr=3)  # E: call-overload, untyped-decorator
async def misspelt() -> None: ...


@defer(max_concurrency_action="drop")  # E: call-overload, untyped-decorator
async def wrong_action() -> None: ...


@defer.cron("0 8 * * *")  # E: arg-type
async def cron_with_parameters(user: str) -> None: ...


@defer.cron("0 8 * * MON")
async def weekly() -> None: ...


async def plain(x: int) -> int:
    return x


async def application() -> None:
    add(1)  # E: unused-coroutine
    await add("1")  # E: arg-type
    await add()  # E: call-arg
    await add(1, c=2)  # E: call-arg
    add.enqueue(1, "2")  # E: arg-type
    await delay(add, "1 day")("x")  # E: arg-type
    await await_result(add)("x")  # E: arg-type
    sync.await_result(add)()  # E: call-arg
    text: str = await await_result(add)(1)  # E: assignment
    number: int = await add(1)  # E: assignment
    assign_options(add, dely=1)  # E: call-arg
    add.with_options(metadata={"a": 1})  # E: dict-item
    delay(plain, "1 day")  # E: type-var
    await_result(plain)  # E: call-overload
    await add.local("x")  # E: arg-type
    await reschedule_execution(3)  # E: arg-type
    print(text, number)
