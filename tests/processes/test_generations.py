"""Loading code: what is found, what is wrong with it, and new code beside old."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from defer_emulator.interpreter import WorkersUnavailable
from defer_emulator.runner.describe import describe_project
from defer_emulator.runner.frames import ForkFailed
from defer_emulator.workers import tree
from tests.processes.pools import (
    PoolUnderTest,
    load_request,
    pool_options,
    running_pool,
    write_functions,
)

pytestmark = pytest.mark.processes

FINE = "async def fine():\n    return 'fine'"


def play(root: Path, scenario: Callable[[PoolUnderTest], Coroutine[Any, Any, None]], **options: Any) -> None:
    async def main() -> None:
        async with running_pool(root, **options) as pool:
            await scenario(pool)

    uvloop.run(main())


def test_facts_of_a_function_are_found_by_importing_it(tmp_path: Path) -> None:
    source = '''
        from defer_client import RetryPolicy, defer

        @defer(
            concurrency=5, retry=RetryPolicy(max_attempts=2), max_duration=60, max_concurrency_action="cancel"
        )
        async def job(a: int, *rest, b: "str" = "x", **more) -> None:
            """Does it.

            At length.
            """
    '''
    cron = "from defer_client import defer\n@defer.cron('0 8 * * MON')\ndef tick(): pass"
    write_functions(tmp_path, {"job": source, "tick": cron})
    result = asyncio.run(describe_project(pool_options(tmp_path), load_request(tmp_path)))
    job, tick = result.functions
    assert (job.name, job.module, job.file, job.line, job.kind) == (
        "job",
        "defer.job",
        "defer/job.py",
        6,
        "background",
    )
    assert (job.concurrency, job.retry.max_attempts, job.max_duration) == (5, 2, 60.0)
    assert (job.max_concurrency_action, job.is_async, job.doc) == ("cancel", True, "Does it.")
    shown = [(p.name, p.kind, p.required, p.annotation, p.default) for p in job.parameters]
    assert shown == [
        ("a", "positional_or_keyword", True, "int", None),
        ("rest", "var_positional", False, None, None),
        ("b", "keyword_only", False, "str", "'x'"),
        ("more", "var_keyword", False, None, None),
    ]
    assert (tick.kind, tick.cron, tick.is_async) == ("cron", "0 8 * * MON", False)
    assert tmp_path / "defer" / "job.py" in result.modules
    assert result.forkable


def test_one_bad_file_never_stops_the_others(tmp_path: Path) -> None:
    bad = {
        "syntax": "def syntax(:",
        "missing": "import nothing_of_that_name",
        "leaves": "import sys\nsys.exit(3)",
        "dies": "import os\nos._exit(4)",
        "hangs": "import time\ntime.sleep(60)",
        "empty": "from defer_client import defer",
        "through": "import helper",
    }
    write_functions(tmp_path, {**bad, "fine": FINE})
    (tmp_path / "helper.py").write_text("print('helping')\n\nraise ValueError('broken')\n")
    (tmp_path / "defer" / "hangs.py").write_text("import time\ntime.sleep(60)\n")

    async def scenario(pool: PoolUnderTest) -> None:
        result = await pool.load()
        assert [function.name for function in result.functions] == ["fine"]
        problems = {problem.function: problem for problem in result.problems}
        assert problems.keys() == bad.keys()
        assert "SyntaxError" in problems["syntax"].message
        assert "nothing_of_that_name" in problems["missing"].message
        assert "sys.exit(3)" in problems["leaves"].message
        assert "exit code 4" in problems["dies"].message
        assert "did not end within 2 s" in problems["hangs"].message
        assert "no background function named empty" in problems["empty"].message
        through = problems["through"]
        assert (through.source, through.file, through.line) == ("defer/through.py", "helper.py", 3)
        assert "ValueError: broken" in through.message and "importlib" not in through.traceback
        assert "helping" in result.output
        assert (await pool.run("fine")).result == '"fine"'

    play(tmp_path, scenario, import_timeout=2)


def test_setup_runs_first_and_its_failure_is_that_of_every_function(tmp_path: Path) -> None:
    write_functions(tmp_path, {"fine": "import os\nasync def fine():\n    return os.environ['PREPARED']"})
    (tmp_path / "hooks.py").write_text(
        "import os\ndef prepare(): os.environ['PREPARED'] = os.environ['GIVEN']\ndef broken(): 1 / 0\n"
    )

    async def scenario(pool: PoolUnderTest) -> None:
        assert not (await pool.load(env={"GIVEN": "yes"}, setup="hooks:prepare")).problems
        assert (await pool.run("fine")).result == '"yes"'
        (problem,) = (await pool.load(setup="hooks:broken")).problems
        assert problem.function == "fine" and "setup hooks:broken failed" in problem.message

    play(tmp_path, scenario)


def test_after_fork_runs_in_each_worker(tmp_path: Path) -> None:
    write_functions(tmp_path, {"job": "import hooks, os\ndef job():\n    return hooks.pid == os.getpid()"})
    (tmp_path / "hooks.py").write_text("import os\ndef renew():\n    global pid\n    pid = os.getpid()\n")

    async def scenario(pool: PoolUnderTest) -> None:
        await pool.load(after_fork="hooks:renew")
        assert (await pool.run("job")).result == "true"
        await pool.load(after_fork="hooks:missing")
        end = await pool.run("job")
        assert end.failure is not None and end.failure.name == "AttributeError"

    play(tmp_path, scenario)


def test_new_code_runs_beside_old(tmp_path: Path) -> None:
    def version(number: int) -> str:
        wait = "    while path and not os.path.exists(path): time.sleep(0.01)"
        return f"import os, time\ndef job(path):\n{wait}\n    return {number}"

    async def scenario(pool: PoolUnderTest) -> None:
        pool.write(job=version(1))
        assert (await pool.load()).generation == pool.pool.generation == 1
        old = await pool.start("job", str(tmp_path / "go"))
        pool.write(job=version(2))  # within a second, and of the same size
        loading = asyncio.create_task(pool.load())
        await asyncio.sleep(0)
        assert pool.pool.room == 0, "nothing starts while code is loading"
        assert (await loading).generation == pool.pool.generation == 2
        assert (await pool.run("job", "")).result == "2"
        (tmp_path / "go").touch()
        assert (await pool.end_of(old)).result == "1"

    play(tmp_path, scenario)


def test_old_generation_ends_with_its_last_run(tmp_path: Path) -> None:
    write_functions(tmp_path, {"job": "import os\ndef job(): return os.getppid()"})

    async def scenario(pool: PoolUnderTest) -> None:
        await pool.load()
        parent = json.loads((await pool.run("job")).result or "")
        await pool.load()
        await pool.until(lambda: not Path(f"/proc/{parent}").exists(), "the end of the old generation")
        assert not pool.recorder.troubles

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("threading.Thread(target=time.sleep, args=(60,), daemon=True, name='poller').start()", "poller"),
        ("left = socket.socket()", "socket"),
        ("left = asyncio.new_event_loop()", "event loop"),
    ],
)
def test_project_that_must_not_be_forked_is_spawned(tmp_path: Path, line: str, reason: str) -> None:
    source = f"import asyncio, socket, threading, time\n{line}\nasync def job(): return 'spawned'"
    write_functions(tmp_path, {"job": source})

    async def scenario(pool: PoolUnderTest) -> None:
        result = await pool.load()
        assert not result.forkable and reason in (result.unforkable or "")
        assert (await pool.run("job")).result == '"spawned"'

    play(tmp_path, scenario, warm=1)


def test_spawned_workers_do_all_that_forked_ones_do(tmp_path: Path) -> None:
    job = "import os, sys, time\ndef job(deed):\n    print('out', flush=True)\n    return eval(deed)"
    write_functions(tmp_path, {"job": job, "broken": "import nothing_of_that_name"})

    async def scenario(pool: PoolUnderTest) -> None:
        result = await pool.load(env={"GIVEN": "yes"})
        assert result.forkable and len(result.problems) == 1
        given = await pool.run("job", "[os.environ['GIVEN'], os.getcwd(), sys.path[0]]")
        assert json.loads(given.result or "") == ["yes", str(tmp_path), str(tmp_path)]
        assert pool.recorder.lines(1) == ["out"]
        assert "exit code 3" in (await pool.run("job", "os._exit(3)")).failure.message  # type: ignore[union-attr]
        sequence = await pool.start("job", "time.sleep(60)")
        pool.pool.kill(sequence)
        assert (await pool.end_of(sequence)).end == "killed"
        end = await pool.run("broken")
        assert end.failure is not None and end.failure.name == "ModuleNotFoundError"

    play(tmp_path, scenario, worker_start="spawn", warm=1)


def test_python_that_cannot_be_started_is_said(tmp_path: Path) -> None:
    write_functions(tmp_path, {"fine": FINE})
    with pytest.raises(WorkersUnavailable, match="nopython"):
        asyncio.run(describe_project(pool_options(tmp_path, python="/nopython"), load_request(tmp_path)))
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\necho 'it is too old' >&2\nexit 1\n")
    old.chmod(0o755)
    with pytest.raises(WorkersUnavailable, match="it is too old"):
        asyncio.run(describe_project(pool_options(tmp_path, python=str(old)), load_request(tmp_path)))


def test_modules_of_the_project_may_have_our_names(tmp_path: Path) -> None:
    for name in ("emulator", "templates", "json", "worker", "base"):
        (tmp_path / f"{name}.py").write_text("mine = True\n")
    source = "import emulator, templates, worker, base\nasync def job(): return base.mine"
    write_functions(tmp_path, {"job": source})

    async def scenario(pool: PoolUnderTest) -> None:
        assert not (await pool.load()).problems
        assert (await pool.run("job")).result == "true"

    play(tmp_path, scenario)


@pytest.mark.parametrize("deed", ["sys.stdout = sys.stderr = None", "sys.stdout.close(); sys.stderr.close()"])
@pytest.mark.parametrize("worker_start", ["fork", "spawn"])
def test_a_file_that_takes_the_streams_away_stops_nobody(
    tmp_path: Path, worker_start: str, deed: str
) -> None:
    source = f"import sys\n{deed}\ndef takes(): pass"
    write_functions(tmp_path, {"takes": source, "tells": "def tells(): print('heard')"})

    async def scenario(pool: PoolUnderTest) -> None:
        assert not (await pool.load()).problems
        assert (await pool.run("tells")).end == "returned"
        assert pool.recorder.lines(1) == ["heard"]

    play(tmp_path, scenario, worker_start=worker_start)


@pytest.mark.parametrize("worker_start", ["fork", "spawn"])
def test_code_whose_process_is_lost_before_it_is_taken_over_is_loaded_again(
    tmp_path: Path, worker_start: str
) -> None:
    source = """
        import os, signal
        if not os.path.exists("armed"):
            open("armed", "w").close()
            signal.setitimer(signal.ITIMER_REAL, 0.5)
        def job(): return 1
    """
    write_functions(tmp_path, {"job": source})

    async def scenario(pool: PoolUnderTest) -> None:
        loading = asyncio.create_task(pool.load())
        for _ in range(5):  # until the base is told to fork
            await asyncio.sleep(0)
        # It says what it holds, and dies, before the loop goes on.
        base = pool.pool._servers._base
        assert base is not None
        deadline = time.monotonic() + 10
        while not (tmp_path / "armed").exists() or tree.descendants(base.process.pid):
            assert time.monotonic() < deadline
            time.sleep(0.01)  # noqa: ASYNC251 - the loop must stand still
        assert not (await loading).problems
        assert (await pool.run("job")).result == "1"

    play(tmp_path, scenario, worker_start=worker_start)


def test_a_load_that_gets_no_process_is_said_and_the_code_before_stays(tmp_path: Path) -> None:
    write_functions(tmp_path, {"fine": FINE})

    async def scenario(pool: PoolUnderTest) -> None:
        await pool.load()
        servers = pool.pool._servers
        loading = asyncio.create_task(pool.load())
        await pool.until(lambda: len(servers._generations) == 2, "a second generation")
        servers._receive(ForkFailed(number=max(servers._generations), message="too many processes"))
        with pytest.raises(WorkersUnavailable, match="too many processes"):
            await loading
        assert (await pool.run("fine")).result == '"fine"'

    play(tmp_path, scenario)
