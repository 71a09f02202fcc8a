"""Retries, from the option in a file to the attempts that the command line shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.projects import Dev, TempProject, eventually

FUNCTIONS = {
    "flaky": """
        from defer_client import RetryPolicy, current_execution, defer

        @defer(retry=RetryPolicy(max_attempts=3, initial_interval=0.01, randomization_factor=0))
        async def flaky(good_at):
            attempt = current_execution().attempt
            print("this is attempt", attempt)
            if attempt < good_at:
                raise ValueError(f"not yet: {attempt}")
            return attempt
    """,
    "by_mapping": """
        from defer_client import defer

        @defer(retry={"max_attempts": 1, "initial_interval": 0.01})
        async def by_mapping():
            raise ValueError("never")
    """,
    "by_number": """
        from defer_client import defer

        @defer(retry=2)
        async def by_number():
            raise ValueError("never")
    """,
    "by_true": """
        from defer_client import defer

        @defer(retry=True)
        async def by_true():
            raise ValueError("never")
    """,
    "greedy": """
        from defer_client import defer

        @defer(retry={"max_attempts": 5, "initial_interval": 0.01})
        async def greedy():
            kept = []
            while True:
                kept.append(bytearray(b"x" * 10_000_000))
    """,
    "dies": """
        import os
        from defer_client import defer

        @defer(retry={"max_attempts": 1, "initial_interval": 0.01})
        async def dies():
            os._exit(3)
    """,
    "slow": """
        import time
        from defer_client import defer

        @defer(retry={"max_attempts": 1, "initial_interval": 0.01}, max_duration=0.2)
        async def slow():
            time.sleep(60)
    """,
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> TempProject:
    root: Path = tmp_path_factory.mktemp("retries")
    (root / "defer.toml").write_text('memory_limit = "300MB"\n')
    return TempProject(root, FUNCTIONS)


@pytest.fixture(scope="module")
def dev(project: TempProject) -> Iterator[Dev]:
    with project.dev("--port", "0") as dev:
        yield dev.ready()


def test_every_shorthand_of_the_policy_arrives(project: TempProject, dev: Dev) -> None:
    policies = {row["name"]: row["retry"] for row in project.json("functions")["data"]}
    assert policies["by_true"]["max_attempts"] == 13
    assert policies["by_number"] == {
        "max_attempts": 2,
        "initial_interval": 30.0,
        "multiplier": 1.5,
        "randomization_factor": 0.5,
        "max_interval": 600.0,
    }
    assert policies["by_mapping"]["initial_interval"] == 0.01
    assert policies["flaky"]["max_attempts"] == 3


def test_it_is_tried_until_it_succeeds_and_each_attempt_is_kept(project: TempProject, dev: Dev) -> None:
    execution = project.call("flaky", "3")
    row = project.wait_for(execution, "succeed", "failed")
    assert (row["state"], row["attempt"], row["error_code"]) == ("succeed", 3, None)
    assert project.json("result", execution) == 3

    attempts = project.json("attempts", execution)["data"]
    assert [one["id"] for one in attempts] == [f"{execution}.{number}" for number in (3, 2, 1)]
    assert [one["state"] for one in attempts] == ["succeed", "failed", "failed"]
    assert [one["error"] and one["error"]["message"] for one in attempts] == [
        None,
        "not yet: 2",
        "not yet: 1",
    ]
    assert all(one["generation"] >= 1 for one in attempts)
    newest, second, first = attempts
    assert first["created_at"] == row["created_at"]
    assert second["created_at"] == first["finished_at"]
    for one in attempts:
        assert one["created_at"] <= one["scheduled_at"] <= one["started_at"] <= one["finished_at"]
    assert newest["started_at"] == row["started_at"]


def test_one_attempt_is_shown_with_its_own_error_and_logs(project: TempProject, dev: Dev) -> None:
    execution = project.call("flaky", "3")
    project.wait_for(execution, "succeed")
    second = project.execution(f"{execution}.2")
    assert (second["id"], second["state"], second["error"]["message"]) == (
        f"{execution}.2",
        "failed",
        "not yet: 2",
    )
    lines = [line["message"] for line in project.json("logs", f"{execution}.2")["data"]]
    assert lines == ["this is attempt 2"]
    assert len(project.json("logs", execution)["data"]) == 3
    assert project.json("why", f"{execution[-8:]}.2")["reason"] == "failed"
    assert "not yet: 2" in project.run("show", f"{execution[-8:]}.2").stdout


def test_a_mapping_bounds_the_attempts(project: TempProject, dev: Dev) -> None:
    row = project.wait_for(project.call("by_mapping"), "failed")
    assert (row["attempt"], row["error_code"]) == (2, "ER0003")


def test_a_number_waits_half_a_minute_or_more_and_why_says_so(project: TempProject, dev: Dev) -> None:
    execution = project.call("by_number")
    answer = {"reason": ""}
    while answer["reason"] != "retry":
        answer = project.json("why", execution)
        assert answer["reason"] in ("starting", "running", "retry")
    details = answer["details"]
    assert (details["attempt"], details["attempts"]) == (2, 3)
    assert 10 < details["seconds"] <= 45
    assert details["last_error"]["message"] == "never"
    project.run("reschedule", execution)
    eventually(
        lambda: project.execution(execution)["attempt"] == 2, "the retry that was brought forward runs"
    )


def test_out_of_memory_is_never_tried_again(project: TempProject, dev: Dev) -> None:
    row = project.wait_for(project.call("greedy"), "failed")
    assert (row["attempt"], row["error_code"]) == (1, "ER0002")


def test_a_process_that_died_and_a_timeout_are_tried_again(project: TempProject, dev: Dev) -> None:
    dead, late = project.call("dies"), project.call("slow")
    row = project.wait_for(dead, "failed")
    assert (row["attempt"], row["error_code"]) == (2, "ER0003")
    row = project.wait_for(late, "failed")
    assert (row["attempt"], row["error_code"]) == (2, "ER0001")
