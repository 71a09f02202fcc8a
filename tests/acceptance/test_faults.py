"""`defer run` with faults, in real workers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.projects import TempProject

pytestmark = pytest.mark.acceptance

STEP = "async def step(n: int) -> int: ..."
FLAKY = """
    import asyncio, os

    from defer_client import RetryPolicy, defer
    from .step import step

    @defer(retry=RetryPolicy(max_attempts=1, initial_interval=0.05), max_duration=2)
    async def flaky(seconds: float = 0) -> int:
        print("its code runs")
        await step(7)
        await asyncio.sleep(seconds)
        return os.getpid()
"""
COUNT = """
    from pathlib import Path

    async def count() -> int:
        file = Path("count")
        file.write_text(file.read_text() + "x" if file.exists() else "x")
        return len(file.read_text())
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TempProject]:
    project = TempProject(tmp_path_factory.mktemp("faults"), {"step": STEP, "flaky": FLAKY, "count": COUNT})
    with project.dev("--port", "0") as dev:
        dev.ready()
        yield project


def attempts(project: TempProject, execution_id: str) -> list[tuple[str, str]]:
    """The state and the error of each, oldest first."""
    rows = project.json("attempts", execution_id)["data"]
    return [(row["state"], (row["error"] or {}).get("message", "")) for row in reversed(rows)]


def test_an_attempt_fails_on_request_and_the_next_one_runs(project: TempProject) -> None:
    execution = project.call("flaky", "--fail-attempt", "1")
    project.wait_for(execution, "succeed")
    assert attempts(project, execution) == [
        ("failed", "injected: attempt 1 fails (--fail-attempt 1)"),
        ("succeed", ""),
    ]
    assert project.run("logs", execution).stdout.count("its code runs") == 1
    assert "injected    --fail-attempt 1" in project.run("show", execution).stdout
    assert "injected: --fail-attempt 1" in project.run("attempts", execution).stdout
    assert project.execution(execution)["injected"] == "--fail-attempt 1"


def test_faults_belong_to_one_execution_alone(project: TempProject) -> None:
    execution = project.call("flaky", "--fail-attempt", "1", "--fail-attempt", "2")
    project.wait_for(execution, "failed")
    again = project.json("rerun", execution)["id"]
    assert len(attempts(project, project.wait_for(again, "succeed")["id"])) == 1
    assert "injected" not in project.execution(again)


def test_a_process_is_killed_at_its_time_once(project: TempProject) -> None:
    execution = project.call("flaky", "0.7", "--kill-at", "300ms")
    project.wait_for(execution, "succeed")
    (first, message), second = attempts(project, execution)
    assert first == "failed"
    assert message == "injected: its process was killed by SIGKILL 300ms after its start (--kill-at)"
    assert second == ("succeed", "")


def test_slowness_counts_against_the_deadline(project: TempProject) -> None:
    execution = project.call("flaky", "--slow", "10s")
    found = project.wait_for(execution, "failed")
    assert found["error_code"] == "ER0001"
    assert "injected: waits 10s before its code (--slow)" in project.run("logs", execution).stdout


def test_a_second_delivery_says_what_differed(project: TempProject) -> None:
    done = project.run("run", "count", "--deliver-twice", "--wait")
    assert json.loads(done.stdout) == 1
    assert "injected: the results differ: first 1, then 2" in done.stderr
    assert "injected: neither delivery enqueued an execution" in done.stderr
    assert (project.root / "count").read_text() == "xx"


def test_a_second_delivery_enqueues_again(project: TempProject) -> None:
    done = project.run("run", "flaky", "--deliver-twice", "--wait")
    assert "injected: the second delivery enqueued the same again: step(7)" in done.stderr


@pytest.mark.parametrize(
    "options", [["--fail-attempt", "0"], ["--kill-at", "0s"], ["--slow", "often"], ["--kill-at", "-1s"]]
)
def test_faults_that_make_no_sense_are_refused(project: TempProject, options: list[str]) -> None:
    assert project.run("run", "count", *options, check=False).returncode == 2
