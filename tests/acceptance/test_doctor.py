"""`defer doctor`: each part of the machine and the project is fit, or the way to mend it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.projects import TempProject

ADD = {"add": "async def add(a, b):\n    return a + b"}


@pytest.fixture
def project(tmp_path: Path) -> TempProject:
    return TempProject(tmp_path, ADD)


def doctor(project: TempProject, code: int, **environment: str) -> dict[str, Any]:
    """The findings by name."""
    done = project.run("doctor", "--output", "json", check=False, **environment)
    assert done.returncode == code, done.stdout + done.stderr
    return {row["name"]: row for row in json.loads(done.stdout)["data"]}


def problems(found: dict[str, Any]) -> list[str]:
    assert all(row["fix"] for row in found.values() if not row["ok"])
    return [name for name, row in found.items() if not row["ok"]]


def test_every_part_is_looked_at(project: TempProject) -> None:
    with project.dev("--port", "0") as dev:
        dev.ready()
        found = doctor(project, 0)
        assert str(dev.pid) in found["lock"]["message"]
        assert dev.url in found["emulator"]["message"]
        assert problems(doctor(project, 0, DEFER_ENDPOINT=dev.url)) == []
    expected = "python sqlite project config folder names workers functions file clock lock emulator"
    assert list(found) == expected.split()


def test_a_broken_configuration_file_and_python_are_told(project: TempProject) -> None:
    (project.root / "defer.toml").write_text('python = "/nope"\n')
    assert problems(doctor(project, 1)) == ["workers"]
    (project.root / "defer.toml").write_text("max_concurency = 1\n")
    found = doctor(project, 1)
    assert "config" in problems(found)
    assert "max_concurrency" in found["config"]["fix"] + found["config"]["message"]


def test_a_function_with_errors_leads_to_check(project: TempProject) -> None:
    project.write("broken", "from defer_client import defer\nimport no_such_module\n")
    found = doctor(project, 1)
    assert problems(found) == ["functions"]
    assert "defer check" in found["functions"]["fix"]


def test_the_endpoint_of_another_project_is_told(project: TempProject, tmp_path: Path) -> None:
    other = TempProject(tmp_path / "other", ADD)
    with project.dev("--port", "0") as dev:
        dev.ready()
        assert problems(doctor(other, 1, DEFER_ENDPOINT=dev.url)) == ["served"]
    assert problems(doctor(other, 1, DEFER_ENDPOINT="http://127.0.0.1:9")) == ["endpoint"]


def test_a_lock_that_is_held_without_an_emulator_is_told(project: TempProject) -> None:
    from defer_emulator.lock import ProjectLock

    project.call("add", "1", "2")
    with ProjectLock(project.root):
        assert problems(doctor(project, 1)) == ["lock"]
