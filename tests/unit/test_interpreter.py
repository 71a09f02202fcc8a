"""Which Python runs the functions: the asked one, the configured one, the project's, or the own one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from defer_emulator.interpreter import Interpreter, WorkersUnavailable, choose_python


def make_environment(folder: Path) -> Path:
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    (folder / "lib" / "python3.12" / "site-packages").mkdir(parents=True)
    return python


def test_without_an_environment_of_its_own_a_project_is_run_where_defer_is_installed(tmp_path: Path) -> None:
    chosen = choose_python(tmp_path)
    assert chosen == Interpreter(path=sys.executable, why="where defer is installed", is_own=True)
    assert any((folder / "pytest").is_dir() for folder in chosen.package_folders())


def test_the_first_of_option_configuration_and_environment_is_taken(tmp_path: Path) -> None:
    local = make_environment(tmp_path / ".venv")
    configured, asked = make_environment(tmp_path / "a"), make_environment(tmp_path / "b")

    assert choose_python(tmp_path).path == str(local)
    assert choose_python(tmp_path, configured="a/bin/python").path == str(configured)
    assert choose_python(tmp_path, configured="a/bin/python", asked=str(asked)).path == str(asked)
    assert [choose_python(tmp_path).why, choose_python(tmp_path, configured="a").why] == [
        "the project's .venv",
        "as the configuration says",
    ]


def test_an_environment_is_meant_by_its_folder_too_and_a_link_in_it_is_not_followed(tmp_path: Path) -> None:
    python = make_environment(tmp_path / "env")
    python.unlink()
    python.symlink_to("/bin/sh")
    chosen = choose_python(tmp_path, asked="env")
    assert chosen.path == str(tmp_path / "env" / "bin" / "python")
    assert chosen.package_folders() == (tmp_path / "env" / "lib" / "python3.12" / "site-packages",)


def test_names_and_versions_are_looked_up_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = make_environment(tmp_path / "tools").rename(tmp_path / "tools" / "bin" / "python3.12")
    monkeypatch.setenv("PATH", str(python.parent))
    (tmp_path / "python3.12").mkdir()  # a folder of that name is no interpreter
    assert choose_python(tmp_path, asked="3.12").path == str(python)
    assert choose_python(tmp_path, configured="python3.12").path == str(python)


def test_the_own_environment_is_known_by_any_of_its_names(tmp_path: Path) -> None:
    link = tmp_path / ".venv"
    link.symlink_to(sys.prefix)
    for chosen in (choose_python(tmp_path), choose_python(tmp_path, asked=sys.executable)):
        assert chosen.is_own
        assert Path(chosen.path).samefile(sys.executable)


@pytest.mark.parametrize("text", ["/nope", "nope", "3.99", "./python", "."])
def test_a_python_that_is_not_there_is_said_with_where_it_was_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(WorkersUnavailable, match="--python names"):
        choose_python(tmp_path, asked=text)
    with pytest.raises(WorkersUnavailable, match="the setting `python` names"):
        choose_python(tmp_path, configured=text)


def test_a_broken_environment_is_not_passed_over(tmp_path: Path) -> None:
    python = make_environment(tmp_path / ".venv")
    python.unlink()
    python.symlink_to(tmp_path / "removed" / "python3")
    with pytest.raises(WorkersUnavailable, match="broken") as raised:
        choose_python(tmp_path)
    assert "python3 -m venv" in raised.value.hint


def test_an_active_environment_that_is_not_taken_is_told(tmp_path: Path) -> None:
    active = make_environment(tmp_path / "elsewhere").parent.parent
    chosen = choose_python(tmp_path, environment={"VIRTUAL_ENV": str(active)})
    assert chosen.is_own and f"--python {active}" in chosen.why
    assert "--python" not in choose_python(tmp_path, environment={"VIRTUAL_ENV": sys.prefix}).why


def test_it_is_described_shortly(tmp_path: Path) -> None:
    make_environment(tmp_path / ".venv")
    described = choose_python(tmp_path).described(tmp_path, "3.12.1")
    assert described == "Python 3.12.1 at .venv/bin/python, the project's .venv"
