"""`defer why`, and acting on executions, with their exit codes and their JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.projects import Dev, TempProject, eventually

NOT_FOUND, CONFLICT, USAGE, FAILED = 3, 4, 2, 1
UNKNOWN = "01a22bba-5f37-7985-a03a-adf75ba61934"

FUNCTIONS = {
    "sleepy": """
        import asyncio

        async def sleepy(seconds):
            await asyncio.sleep(seconds)
            return seconds
    """,
    "single": """
        from defer_client import defer
        import asyncio

        @defer(concurrency=1)
        async def single(seconds=60):
            await asyncio.sleep(seconds)
    """,
    "parent": """
        from defer_client import await_result, defer
        from .sleepy import sleepy

        @defer
        async def parent():
            await await_result(sleepy)(60)
    """,
}
WHY_FIELDS = {"id", "state", "reason", "message", "details", "commands", "also"}


@pytest.fixture
def project(tmp_path: Path) -> TempProject:
    return TempProject(tmp_path, FUNCTIONS)


@pytest.fixture
def dev(project: TempProject) -> Iterator[Dev]:
    with project.dev("--port", "0") as dev:
        yield dev.ready()


def fails(project: TempProject, *arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code, and the error's stable word."""
    done = project.run(*arguments, "--output", "json", check=False, **environment)
    assert done.stdout == ""
    error = json.loads(done.stderr.splitlines()[-1])
    assert error.keys() == {"error", "message", "hint"}
    return done.returncode, error["error"]


def why(project: TempProject, execution: str) -> dict[str, Any]:
    answer: dict[str, Any] = project.json("why", execution)
    assert answer.keys() == WHY_FIELDS
    return answer


def becomes(project: TempProject, execution: str, reason: str) -> dict[str, Any]:
    found: dict[str, Any] = eventually(
        lambda: (answer := why(project, execution))["reason"] == reason and answer, f"{execution} is {reason}"
    )
    return found


def test_without_an_emulator_why_names_defer_dev(project: TempProject) -> None:
    execution = project.call("sleepy", "1")
    answer = why(project, execution)
    assert (answer["id"], answer["state"], answer["reason"]) == (execution, "created", "no_emulator")
    assert answer["commands"] == ["defer dev"]
    text = project.run("why", "@last").stdout
    assert "no emulator runs" in text
    assert "defer dev" in text
    assert "no emulator runs" in project.run("show", "@last").stdout


def test_why_of_what_does_not_exist(project: TempProject) -> None:
    assert fails(project, "why", UNKNOWN) == (NOT_FOUND, "not_found")
    assert fails(project, "why", "@last")[0] == NOT_FOUND
    assert fails(project, "why")[0] == USAGE


def test_why_follows_an_execution_through_its_life(project: TempProject, dev: Dev) -> None:
    delayed = project.call("sleepy", "0", "--delay", "1h")
    assert why(project, delayed)["reason"] == "delayed"
    project.run("pause", "sleepy")
    project.run("reschedule", delayed)
    assert becomes(project, delayed, "paused")["commands"] == ["defer resume sleepy"]
    project.run("resume", "sleepy")
    becomes(project, delayed, "succeeded")

    parent = project.call("parent")
    child = becomes(project, parent, "parked")["details"]["waits_for"][0]
    assert becomes(project, child, "running")["details"]["attempt"] == 1
    project.run("cancel", parent, "--force", "--tree")
    becomes(project, parent, "aborted")
    becomes(project, child, "aborted")


def test_why_names_who_holds_the_place_and_the_error_of_a_broken_file(project: TempProject, dev: Dev) -> None:
    first = project.call("single")
    second = project.call("single")
    assert becomes(project, second, "concurrency")["details"]["held_by"] == [first]
    project.write("sleepy", "from defer_client import defer\nimport no_such_module\n")
    third = project.call("sleepy", "0", "--delay", "1ms")
    assert "no_such_module" in becomes(project, third, "broken")["message"]
    (project.root / "defer" / "sleepy.py").unlink()
    becomes(project, third, "removed")


def test_after_a_crash_what_ran_is_an_orphan(project: TempProject) -> None:
    with project.dev("--port", "0") as dev:
        dev.ready()
        execution = project.call("single")
        becomes(project, execution, "running")
        dev.kill()
        assert why(project, execution)["commands"] == ["defer dev"]
        assert why(project, execution)["reason"] == "orphaned"


def test_an_emulator_for_some_functions_only_says_so(project: TempProject) -> None:
    with project.dev("--port", "0", "--only", "single", "--only", "singel") as dev:
        dev.ready()
        dev.says("only single, singel runs; all others queue")
        dev.says("there is no function 'singel' yet")
        assert becomes(project, project.call("sleepy", "0"), "not_selected")["details"] == {
            "only": ["single", "singel"]
        }


def test_the_whole_emulators_places(project: TempProject) -> None:
    (project.root / "defer.toml").write_text("max_concurrency = 1\n")
    with project.dev("--port", "0") as dev:
        dev.ready()
        project.call("single")
        waiting = project.call("sleepy", "0")
        assert becomes(project, waiting, "max_concurrency")["details"] == {"limit": 1, "running": 1}


# --- conflicts ------------------------------------------------------------------------------------


def test_conflicts_have_their_exit_codes(project: TempProject, dev: Dev) -> None:
    running, done, waiting = project.call("sleepy", "60"), project.call("sleepy", "0"), project.call("single")
    later = project.call("sleepy", "0", "--delay", "1h")
    project.wait_for(running, "started")
    project.wait_for(done, "succeed")
    assert fails(project, "cancel", running) == (CONFLICT, "conflict")
    assert fails(project, "cancel", done, "--force") == (CONFLICT, "conflict")
    assert fails(project, "reschedule", running, "1h") == (CONFLICT, "conflict")
    assert fails(project, "reschedule", done) == (CONFLICT, "conflict")
    assert fails(project, "cancel", UNKNOWN) == (NOT_FOUND, "not_found")
    assert fails(project, "reschedule", later, "not-a-time")[0] == USAGE
    assert fails(project, "pause", "slepy")[0] == NOT_FOUND
    assert project.json("cancel", later)["state"] == "cancelled"
    assert fails(project, "cancel", later) == (CONFLICT, "conflict")
    assert project.json("cancel", running, "--force")["state"] == "aborting"
    again = project.json("rerun", later)
    assert (again["rerun_of"], again["state"]) == (later, "created")
    project.wait_for(running, "aborted")
    project.run("cancel", waiting, "--force")


# --- rerun --edit -----------------------------------------------------------------------------


def editor(project: TempProject, script: str) -> str:
    path = project.root / "editor.sh"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def edit(project: TempProject, execution: str, script: str) -> tuple[int, str]:
    return fails(project, "rerun", "--edit", execution, VISUAL=editor(project, script))


def test_edited_arguments_make_a_new_execution(project: TempProject) -> None:
    first = project.call("sleepy", "7", "--metadata", "team=growth")
    script = 'cat "$1" > seen.json; echo \'{"seconds": 8}\' > "$1"'
    done = project.run("rerun", "--edit", first, "-o", "json", EDITOR=editor(project, script))
    again = json.loads(done.stdout)
    assert json.loads((project.root / "seen.json").read_text()) == {"seconds": 7}
    assert (again["rerun_of"], again["metadata"], again["function_name"]) == (
        first,
        {"team": "growth"},
        "sleepy",
    )
    assert "seconds = 8" in project.run("show", again["id"]).stdout
    assert "  7\n" in project.run("show", first).stdout, "the old one keeps its own"


def test_what_is_wrong_with_edited_arguments_is_an_error_without_a_terminal(project: TempProject) -> None:
    first = project.call("sleepy", "7")
    assert edit(project, first, 'echo "{" > "$1"') == (USAGE, "invalid_arguments")
    assert edit(project, first, 'echo "7" > "$1"') == (USAGE, "invalid_arguments")
    assert edit(project, first, 'echo "{\\"second\\": 1}" > "$1"') == (USAGE, "invalid_arguments")
    assert edit(project, first, "exit 1") == (FAILED, "edit_failed")
    assert edit(project, first, "true") == (USAGE, "usage")
    assert fails(project, "rerun", "--edit", first, VISUAL="", EDITOR="") == (USAGE, "usage")
    assert fails(project, "rerun", "--edit", "--state", "failed")[0] == USAGE
    assert len(project.json("list")["data"]) == 1, "nothing was enqueued"


def test_unchanged_arguments_are_rerun_with_yes(project: TempProject) -> None:
    first = project.call("sleepy", "7")
    done = project.run("rerun", "--edit", first, "--yes", "-o", "json", EDITOR="true")
    assert json.loads(done.stdout)["rerun_of"] == first
