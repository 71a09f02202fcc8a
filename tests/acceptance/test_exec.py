"""`defer exec`: a command with an emulator around it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.projects import DEFER, TempProject, clean_environment, eventually, is_alive

pytestmark = pytest.mark.acceptance

FUNCTIONS = {
    "add": "async def add(a: int, b: int) -> int:\n    return a + b",
    "slow": "import asyncio\nasync def slow(seconds: float) -> None:\n    await asyncio.sleep(seconds)",
    "broken": "async def broken() -> None:\n    raise ValueError('no such user')",
}
CALLS = """
import os, urllib.request
from defer.add import add
from defer_client import sync
print(os.environ["DEFER_ENDPOINT"], os.environ["DEFER_TOKEN"])
print(urllib.request.urlopen(os.environ["DEFER_ENDPOINT"] + "/health").status)
print(sync.await_result(add, timeout=30)(1, 2))
"""


@pytest.fixture
def project(tmp_path: Path) -> TempProject:
    return TempProject(tmp_path / "shop", FUNCTIONS)


def start(project: TempProject, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [DEFER, "exec", *words],
        cwd=project.root,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def presence(project: TempProject) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((project.root / ".defer" / "emulator.json").read_text())
    except (OSError, ValueError):
        return None
    return found


def test_the_command_finds_the_emulator_and_its_end_is_ours(project: TempProject) -> None:
    script = project.root / "calls.py"
    script.write_text(CALLS)
    done = project.run("exec", "--", sys.executable, str(script), PYTHONPATH=str(project.root))
    endpoint, health, result = done.stdout.splitlines()
    assert endpoint.startswith("http://127.0.0.1:")
    assert not endpoint.endswith("local local")
    assert (health, result) == ("200", "3")
    assert done.stderr == ""
    assert presence(project) is None, "it is stopped"
    assert project.run("exec", "--", "sh", "-c", "exit 7", check=False).returncode == 7
    assert project.run("exec", "sh", "-c", "kill -TERM $$", check=False).returncode == 128 + signal.SIGTERM


def test_commands_of_ours_inside_use_the_projects_file(project: TempProject, tmp_path: Path) -> None:
    script = f"cd / && {DEFER} run add 1 2 --wait && {DEFER} clock && {DEFER} why @last"
    done = project.run("exec", "--", "sh", "-c", script)
    assert done.stdout.splitlines()[0] == "3"


def test_what_runs_is_finished_first_and_failures_are_told_on_stderr(project: TempProject) -> None:
    done = project.run(
        "exec", "--", "sh", "-c", f"{DEFER} run broken --wait; {DEFER} run slow 1", check=False
    )
    execution = done.stdout.strip()
    assert project.execution(execution)["state"] == "succeed"
    assert "defer/broken.py:5 in broken" in done.stderr
    assert "waiting for 1 execution" in done.stderr


def test_its_output_goes_to_a_file_on_request(project: TempProject) -> None:
    done = project.run("exec", "--log", "dev.log", "--verbose", "--", DEFER, "run", "add", "1", "2", "--wait")
    assert (done.stdout, done.stderr) == ("3\n", "")
    log = (project.root / "dev.log").read_text()
    assert "succeed" in log
    assert "stopped" in log


def test_one_that_runs_already_is_used_and_goes_on(project: TempProject) -> None:
    with project.dev("--port", "0").ready() as dev:
        done = project.run("exec", "--", "sh", "-c", "echo $DEFER_ENDPOINT")
        assert done.stdout.strip() == dev.url
        assert str(dev.pid) in done.stderr and "--log" not in done.stderr
        done = project.run("exec", "--log", "emulator.log", "--", "true")
        assert "it prints where it was started, not here (--log, --verbose)" in done.stderr
        with urllib.request.urlopen(f"{dev.url}/health") as answer:
            assert answer.status == 200
        for words in (("--python", sys.executable), ("--port", "4567")):
            refused = project.run("exec", *words, "--", "echo", "ran", check=False)
            assert (refused.returncode, refused.stdout) == (4, "")
            assert f"{words[0]} is for a new one" in refused.stderr
            assert f"kill {dev.pid}" in refused.stderr


def test_what_cannot_be_started_says_so(project: TempProject) -> None:
    for words, code in ((("nosuch",), 127), (("ls | wc",), 127), (("./defer/add.py",), 126), ((), 2)):
        done = project.run("exec", "--", *words, check=False)
        assert done.returncode == code
        assert done.stderr.startswith("error:")
    (project.root / "defer.toml").write_text("no_such_key = 1\n")
    done = project.run("exec", "--", "true", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no_such_key" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_reach_the_command(project: TempProject, number: signal.Signals) -> None:
    trap = f"trap 'echo caught; exit 9' {number.name[3:]}; echo up; while :; do sleep 0.05; done"
    process = start(project, "--", "sh", "-c", trap)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(number)
    assert process.communicate(timeout=20)[0] == "caught\n"
    assert process.returncode == 9
    assert presence(project) is None


def test_the_emulator_ends_with_a_killed_exec(project: TempProject) -> None:
    process = start(project, "--", "sh", "-c", "echo up; sleep 600")
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    found = presence(project)
    assert found is not None
    process.kill()
    process.wait()
    try:
        eventually(lambda: not is_alive(found["pid"]), "the emulator is gone", 5.0)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_an_emulator_that_dies_is_told(project: TempProject) -> None:
    script = "import json, os; os.kill(json.load(open('.defer/emulator.json'))['pid'], 9)"
    done = project.run("exec", "--", sys.executable, "-c", script, check=False)
    assert done.returncode == 1
    assert "the emulator has ended before the command did" in done.stderr
