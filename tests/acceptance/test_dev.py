"""`defer dev` as a process of its own: start, reload, stop, crash."""

from __future__ import annotations

import json
import signal
import sqlite3
import urllib.request
from pathlib import Path

import pytest

from tests.projects import TempProject, eventually, is_alive

pytestmark = pytest.mark.acceptance

GREET = """
    async def greet(name: str) -> str:
        print("greeting", name)
        return f"hello {name}"
"""
SLOW = """
    import time
    async def slow(seconds: float = 30.0) -> str:
        print("slow begins")
        time.sleep(seconds)
        return "done"
"""


@pytest.fixture
def project(tmp_path: Path) -> TempProject:
    return TempProject(tmp_path / "shop", {"greet": GREET, "slow": SLOW})


def test_a_call_made_before_and_one_made_after_the_start_both_run(project: TempProject) -> None:
    before = project.call("greet", "Ada")
    with project.dev().ready():
        after = project.call("greet", "Grace")
        assert project.wait_for(before, "succeed")["function_name"] == "greet"
        project.wait_for(after, "succeed")
        assert json.loads(project.run("result", after).stdout) == "hello Grace"


def test_health_names_the_project_and_the_version(project: TempProject) -> None:
    with project.dev().ready() as dev, urllib.request.urlopen(f"{dev.url}/health") as answer:
        health = json.load(answer)
    assert health["project"] == "shop"
    assert set(health) == {"status", "project", "version"}


def test_it_prints_what_it_found_each_run_and_what_was_printed(project: TempProject) -> None:
    with project.dev().ready() as dev:
        execution = project.call("greet", "Ada")
        project.wait_for(execution, "succeed")
        dev.says("succeed")
        dev.says("greeting Ada")
        assert "greet" in dev.output
        assert execution[-8:] in dev.output


def test_a_failure_is_shown_with_the_line_of_the_user(project: TempProject) -> None:
    project.write("broken", "async def broken():\n    raise ValueError('no such user')")
    with project.dev().ready() as dev:
        project.wait_for(project.call("broken"), "failed")
        dev.says("no such user")
        dev.says("broken.py")


def test_saved_code_runs_in_the_next_execution(project: TempProject) -> None:
    with project.dev().ready() as dev:
        project.wait_for(project.call("greet", "Ada"), "succeed")
        project.write("greet", GREET.replace("hello", "welcome"))
        dev.says("greet", 5)

        def greeted() -> bool:
            execution = project.call("greet", "Ada")
            project.wait_for(execution, "succeed")
            return json.loads(project.run("result", execution).stdout) == "welcome Ada"

        eventually(greeted, "the new code runs", 5)


def test_a_broken_file_stops_its_own_function_only_and_its_executions_wait(project: TempProject) -> None:
    with project.dev().ready() as dev:
        project.write("greet", "async def greet(name: str) -> str:\n    return 'never closed")
        dev.says("greet.py", 5)
        waiting = project.call("greet", "Ada")
        project.wait_for(project.call("slow", "0"), "succeed")
        assert project.execution(waiting)["state"] == "created"
        project.write("greet", GREET)
        project.wait_for(waiting, "succeed")


def test_a_function_that_never_imported_takes_any_arguments_and_waits(project: TempProject) -> None:
    with project.dev().ready() as dev:
        project.write("leave", "async def leave(name: str) -> str:\n    return 'never closed")
        dev.says("leave.py", 5)
        waiting = project.call("leave", "--name", "Ada")
        assert project.execution(waiting)["state"] == "created"
        project.write("leave", GREET.replace("greet", "leave"))
        project.wait_for(waiting, "succeed")


def test_a_second_one_is_refused_and_names_the_first(project: TempProject) -> None:
    with project.dev().ready() as dev:
        second = project.run("dev", check=False)
        assert second.returncode == 4
        assert str(dev.pid) in second.stderr
        assert "Traceback" not in second.stderr


def test_a_lock_that_a_killed_one_left_is_no_obstacle(project: TempProject) -> None:
    with project.dev().ready() as dev:
        dev.kill()
    with project.dev().ready():
        project.wait_for(project.call("greet", "Ada"), "succeed")


def test_one_killed_while_it_starts_leaves_no_temporary_folder(project: TempProject, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    hangs = "import time\nopen('importing', 'w').close()\ntime.sleep(600)\ndef hangs(): pass"
    file = project.write("hangs", hangs)
    with project.dev(TMPDIR=str(temporary)) as dev:
        eventually(lambda: (project.root / "importing").exists(), "the import")
        dev.kill()
    file.unlink()
    with project.dev(TMPDIR=str(temporary)).ready() as dev:
        dev.signal(signal.SIGTERM)
        dev.wait()
    assert [path.name for path in temporary.iterdir()] == []


def test_a_temporary_folder_with_a_long_path_is_no_obstacle(project: TempProject, tmp_path: Path) -> None:
    temporary = tmp_path / ("long" * 25)  # a socket's path may have 104 bytes
    temporary.mkdir()
    with project.dev(TMPDIR=str(temporary)).ready() as dev:
        project.wait_for(project.call("greet", "Ada"), "succeed")
        socket = Path(json.loads((project.root / ".defer" / "emulator.json").read_text())["socket"])
        assert socket.is_socket()
        dev.kill()
    with project.dev(TMPDIR=str(temporary)).ready():
        assert not socket.parent.exists()


def test_kill_9_leaves_no_process_after_two_seconds(project: TempProject) -> None:
    project.write(
        "stubborn",
        """
        import signal, subprocess, sys, time
        async def stubborn():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
            print("stubborn begins")
            while True:
                time.sleep(0.1)
        """,
    )
    with project.dev().ready() as dev:
        project.call("stubborn")
        dev.says("stubborn begins")
        family = dev.descendants()
        assert len(family) >= 3
        dev.kill()
        eventually(lambda: not any(map(is_alive, family)), "all its processes are gone", 2.0)


def test_ctrl_c_lets_what_runs_finish(project: TempProject) -> None:
    with project.dev().ready() as dev:
        execution = project.call("slow", "1")
        dev.says("slow begins")
        dev.signal(signal.SIGINT)
        assert dev.wait() == 0
    assert project.execution(execution)["state"] == "succeed"


def test_a_second_ctrl_c_ends_what_runs(project: TempProject) -> None:
    with project.dev().ready() as dev:
        execution = project.call("slow", "60")
        dev.says("slow begins")
        family = dev.descendants()
        dev.signal(signal.SIGINT)
        dev.says("Ctrl-C again ends them now")
        dev.signal(signal.SIGINT)
        dev.wait(5)
        assert not any(map(is_alive, family))
    row = project.execution(execution)
    assert (row["state"], row["error_code"]) == ("failed", "ER0000")


def test_sigterm_interrupts_what_runs_and_everything_is_gone_within_five_seconds(
    project: TempProject,
) -> None:
    with project.dev().ready() as dev:
        execution = project.call("slow", "60")
        dev.says("slow begins")
        family = dev.descendants()
        dev.signal(signal.SIGTERM)
        dev.wait(5)
        assert not any(map(is_alive, family))
    assert project.execution(execution)["error_code"] == "ER0000"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_an_import_that_hangs_is_obeyed_at_once(project: TempProject, number: int) -> None:
    project.write("hangs", "import time\nopen('importing', 'w').close()\ntime.sleep(600)\ndef hangs(): pass")
    with project.dev() as dev:
        eventually(lambda: (project.root / "importing").exists(), "the import")
        family = dev.descendants()
        dev.signal(number)
        assert dev.wait(5) == 0
        assert not any(map(is_alive, family))


def test_a_parent_that_waits_for_tomorrows_child_does_not_hold_a_clean_stop_up(project: TempProject) -> None:
    project.write(
        "parent",
        """
        from defer_client import await_result, defer, delay
        from .greet import greet
        async def parent() -> str:
            print("parent begins")
            return await await_result(delay(greet, "1 day"))("Ada")
        parent = defer(parent)
        """,
    )
    with project.dev().ready() as dev:
        execution = project.call("parent")
        dev.says("parent begins")
        dev.signal(signal.SIGINT)
        assert dev.wait(10) == 0
    row = project.execution(execution)
    assert (row["state"], row["attempt"]) == ("created", 0)


def test_no_acknowledged_call_is_lost_by_kill_9(project: TempProject) -> None:
    project.write("count", "async def count(n: int) -> int:\n    return n")
    acknowledged = []
    for round_number in range(5):
        with project.dev().ready() as dev:
            for n in range(3):
                acknowledged.append(project.call("count", str(n)))
            if round_number % 2:
                dev.says("count")
            dev.kill()
    with project.dev().ready():
        for execution in acknowledged:
            project.wait_for(execution, "succeed", "failed")
    with sqlite3.connect(project.root / ".defer" / "state.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
