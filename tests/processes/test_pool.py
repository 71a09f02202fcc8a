"""The pool with real processes: what runs, what it prints, how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from defer_client.models import ErrorCode
from defer_emulator.domain.jobs import JobEnd
from defer_emulator.runner.frames import LONGEST_JOB
from defer_emulator.workers import tree
from tests.processes.pools import PoolUnderTest, running_pool, write_functions

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("both_starts")]

Scenario = Callable[[PoolUnderTest], Coroutine[Any, Any, None]]


def play(root: Path, functions: dict[str, str], scenario: Scenario, **options: Any) -> None:
    """Run a scenario on a loaded pool."""

    async def main() -> None:
        write_functions(root, functions)
        async with running_pool(root, **options) as pool:
            await pool.load()
            await scenario(pool)

    uvloop.run(main())


def run_one(
    root: Path, source: str, *args: Any, keyword: dict[str, Any] | None = None, **options: Any
) -> tuple[JobEnd, list[str]]:
    """The end of one attempt of `job`, and its log lines with their stream."""
    found: list[Any] = []

    async def scenario(pool: PoolUnderTest) -> None:
        end = await pool.run("job", *args, **(keyword or {}))
        lines = [f"{chunk.stream}: {chunk.message}" for chunk in pool.recorder.chunks]
        found.extend((end, lines))

    play(root, {"job": source}, scenario, **options)
    return found[0], found[1]


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return tree.is_zombie(pid)


# --- results and errors -------------------------------------------------------------------------


def test_async_function_returns_its_result(tmp_path: Path) -> None:
    end, _ = run_one(tmp_path, "async def job(a, *, b):\n    return {'sum': a + b}", 1, keyword={"b": 2})
    assert (end.end, json.loads(end.result or "")) == ("returned", {"sum": 3})


def test_plain_function_runs_outside_of_an_event_loop(tmp_path: Path) -> None:
    end, _ = run_one(
        tmp_path, "import asyncio\ndef job():\n    return asyncio.run(asyncio.sleep(0, result=[1, None]))"
    )
    assert (end.end, end.result) == ("returned", "[1, null]")


def test_exception_is_reported_with_the_frames_of_the_user_only(tmp_path: Path) -> None:
    source = "def inner():\n    return {}['x']\nasync def job():\n    inner()"
    end, _ = run_one(tmp_path, source)
    assert end.end == "raised" and end.failure is not None
    assert (end.failure.name, end.failure.message, end.failure.code) == ("KeyError", "'x'", ErrorCode.USER)
    assert end.failure.arguments == ["x"]
    assert "in inner" in end.failure.stack and "in job" in end.failure.stack
    assert "asyncio" not in end.failure.stack and "defer_emulator" not in end.failure.stack


def test_exception_without_a_message_gives_its_class_name(tmp_path: Path) -> None:
    end, _ = run_one(tmp_path, "async def job():\n    raise ValueError")
    assert end.failure is not None and end.failure.message == "ValueError"


@pytest.mark.parametrize(
    ("raised", "name", "message"),
    [
        ("raise SystemExit(3)", "SystemExit", "called sys.exit(3)"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise asyncio.CancelledError", "CancelledError", "CancelledError"),
        ("raise GeneratorExit", "GeneratorExit", "GeneratorExit"),
        ("await job.original()", "RecursionError", "recursion"),
    ],
)
def test_any_base_exception_fails_the_attempt_and_spares_the_worker(
    tmp_path: Path, raised: str, name: str, message: str
) -> None:
    async def scenario(pool: PoolUnderTest) -> None:
        end = await pool.run("job")
        assert end.end == "raised" and end.failure is not None
        assert end.failure.name == name and message in end.failure.message
        assert end.failure.code is ErrorCode.USER
        assert (await pool.run("pid")).result == (await pool.run("pid")).result

    source = f"import asyncio\nasync def job():\n    {raised}"
    play(tmp_path, {"job": source, "pid": "import os\ndef pid(): return os.getpid()"}, scenario, warm=1)


def test_memory_error_is_out_of_memory(tmp_path: Path) -> None:
    end, _ = run_one(tmp_path, "async def job():\n    raise MemoryError")
    assert end.failure is not None
    assert (end.failure.name, end.failure.code) == ("OOMError", ErrorCode.OUT_OF_MEMORY)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("{'at': [object()]}", "result.at[0]: object"),
        ("float('nan')", "result: nan"),
        ("{1: 2}", "result: dict with a key"),
    ],
)
def test_result_that_is_not_json_fails_and_names_the_value(tmp_path: Path, value: str, path: str) -> None:
    end, _ = run_one(tmp_path, f"async def job():\n    return {value}")
    assert end.end == "raised" and end.failure is not None
    assert end.failure.code is ErrorCode.USER and end.failure.message.startswith(path)


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        ("os._exit(3)", "exit code 3"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
    ],
)
def test_process_that_ends_is_a_failure_that_says_how(tmp_path: Path, deed: str, said: str) -> None:
    end, lines = run_one(
        tmp_path, f"import os, signal\ndef job():\n    print('last words', flush=True)\n    {deed}"
    )
    assert end.end == "died" and end.failure is not None
    assert (end.failure.name, end.failure.code) == ("ProcessDied", ErrorCode.USER)
    assert said in end.failure.message
    assert "stdout: last words" in lines


def test_function_that_closes_our_descriptors_is_ended(tmp_path: Path) -> None:
    end, _ = run_one(tmp_path, "import os, time\ndef job():\n    os.closerange(3, 256)\n    time.sleep(60)")
    assert end.end == "died"


def test_child_that_the_function_forks_reports_nothing(tmp_path: Path) -> None:
    source = """
        import os
        def job():
            pid = os.fork()
            if pid == 0:
                return "child"
            os.waitpid(pid, 0)
            return "parent"
    """
    end, _ = run_one(tmp_path, source)
    assert end.result == '"parent"'


def test_execution_is_known_inside_and_marked_in_the_environment(tmp_path: Path) -> None:
    source = """
        import asyncio, os
        from defer_client import defer
        from defer_client.current import current_execution
        @defer
        async def job():
            current = current_execution()
            token = os.environ["DEFER_EXECUTION_TOKEN"]
            in_thread = await asyncio.get_running_loop().run_in_executor(None, current_execution)
            assert in_thread == current, in_thread
            return [current.function, current.attempt, token.startswith(current.id + "."), os.getcwd()]
    """
    end, _ = run_one(tmp_path, source)
    assert json.loads(end.result or "") == ["job", 1, True, str(tmp_path)]


# --- output -------------------------------------------------------------------------------------


def test_everything_printed_before_the_end_belongs_to_the_attempt(tmp_path: Path) -> None:
    source = """
        import os, subprocess, sys
        def job():
            print("one")
            print("two", file=sys.stderr)
            os.write(1, b"three\\n")
            subprocess.run(["echo", "four"], check=True)
            print("ünd\\ud800", end="")
    """
    _, lines = run_one(tmp_path, source)
    assert [line for line in lines if line.startswith("stdout")] == [
        "stdout: one",
        "stdout: three",
        "stdout: four",
        "stdout: ünd\\ud800",
    ]
    assert "stderr: two" in lines


def test_line_appears_while_the_function_still_runs(tmp_path: Path) -> None:
    async def scenario(pool: PoolUnderTest) -> None:
        sequence = await pool.start("job")
        assert await pool.printed(sequence) == ["now"]
        pool.pool.kill(sequence)
        assert (await pool.end_of(sequence)).end == "killed"

    play(tmp_path, {"job": "import time\ndef job():\n    print('now')\n    time.sleep(60)"}, scenario)


def test_hundred_megabytes_of_output_keep_their_beginning_and_end(tmp_path: Path) -> None:
    source = """
        import os
        def job():
            print("first")
            block = (b"x" * 99 + b"\\n") * 10_000
            for _ in range(100):
                os.write(1, block)
            print("last")
    """
    end, lines = run_one(tmp_path, source)
    assert end.end == "returned"
    assert lines[0] == "stdout: first" and lines[-1] == "stdout: last"
    assert sum(len(line) for line in lines) < 13 * 1024 * 1024
    assert sum(line.startswith("system: … 89") for line in lines) == 1


# --- ending what does not end -------------------------------------------------------------------

UNCOOPERATIVE = """
    import os, signal, subprocess, sys, time
    def job():
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
        daemon = "import subprocess, sys; "
        daemon += "print(subprocess.Popen(sys.argv[1:], start_new_session=True, env={}).pid)"
        print(subprocess.Popen(sleeper, start_new_session=True).pid)
        subprocess.run([sys.executable, "-c", daemon, *sleeper], check=True)
        while True:
            try:
                time.sleep(60)
            except BaseException:
                pass
"""


def test_kill_ends_uncooperative_code_with_its_daemons(tmp_path: Path) -> None:
    async def scenario(pool: PoolUnderTest) -> None:
        sequence = await pool.start("job")
        pids = [int(line) for line in await pool.printed(sequence, 2)]
        begun = time.monotonic()
        pool.pool.kill(sequence)
        end = await pool.end_of(sequence)
        assert time.monotonic() - begun < 2
        assert end.end == "killed"
        assert all(is_gone(pid) for pid in pids)

    play(tmp_path, {"job": UNCOOPERATIVE}, scenario)


def test_one_that_is_killed_before_its_worker_has_taken_it_never_runs(tmp_path: Path) -> None:
    source = "import os\ndef job(path, _padding=''):\n    open(path, 'a').close()\n    return os.getpid()"

    async def scenario(pool: PoolUnderTest) -> None:
        for padding in ("", " " * LONGEST_JOB):  # which goes another way
            worker = int((await pool.run("job", os.devnull)).result or "")
            os.kill(worker, signal.SIGSTOP)
            sequence = await pool.start("job", str(tmp_path / "told"), padding)
            pool.pool.kill(sequence)
            assert (await pool.end_of(sequence)).end == "killed"
            await pool.run("job", os.devnull)
        assert not (tmp_path / "told").exists()

    play(tmp_path, {"job": source}, scenario, warm=1)


def test_deadline_ends_the_attempt(tmp_path: Path) -> None:
    async def scenario(pool: PoolUnderTest) -> None:
        end = await pool.run("job", max_duration=0.2)
        assert end.end == "timed_out" and end.failure is not None
        assert (end.failure.name, end.failure.code) == ("TimeoutError", ErrorCode.TIMEOUT)

    play(tmp_path, {"job": "async def job():\n    while True: pass"}, scenario)


def test_memory_limit_counts_all_processes_of_the_attempt(tmp_path: Path) -> None:
    source = """
        import subprocess, sys, time
        def job():
            subprocess.run([sys.executable, "-c", "import time; x = bytearray(150_000_000); time.sleep(60)"])
    """
    end, _ = run_one(tmp_path, source, memory_limit=100_000_000)
    assert end.end == "out_of_memory" and end.failure is not None
    assert (end.failure.name, end.failure.code) == ("OOMError", ErrorCode.OUT_OF_MEMORY)


def test_memory_that_processes_share_counts_once(tmp_path: Path) -> None:
    source = """
        import os, time
        def job():
            kept = bytearray(os.urandom(1)) * 100_000_000
            children = [pid for _ in range(4) if (pid := os.fork()) or time.sleep(0.3) or os._exit(0)]
            for pid in children:
                os.waitpid(pid, 0)
            return len(kept)
    """
    end, _ = run_one(tmp_path, source, memory_limit=200_000_000)
    assert end.result == "100000000"


def test_nobody_is_to_blame_for_memory_that_earlier_executions_have_kept(tmp_path: Path) -> None:
    source = """
        import os, time
        kept = []
        def job():
            kept.append(bytearray(os.urandom(1)) * 110_000_000)
            time.sleep(0.25)
    """

    async def scenario(pool: PoolUnderTest) -> None:
        assert [(await pool.run("job")).end for _ in range(3)] == ["returned"] * 3

    play(tmp_path, {"job": source}, scenario, memory_limit=200_000_000, warm=1)


# --- what an attempt leaves behind --------------------------------------------------------------


def test_next_attempt_finds_the_process_as_it_was(tmp_path: Path) -> None:
    dirty = """
        import asyncio, os, random, signal, sys
        async def dirty():
            os.environ["LEFT"] = "1"
            os.environ.pop("HOME", None)
            os.chdir("/")
            sys.path.append("/left")
            sys.stdout = open("/dev/null", "w")
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            random.seed(1)
            os.umask(0o777)
            asyncio.create_task(asyncio.sleep(60), name="forgotten")
            await asyncio.to_thread(print)
            return os.getpid()
    """
    look = """
        import asyncio, os, random, signal, sys
        async def look():
            print("visible")
            return [os.getpid(), os.environ.get("LEFT"), "HOME" in os.environ, os.getcwd(),
                    "/left" in sys.path,
                    signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, os.umask(0o22), random.random(),
                    len(asyncio.all_tasks())]
    """

    async def scenario(pool: PoolUnderTest) -> None:
        first = (await pool.run("look")).result or ""
        dirty_pid = json.loads((await pool.run("dirty")).result or "")
        sequence = await pool.start("look")
        after = json.loads((await pool.end_of(sequence)).result or "")
        before = json.loads(first)
        assert after[0] == dirty_pid, "the worker was kept"
        assert after[1:7] == before[1:7] and after[8] == 1
        assert after[7] != 0.13436424411240122  # what a seed of 1 gives
        assert pool.recorder.lines(sequence) == ["visible"]
        assert "was cancelled" in pool.recorder.lines(2, "system")[0]

    play(tmp_path, {"dirty": dirty, "look": look}, scenario, warm=1)


def test_thread_left_running_costs_the_worker_and_is_over_with_the_attempt(tmp_path: Path) -> None:
    source = """
        import os, threading, time
        def job():
            threading.Thread(target=time.sleep, args=(60,), name="lingering").start()
            return os.getpid()
    """

    async def scenario(pool: PoolUnderTest) -> None:
        end = await pool.run("job")
        assert end.end == "returned" and is_gone(json.loads(end.result or ""))
        assert "lingering" in pool.recorder.lines(1, "system")[0]
        assert (await pool.run("job")).end == "returned"

    play(tmp_path, {"job": source}, scenario)


def test_an_idle_thread_of_a_pool_that_the_project_keeps_costs_nothing(tmp_path: Path) -> None:
    source = """
        import asyncio, concurrent.futures, os
        pool = concurrent.futures.ThreadPoolExecutor(1)
        async def job():
            return await asyncio.get_running_loop().run_in_executor(pool, os.getpid)
    """
    busy = """
        import os, time
        from defer.job import pool
        def busy():
            pool.submit(time.sleep, 60)
            return os.getpid()
    """

    async def scenario(pool: PoolUnderTest) -> None:
        first, second = [(await pool.run("job")).result for _ in range(2)]
        assert first == second
        assert not pool.recorder.lines(1, "system")
        assert (await pool.run("busy")).result == first  # the same process
        assert "left a thread running" in pool.recorder.lines(3, "system")[0]
        assert (await pool.run("job")).result != first

    play(tmp_path, {"job": source, "busy": busy}, scenario, warm=1)


def test_process_left_running_is_ended_with_the_attempt(tmp_path: Path) -> None:
    started = "subprocess.Popen(['sleep', '60'], start_new_session=True).pid"
    source = f"import subprocess\ndef job():\n    return {started}"
    end, lines = run_one(tmp_path, source)
    assert end.end == "returned" and is_gone(json.loads(end.result or ""))
    assert any("was ended: sleep" in line for line in lines)


# --- growth -------------------------------------------------------------------------------------


def test_pool_grows_for_jobs_that_sleep(tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    async def scenario(pool: PoolUnderTest) -> None:
        sequences = [await pool.start("job", str(gate)) for _ in range(12)]
        gate.touch()
        pids = {(await pool.end_of(sequence)).result for sequence in sequences}
        assert len(pids) == 12

    source = """
        import os, time
        def job(gate):
            while not os.path.exists(gate):
                time.sleep(0.01)
            return os.getpid()
    """
    play(tmp_path, {"job": source}, scenario)


def test_close_leaves_no_process(tmp_path: Path) -> None:
    pids: list[int] = []

    async def scenario(pool: PoolUnderTest) -> None:
        sequence = await pool.start("job")
        pids.extend(int(line) for line in await pool.printed(sequence, 2))

    play(tmp_path, {"job": UNCOOPERATIVE}, scenario)
    assert len(pids) == 2 and all(is_gone(pid) for pid in pids)
    assert tree.with_environment(f"DEFER_PROJECT_ID={tmp_path}") == []


def test_worker_killed_while_idle_is_replaced(tmp_path: Path) -> None:
    async def scenario(pool: PoolUnderTest) -> None:
        first = json.loads((await pool.run("pid")).result or "")
        os.kill(first, signal.SIGKILL)
        await pool.until(lambda: is_gone(first), "its death")
        await asyncio.sleep(0.05)
        assert json.loads((await pool.run("pid")).result or "") != first

    play(tmp_path, {"pid": "import os\ndef pid(): return os.getpid()"}, scenario, warm=1)


def test_a_job_that_the_queue_of_an_idle_worker_refuses_goes_through_its_channel(tmp_path: Path) -> None:
    async def scenario(pool: PoolUnderTest) -> None:
        await pool.until(lambda: pool.pool.room, "an idle worker", wanting=1)
        for worker in pool.pool._fleet._idle:  # as where the system has small buffers
            worker._jobs._ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        assert (await pool.run("job", "x" * 20_000)).result == "20000"

    play(tmp_path, {"job": "def job(text): return len(text)"}, scenario, warm=1)


def test_a_worker_that_can_be_given_nothing_is_replaced(tmp_path: Path) -> None:
    async def scenario(pool: PoolUnderTest) -> None:
        await pool.until(lambda: pool.pool.room, "an idle worker", wanting=1)
        for worker in pool.pool._fleet._idle:
            worker._jobs._ours.close()
        assert (await pool.run("job")).result == "1"

    play(tmp_path, {"job": "def job(): return 1"}, scenario, warm=1)


def test_a_pool_that_closes_takes_no_job(tmp_path: Path) -> None:
    looking: list[asyncio.Task[int]] = []

    async def look(pool: PoolUnderTest) -> int:
        return pool.pool.room

    async def scenario(pool: PoolUnderTest) -> None:
        await pool.until(lambda: pool.pool.room, "an idle worker", wanting=1)
        looking.append(asyncio.create_task(look(pool)))  # as soon as the end has begun

    play(tmp_path, {"job": "def job(): pass"}, scenario)
    assert looking[0].result() == 0
