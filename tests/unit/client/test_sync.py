from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from typing import Any

import pytest

import defer_client
from defer_client import ExecutionFilters, InvalidRequest, Page, defer, executions, sync
from tests.unit.client.fakes import NOON, FakeBackend, execution


@defer
async def add(a: int, b: int) -> int:
    return a + b


def test_every_function_of_the_package_has_a_blocking_form() -> None:
    values = {"CronFunction", "CurrentExecution", "DeferredFunction", "__version__"}
    for name in set(defer_client.__all__) - values:
        public = getattr(defer_client, name)
        if not isinstance(public, type):
            assert hasattr(sync, name), name


def test_blocking_forms_ask_the_backend_without_an_event_loop(backend: FakeBackend) -> None:
    assert sync.get_execution("x").id == "x"
    assert sync.now() == NOON
    sync.list_executions(Page(first=5))
    sync.cancel_execution("x", True)
    sync.reschedule_execution("x", "1h")
    assert sync.rerun_execution("x").rerun_of == "x"
    assert backend.asked == [
        ("get_execution", "x"),
        ("list_executions", Page(first=5), ExecutionFilters()),
        ("cancel_execution", "x", True),
        ("reschedule_execution", "x", timedelta(hours=1)),
    ]


def test_they_also_work_with_a_backend_that_needs_a_loop(backend: FakeBackend) -> None:
    backend.immediate = False
    assert sync.get_execution("x").id == "x"
    assert add.enqueue(1, 2).function_name == "add"


def test_they_work_in_many_threads_at_once(backend: FakeBackend) -> None:
    backend.immediate = False
    threads = [threading.Thread(target=add.enqueue, args=(number, 0)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert len(backend.calls) == 20


def test_blocking_code_that_the_kept_loop_runs_does_not_wait_for_itself(backend: FakeBackend) -> None:
    backend.immediate = False

    async def outer() -> str:
        return sync.get_execution("inner").id

    assert sync.run(outer()) == "inner"


def test_errors_come_through(backend: FakeBackend) -> None:
    for immediate in (True, False):
        backend.immediate = immediate
        with pytest.raises(InvalidRequest, match=r"execution\.id"):
            sync.get_execution(execution())  # type: ignore[arg-type]


def test_what_is_of_another_type_is_refused_before_anything_is_asked(backend: FakeBackend) -> None:
    wrong: Any = {"first": 2}
    with pytest.raises(InvalidRequest, match="page must be of type Page, not dict"):
        sync.list_executions(wrong)
    with pytest.raises(InvalidRequest, match="filters must be of type ExecutionFilters, not dict"):
        sync.list_execution_attempts("x", None, wrong)
    with pytest.raises(InvalidRequest, match="force must be True or False, not 'no'"):
        sync.cancel_execution("x", force="no")  # type: ignore[arg-type]
    assert backend.asked == []


def test_the_async_forms_do_the_same(backend: FakeBackend) -> None:
    async def application() -> None:
        assert (await executions.get_execution("x")).id == "x"
        assert (await executions.list_executions()).data == []
        assert (await executions.list_execution_attempts("x")).data == []
        assert await executions.now() == NOON

    asyncio.run(application())


FORKS = """
import os
from defer_client import defer, sync
@defer
async def f() -> int: return 1
assert sync.await_result(f)() == 1
child = os.fork()
if child == 0:
    assert sync.await_result(f)() == 1
    os._exit(0)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

WAITS = """
import asyncio, sys
from defer_client import sync
async def forever():
    print("waiting", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("cancelled", flush=True)
sync.run(forever())
"""


RECURSES = """
from defer_client import defer, sync
@defer
def factorial(n: int) -> int: return 1 if n == 0 else n * sync.await_result(factorial)(n - 1)
assert sync.await_result(factorial)(5) == 120
"""

ENDS = """
from defer_client import defer, sync, ExecutionFailed
@defer
async def ends(error: str) -> None: raise {"exit": SystemExit(3), "interrupt": KeyboardInterrupt()}[error]
for error, expected in ("exit", ExecutionFailed), ("interrupt", KeyboardInterrupt), ("exit", ExecutionFailed):
    try: sync.await_result(ends)(error)
    except expected as caught: assert error != "exit" or "sys.exit(3)" in str(caught)
"""


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(
            FORKS, marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"), id="in a fork"
        ),
        pytest.param(RECURSES, id="in functions that block for themselves"),
        pytest.param(ENDS, id="of functions that end their thread"),
    ],
)
def test_blocking_forms_work(script: str) -> None:
    environment = {**os.environ, "DEFER_BACKEND": "inline"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_ends_a_wait() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=10)
    assert "KeyboardInterrupt" in error
