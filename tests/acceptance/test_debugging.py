"""Breakpoints: in the terminal, and from an editor, whose protocol the test speaks."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.terminal import Terminal
from tests.dap import Debugger
from tests.projects import DEFER, TempProject, clean_environment

pytestmark = pytest.mark.acceptance

ADD = """
    from defer_client import RetryPolicy, await_result, current_execution, defer

    from .double import double

    @defer(retry=RetryPolicy(max_attempts=3, initial_interval=0.01), max_duration=1, concurrency=1)
    async def add(a: int, b: int) -> int:
        total = a + b
        print("total is", total)
        if b < 0:
            raise ValueError("negative")
        await double(total)
        return total
"""
ADD_LINE = 9  # where `total` is known
STOP = """
    import time

    async def stop(seconds: float = 0) -> str:
        answer = "none"
        breakpoint()
        return answer
"""
DOUBLE = "async def double(n: int) -> int: return 2 * n"
CALL_ADD = """
    from defer_client import await_result, defer

    from .add import add

    @defer(max_duration=1)
    async def call_add() -> int:
        return await await_result(add)(1, 2)
"""


@pytest.fixture
def project(tmp_path: Path) -> TempProject:
    return TempProject(tmp_path, {"add": ADD, "stop": STOP, "double": DOUBLE, "call_add": CALL_ADD})


def foreground(
    project: TempProject, *arguments: str, stdin: str = "", check: bool = True
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [DEFER, "run", *arguments, "--debug"],
        cwd=project.root,
        env=clean_environment(),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


def last(project: TempProject, function: str) -> dict[str, object]:
    row: dict[str, object] = project.json("list", "--function", function, "--limit", "1")["data"][0]
    return row


# --- in the terminal ----------------------------------------------------------------------------


def test_an_execution_in_the_foreground_is_one_like_any_other(project: TempProject) -> None:
    done = foreground(project, "add", "1", "2", "--metadata", "team=growth")
    assert done.stdout == "total is 3\n3\n"
    row = last(project, "add")
    assert (row["state"], row["attempt"], row["metadata"]) == ("succeed", 1, {"team": "growth"})
    assert project.run("result", str(row["id"])).stdout == "3\n"
    assert "total is 3" in project.run("logs", str(row["id"])).stdout
    child = last(project, "double")
    assert (child["executed_by"], child["state"]) == (row["id"], "created")


def test_breakpoints_read_from_the_terminal(project: TempProject) -> None:
    done = foreground(project, "stop", stdin="answer = 'typed'\nc\n")
    assert "-> return answer" in done.stdout
    assert done.stdout.splitlines()[-1].endswith('"typed"')


def test_a_failure_is_final_whatever_the_policy_says(project: TempProject) -> None:
    done = foreground(project, "add", "1", "--b", "-2", check=False)
    assert done.returncode == 1
    assert "ValueError: negative" in done.stderr
    assert f'add.py", line {ADD_LINE + 1}' in done.stderr
    row = last(project, "add")
    assert (row["state"], row["error_code"], row["attempt"]) == ("failed", "ER0003", 1)


def test_quitting_the_debugger_aborts_the_execution(project: TempProject) -> None:
    done = foreground(project, "stop", stdin="q\n", check=False)
    assert done.returncode == 130
    assert last(project, "stop")["state"] == "aborted"


def test_ctrl_c_at_a_breakpoint_costs_nothing_and_in_blocking_code_ends_it_at_once(
    project: TempProject,
) -> None:
    terminal = Terminal(project.root, "run", "stop", "--debug")
    terminal.shows("(Pdb)")
    while "--KeyboardInterrupt--" not in terminal.text:  # readline misses one that comes as it begins to read
        assert terminal.process.poll() is None, terminal.text
        terminal.process.send_signal(signal.SIGINT)
        terminal.read_now()
    terminal.type("answer = 'goes on'\nc\n")
    terminal.shows('"goes on"')
    assert terminal.process.wait(timeout=20) == 0
    assert last(project, "stop")["state"] == "succeed"

    project.write("stop", STOP.replace("breakpoint()", "print('sleeps', flush=True); time.sleep(60)"))
    terminal = Terminal(project.root, "run", "stop", "--debug")
    terminal.shows("sleeps")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(timeout=20) == 130
    assert last(project, "stop")["state"] == "aborted"


def test_no_emulator_takes_or_ends_what_stands_at_a_breakpoint(project: TempProject) -> None:
    process = subprocess.Popen(
        [DEFER, "run", "stop", "--debug"],
        cwd=project.root,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    while "answer" not in process.stdout.readline():
        pass
    with project.dev("--port", "0") as dev:
        dev.ready()
        double = project.call("double", "4")
        project.wait_for(double, "succeed")
        assert last(project, "stop")["state"] == "started"
        process.stdin.write("c\n")
        process.stdin.close()
        assert process.wait(20) == 0
        assert last(project, "stop")["state"] == "succeed"
    process.stdout.close()


def test_one_whose_process_was_killed_is_ended_as_interrupted(project: TempProject) -> None:
    process = subprocess.Popen(
        [DEFER, "run", "stop", "--debug"],
        cwd=project.root,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while "answer" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate()
    foreground(project, "add", "1", "2")
    row = last(project, "stop")
    assert (row["state"], row["error_code"]) == ("failed", "ER0000")


def test_a_limit_that_is_reached_is_kept(project: TempProject) -> None:
    (project.root / "defer" / "stop.py").write_text(
        "from defer_client import defer\n\n\n@defer(concurrency=1)\n"
        "async def stop() -> None:\n    breakpoint()\n"
    )
    process = subprocess.Popen(
        [DEFER, "run", "stop", "--debug"],
        cwd=project.root,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while "stop" not in process.stdout.readline():
        pass
    refused = foreground(project, "stop", check=False)
    assert refused.returncode == 4
    assert "concurrency is 1" in refused.stderr
    process.terminate()
    process.communicate()
    assert last(project, "stop")["state"] == "aborted"


def test_a_file_that_does_not_import_says_where(project: TempProject) -> None:
    project.write("broken", "import no_such_module\n\nasync def broken() -> None: ...")
    refused = foreground(project, "broken", check=False)
    assert refused.returncode == 1
    assert "defer/broken.py:4" in refused.stderr
    assert "no_such_module" in refused.stderr
    assert project.json("list")["data"] == []


@pytest.mark.parametrize("option", [["--delay", "1h"], ["--slow", "1s"], ["--wait", "--timeout", "1s"]])
def test_what_makes_no_sense_in_the_foreground_is_refused(project: TempProject, option: list[str]) -> None:
    assert foreground(project, "double", "1", *option, check=False).returncode == 2


# --- from an editor -----------------------------------------------------------------------------


@pytest.fixture
def port() -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = probe.getsockname()[1]
    yield number


def test_an_editor_attaches_to_executions_and_that_costs_neither_a_retry_nor_a_timeout(
    project: TempProject, port: int
) -> None:
    with project.dev("--port", "0", "--debug", "add", "--debug-port", str(port)) as dev:
        dev.ready()
        assert f"executions of add wait for a debugger to attach to 127.0.0.1:{port}" in dev.output
        parent, pause = project.call("call_add"), 1.5  # seconds: longer than the max_duration of both
        look_at_total(project, port, pause)
        assert project.wait_for(parent, "succeed")["attempt"] == 1
        (child,) = project.json("list", "--executed-by", parent)["data"]
        assert (child["state"], child["attempt"]) == ("succeed", 1)
        again = project.call("add", "1", "2")
        look_at_total(project, port, 0.0)
        assert project.wait_for(again, "succeed")["attempt"] == 1


def look_at_total(project: TempProject, port: int, pause: float) -> None:
    """Attach to an execution of `add`, stand at its breakpoint for a while, and let it go."""
    with Debugger(port) as debugger:
        debugger.attach({project.root / "defer" / "add.py": [ADD_LINE]})
        frame = debugger.stopped()
        assert (frame["name"], frame["line"]) == ("add", ADD_LINE)
        assert debugger.evaluate("total", frame) == "3"
        time.sleep(pause)
        debugger.go_on()
        debugger.wait_for("terminated")


def test_an_editor_starts_an_execution_in_the_foreground(project: TempProject, port: int) -> None:
    process = subprocess.Popen(
        [
            *(sys.executable, "-Xfrozen_modules=off", "-m", "debugpy", "--listen", str(port)),
            *("--wait-for-client", DEFER, "run", "add", "1", "2", "--debug"),
        ],
        cwd=project.root,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    with Debugger(port) as debugger:
        debugger.attach({project.root / "defer" / "add.py": [ADD_LINE]})
        frame = debugger.stopped()
        assert debugger.evaluate("total", frame) == "3"
        debugger.go_on()
        assert process.wait(20) == 0
    assert process.communicate()[0].splitlines()[-1] == "3"


def test_without_a_debugger_in_the_projects_python_it_says_what_to_install(
    project: TempProject, tmp_path: Path
) -> None:
    bare = tmp_path / "bare" / "bin"
    bare.mkdir(parents=True)
    python = bare / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    python.chmod(0o755)
    refused = project.run("dev", "--debug", "add", "--python", str(python), check=False)
    assert refused.returncode == 6
    assert "-m pip install debugpy" in refused.stderr


def test_a_port_that_is_taken_is_an_error(project: TempProject) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = str(taken.getsockname()[1])
        refused = project.run("dev", "--debug", "add", "--debug-port", number, check=False)
    assert refused.returncode == 4
    assert number in refused.stderr
