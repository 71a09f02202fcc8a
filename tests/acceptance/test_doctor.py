"""`defer doctor`: each part of the machine and the project is fit, or the way to mend it is told."""

from __future__ import annotations

import json
import shutil
import socket
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
        assert "is the emulator's" in found["port"]["message"]
    expected = "python sqlite project config folder names workers functions file clock lock emulator port"
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


def test_without_a_project_that_is_told_once(tmp_path: Path) -> None:
    project = TempProject(tmp_path / "shop")
    shutil.rmtree(project.root)
    project.root.mkdir()
    found = doctor(project, 1)
    assert problems(found) == ["project"]
    assert "defer init" in found["project"]["fix"]


def test_names_that_something_else_has_are_told(project: TempProject) -> None:
    site = project.root / ".venv" / "lib" / "python3.12" / "site-packages" / "defer"
    site.mkdir(parents=True)
    (site / "__init__.py").touch()
    (project.root / "defer" / "__init__.py").unlink()
    found = doctor(project, 1)
    assert "names" in problems(found)
    text = project.run("doctor", check=False).stdout
    assert "pip uninstall defer" in text
    assert "create an empty defer/__init__.py" in text


def test_a_worker_that_starts_but_cannot_run_is_told(project: TempProject) -> None:
    (project.root / "defer.toml").write_text('after_fork = "nowhere:hook"\n')
    found = doctor(project, 1)
    assert problems(found) == ["workers"]
    assert "No module named 'nowhere'" in found["workers"]["message"]


def test_a_file_that_is_damaged_or_no_database_is_told(project: TempProject) -> None:
    project.call("add", "1", "2")
    file = project.root / ".defer" / "state.db"
    with file.open("r+b") as damaged:
        damaged.seek(4096)
        damaged.write(b"\xff" * 40_000)
    assert problems(doctor(project, 1))[0] == "file"
    file.write_bytes(b"something else" * 100)
    assert problems(doctor(project, 1))[0] == "file"


def test_the_port_and_the_clock_are_told(project: TempProject) -> None:
    project.call("add", "1", "2")
    project.run("clock", "advance", "3d")
    assert "3d" in doctor(project, 0)["clock"]["message"]
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        (project.root / "defer.toml").write_text(f"port = {other.getsockname()[1]}\n")
        assert problems(doctor(project, 1)) == ["port"]
    (project.root / "defer.toml").write_text('host = "no.such.host.invalid"\n')
    assert problems(doctor(project, 1)) == ["port"]
