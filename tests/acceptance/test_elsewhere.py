"""`defer` installed in one place runs a project with the Python of another, which has only the wheel."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_readme import build_wheel
from tests.projects import TempProject, clean_environment

pytestmark = pytest.mark.acceptance

ADD = {
    "add": """
        import sys
        from importlib.util import find_spec
        from defer_client import defer

        names = "typer", "httpx", "starlette", "uvicorn", "msgspec", "croniter", "dotenv", "jinja2"

        @defer
        async def add(a: int, b: int) -> dict[str, object]:
            return {
                "sum": a + b,
                "prefix": sys.prefix,
                "python": list(sys.version_info[:3]),
                "others": list(filter(find_spec, names)),
            }
    """
}
PROGRAM = """
import asyncio, sys
from defer.add import add
from defer_client import await_result, get_execution, list_executions, sync

async def main():
    execution = await add(1, 2)
    found = await get_execution(execution.id)
    page = await list_executions()
    assert page.data[0].id == found.id
    if "--wait" in sys.argv:
        print((await await_result(add, timeout=20)(3, 4))["sum"])

asyncio.run(main())
print(add.enqueue(5, 6).state.value)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build_wheel(folder)
    (found,) = folder.glob("*.whl")
    return found


def install(wheel: Path, python: Path) -> None:
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def make_environment(folder: Path, python: str = "") -> Path:
    """Its interpreter. Without pip, as uv makes them."""
    if python:
        subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    else:
        venv.create(folder, symlinks=True)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """An environment that holds the wheel and nothing else."""
    folder = tmp_path_factory.mktemp("project") / "env"
    install(wheel, make_environment(folder))
    return folder


@pytest.fixture
def project(tmp_path: Path, environment: Path) -> TempProject:
    """A project with that environment as its `.venv`."""
    project = TempProject(tmp_path / "shop", ADD)
    shutil.copytree(environment, project.root / ".venv", symlinks=True)
    return project


def other_python() -> str:
    """An interpreter of another version than this one's, which defer supports. Skips where there is none."""
    for minor in (13, 12, 11, 10, 14):
        if (3, minor) == sys.version_info[:2]:
            continue
        if (found := runnable(f"python3.{minor}")) is not None:
            return found
    pytest.skip("this machine has one version of Python only")


def runnable(name: str) -> str | None:
    """A path of that interpreter. Those that a version manager holds are looked at, too."""
    held = sorted(Path.home().glob(f".pyenv/versions/{name.removeprefix('python')}.*/bin/python"))
    for candidate in (shutil.which(name), *map(str, held)):
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True).returncode == 0:
            return candidate
    return None


def result_of(project: TempProject, *words: str, **environment: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(project.run("run", *words, "--wait", **environment).stdout)
    return found


def test_the_environment_of_the_project_runs_its_functions_and_needs_no_dependency(
    project: TempProject,
) -> None:
    python = project.root / ".venv" / "bin" / "python"
    with project.dev("--port", "0") as dev:
        dev.ready()
        assert "at .venv/bin/python, the project's .venv" in dev.output
        result = result_of(project, "add", "1", "2")
        program = subprocess.run(
            [python, "-c", PROGRAM, "--wait"],
            cwd=project.root,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert (result["sum"], result["prefix"], result["others"]) == (3, str(project.root / ".venv"), [])
    assert (program.stdout, program.stderr) == ("7\ncreated\n", "")


def test_a_program_there_stores_calls_without_an_emulator(project: TempProject) -> None:
    python = project.root / ".venv" / "bin" / "python"
    subprocess.run([python, "-c", PROGRAM], cwd=project.root, env=clean_environment(), check=True, timeout=60)
    assert [row["state"] for row in project.json("list")["data"]] == ["created"] * 2


def test_every_command_that_imports_the_project_takes_that_python(project: TempProject) -> None:
    project.write("late", "import only_there\nasync def late() -> None: ...")
    (site,) = (project.root / ".venv" / "lib").glob("python3*/site-packages")
    (site / "only_there.py").touch()
    assert project.run("check").returncode == 0
    assert {row["name"] for row in project.json("functions")["data"]} == {"add", "late"}
    rows = {row["name"]: row for row in project.json("doctor")["data"]}
    assert ".venv/bin/python, the project's .venv" in rows["workers"]["message"]
    assert project.run("check", "--python", sys.executable, check=False).returncode == 1


def test_another_version_of_python_is_taken_by_option_and_by_configuration(
    project: TempProject, tmp_path: Path, wheel: Path
) -> None:
    python = make_environment(tmp_path / "other", other_python())
    install(wheel, python)
    with project.dev("--port", "0", "--python", str(tmp_path / "other")) as dev:
        dev.ready()
        result = result_of(project, "add", "1", "2")
        version = ".".join(map(str, result["python"]))
        assert f"{version} at {python}, as --python says" in dev.output
    assert result["prefix"] == str(tmp_path / "other")
    assert result["python"][:2] != list(sys.version_info[:2])
    (project.root / "defer.toml").write_text('python = "../other/bin/python"\n')
    with project.dev("--port", "0") as dev:
        dev.ready()
        assert result_of(project, "add", "1", "2")["prefix"] == str(tmp_path / "other")
        assert "as the configuration says" in dev.output


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[TempProject]:
    """A project whose `.venv` has nothing installed."""
    project = TempProject(tmp_path / "shop", ADD)
    make_environment(project.root / ".venv")
    yield project


def test_a_python_without_the_client_is_refused_with_the_command_that_installs_it(bare: TempProject) -> None:
    for words in (("check",), ("functions",), ("dev",), ("exec", "--", "true")):
        done = bare.run(*words, check=False)
        assert done.returncode == 6, words
        assert "has no defer_client installed" in done.stderr
        assert f"{bare.root}/.venv/bin/python -m pip install --no-deps defer-cli==" in done.stderr
        assert "Traceback" not in done.stderr
    rows = {
        row["name"]: row for row in json.loads(bare.run("doctor", "-o", "json", check=False).stdout)["data"]
    }
    assert not rows["workers"]["ok"]
    assert "pip install --no-deps" in rows["workers"]["fix"]


def test_another_version_of_the_client_is_refused(bare: TempProject) -> None:
    (site,) = (bare.root / ".venv" / "lib").glob("python3*/site-packages")
    (site / "defer_client").mkdir()
    (site / "defer_client" / "__init__.py").touch()
    (site / "defer_client" / "_version.py").write_text('__version__ = "0.0.7"\n')
    done = bare.run("check", check=False)
    assert done.returncode == 6
    assert "it has defer_client 0.0.7, and this defer is" in done.stderr


def test_a_python_that_is_too_old_is_refused_by_its_version(bare: TempProject) -> None:
    old = next((found for minor in (9, 8, 7, 6) if (found := runnable(f"python3.{minor}"))), None)
    if old is None:
        pytest.skip("this machine has no Python before 3.10")
    done = bare.run("check", "--python", old, check=False)
    assert done.returncode == 6
    assert "defer needs Python 3.10 or newer, and this is 3." in done.stderr


def test_no_python_at_all_is_said(bare: TempProject) -> None:
    for python in ("nowhere/python", "python4", "3.99"):
        done = bare.run("check", "--python", python, check=False)
        assert done.returncode == 6
        assert "there is no such Python" in done.stderr
