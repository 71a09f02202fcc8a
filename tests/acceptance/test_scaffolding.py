"""`defer init` and `defer new`: what they write works at once, and nothing that exists is lost."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from defer_cli.templates import DESCRIPTIONS
from defer_emulator.config import parse_toml
from defer_emulator.project.rules import FREQUENCIES
from tests.projects import defer

pytestmark = pytest.mark.acceptance

TOOLS = Path(sys.executable).parent
MANAGE = """
import os
from django.core.management import execute_from_command_line
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
"""
TEST = """
from defer.say_hello import say_hello


def test_it(defer_emulator):
    say_hello.enqueue("Ada")
    defer_emulator.run_until_idle()
    assert defer_emulator.last(say_hello).result == "Hello, Ada!"
"""


def run(folder: Path, *command: str | Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def init(folder: Path, *words: str) -> dict[str, Any]:
    done = defer(folder, "init", "--output", "json", *words)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and ".defer" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def settings(folder: Path) -> dict[str, Any]:
    file = folder / "pyproject.toml"
    found: dict[str, Any] = parse_toml(file, file.read_bytes())["tool"]
    return found


# --- init -------------------------------------------------------------------------------------


def test_an_empty_folder_gets_all_it_needs_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    first = init(tmp_path)
    assert first["created"] == [
        "defer/__init__.py", "defer/say_hello.py", ".defer/", ".gitignore", "pyproject.toml",
    ]  # fmt: skip
    assert (first["changed"], first["to_do"], first["framework"]) == ({}, [], None)
    assert settings(tmp_path) == {
        "defer": {},
        "pytest": {"ini_options": {"pythonpath": ["."]}},
        "pyright": {"extraPaths": ["."]},
    }
    before = files(tmp_path)
    second = init(tmp_path)
    assert (second["created"], second["changed"]) == ([], {})
    assert files(tmp_path) == before


def test_the_next_three_commands_are_told(tmp_path: Path) -> None:
    told = defer(tmp_path, "init").stderr.partition("next:\n")[2].splitlines()
    assert [line.split("  ")[1] for line in told] == ["defer dev", "defer run say_hello", "defer list"]


@pytest.mark.parametrize("layout", ["", "src", "backend"])
def test_a_bare_pytest_and_pyright_resolve_the_import(tmp_path: Path, layout: str) -> None:
    """`backend` is a Django project in a folder of its own, which no tool would look into by itself."""
    if layout == "src":
        (tmp_path / "src" / "shop").mkdir(parents=True)
        (tmp_path / "src" / "shop" / "__init__.py").touch()
    if layout == "backend":
        (tmp_path / "backend").mkdir()
        (tmp_path / "backend" / "manage.py").write_text("import django\n")
    init(tmp_path)
    assert (tmp_path / layout / "defer" / "say_hello.py").exists()
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(TEST)
    assert "1 passed" in run(tmp_path, TOOLS / "pytest", "-q", "-p", "no:cacheprovider")
    shown = run(tmp_path, TOOLS / "pyright", "--pythonpath", sys.executable, "--outputjson", "tests")
    assert json.loads(shown)["summary"]["errorCount"] == 0


def test_settings_go_to_the_files_that_the_tools_read_and_keep_what_is_there(tmp_path: Path) -> None:
    written = {
        "pyproject.toml": '[project]\nname = "shop"  # ours\n\n[tool.ruff]\nline-length = 100\n',
        "pytest.ini": "[pytest]\n# as always\naddopts = -q\n",
        "pyrightconfig.json": '{\n  // all of it\n  "strict": ["shop"],\n}\n',
        ".gitignore": "*.pyc",
    }
    for name, text in written.items():
        (tmp_path / name).write_text(text)
    done = init(tmp_path)
    assert done["changed"] == {
        "pyproject.toml": ["[tool.defer]"],
        "pytest.ini": ["pytest pythonpath ."],
        "pyrightconfig.json": ["pyright extraPaths ."],
        ".gitignore": [".defer/"],
    }
    for name, text in written.items():
        lines = iter((tmp_path / name).read_text().splitlines())
        assert all(line in lines for line in text.splitlines()), f"a line of {name} is gone, or has moved"
    assert set(settings(tmp_path)) == {"ruff", "defer"}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("setup.cfg", "[tool:pytest]\naddopts = -q\n", "[tool:pytest]\npythonpath = .\naddopts = -q\n"),
        ("tox.ini", "[tox]\n[pytest]\n", "[tox]\n[pytest]\npythonpath = .\n"),
        ("pytest.ini", "", "[pytest]\npythonpath = .\n"),
    ],
)
def test_pytest_settings_elsewhere_are_not_hidden_by_new_ones(
    tmp_path: Path, name: str, text: str, expected: str
) -> None:
    (tmp_path / name).write_text(text)
    init(tmp_path)
    assert (tmp_path / name).read_text() == expected
    assert "pytest" not in settings(tmp_path)


def test_what_cannot_be_added_safely_is_left_to_the_person(tmp_path: Path) -> None:
    text = 'tool.pytest.ini_options.addopts = "-q"\n[tool.pyright]\n'
    (tmp_path / "pyproject.toml").write_text(text)
    done = init(tmp_path)
    assert done["to_do"] == ["add to pyproject.toml: pytest pythonpath ."]
    assert "add to pyproject.toml" in defer(tmp_path, "init").stderr


def test_a_broken_configuration_is_said_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.defer]\nport = 'x'\n")
    before = files(tmp_path)
    done = defer(tmp_path, "init")
    assert done.returncode == 2
    assert "pyproject.toml:2" in done.stderr
    assert files(tmp_path) == before
    assert not (tmp_path / ".defer").exists()


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "defer").write_text("#!/bin/sh\n")
    done = defer(tmp_path, "init")
    assert done.returncode == 4
    assert "is no folder" in done.stderr
    assert list(files(tmp_path)) == ["defer"]


def test_a_folder_inside_of_a_project_becomes_one_of_its_own_and_that_is_said(tmp_path: Path) -> None:
    init(tmp_path)
    (tmp_path / "inner").mkdir()
    done = defer(tmp_path / "inner", "init")
    assert f"apart from {tmp_path}" in done.stderr
    assert "apart from" not in defer(tmp_path / "inner", "init").stderr


@pytest.mark.parametrize(
    ("name", "text", "framework"),
    [
        ("requirements.txt", "fastapi[standard]>=0.100  # web\n", "fastapi"),
        ("requirements.txt", "# no flask here\nflask-cors\nrequests\n", None),
        ("pyproject.toml", '[project]\ndescription = "not django"\ndependencies = ["Flask>=3"]\n', "flask"),
        ("pyproject.toml", '[dependency-groups]\ndev = ["pytest"]\n', None),
        ("pyproject.toml", '[tool.poetry.dependencies]\nfastapi = "*"\n', "fastapi"),
        ("app.py", "import os\nfrom flask import Flask\n", "flask"),
        ("app.py", "import flaskish\n# import flask\n", None),
        ("manage.py", MANAGE, "django"),
    ],
)
def test_the_framework_is_detected(tmp_path: Path, name: str, text: str, framework: str | None) -> None:
    (tmp_path / name).write_text(text)
    assert init(tmp_path)["framework"] == framework


@pytest.mark.parametrize("base", ["", "src"])
def test_django_gets_hooks_that_work(tmp_path: Path, base: str) -> None:
    place = tmp_path / base
    place.mkdir(exist_ok=True)
    run(place, TOOLS / "django-admin", "startproject", "mysite", ".")
    done = init(tmp_path)
    assert done["framework"] == "django"
    assert (place / "mysite" / "defer_hooks.py").exists()
    assert settings(tmp_path)["defer"] == {
        "setup": "mysite.defer_hooks:setup",
        "after_fork": "mysite.defer_hooks:after_fork",
    }
    (place / "defer" / "count_users.py").write_text(
        "from django.contrib.auth.models import User\n"
        "from defer_client import defer\n\n\n@defer\nasync def count_users() -> int:\n"
        "    return await User.objects.acount()\n"
    )
    assert defer(tmp_path, "check").returncode == 0
    second = init(tmp_path)
    assert (second["created"], second["changed"]) == ([], {})


def test_django_whose_settings_are_set_up_already_is_left_alone(tmp_path: Path) -> None:
    run(tmp_path, TOOLS / "django-admin", "startproject", "mysite", ".")
    (tmp_path / "defer.toml").write_text('setup = "mysite.own:setup"\n')
    done = init(tmp_path)
    assert (tmp_path / "defer.toml").read_text() == 'setup = "mysite.own:setup"\n'
    assert not (tmp_path / "mysite" / "defer_hooks.py").exists()
    assert done["to_do"] == []


# --- new --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scaffolded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a function of each template, in a folder of its own and with its test."""
    root = tmp_path_factory.mktemp("scaffolded")
    init(root)
    for template in DESCRIPTIONS:
        words = ("new", f"try{template.title()}", "--template", template, "--dir", f"of_{template}", "--test")
        done = defer(root, *words)
        assert done.returncode == 0, done.stderr
        assert (root / "defer" / f"of_{template}" / f"try_{template}.py").exists()
    return root


def test_what_new_writes_passes_check(scaffolded: Path) -> None:
    done = defer(scaffolded, "check", "--output", "json")
    assert json.loads(done.stdout) == {"findings": []}


def test_a_cron_runs_as_often_as_its_name_says(tmp_path: Path) -> None:
    init(tmp_path)
    for word in FREQUENCIES:
        assert defer(tmp_path, "new", f"{word}_report", "--template", "cron", "--test").returncode == 0
    assert json.loads(defer(tmp_path, "check", "-o", "json").stdout) == {"findings": []}
    assert '"0 8 * * MON"' in (tmp_path / "defer" / "weekly_report.py").read_text()


def test_what_new_writes_passes_ruff(scaffolded: Path) -> None:
    rules = "E,F,W,I,UP,B,C4,SIM,RUF,PTH,RET"
    run(
        scaffolded,
        TOOLS / "ruff",
        "check",
        "--no-cache",
        "--isolated",
        "--line-length=110",
        f"--select={rules}",
    )
    run(scaffolded, TOOLS / "ruff", "format", "--no-cache", "--isolated", "--line-length=110", "--check")


def test_what_new_writes_passes_mypy_and_pyright(scaffolded: Path) -> None:
    run(scaffolded, TOOLS / "mypy", "--strict", "--cache-dir", os.devnull, "defer", "tests")
    shown = run(scaffolded, TOOLS / "pyright", "--pythonpath", sys.executable, "--outputjson")
    assert json.loads(shown)["summary"]["errorCount"] == 0


def test_the_tests_that_new_writes_pass(scaffolded: Path) -> None:
    assert f"{len(DESCRIPTIONS)} passed" in run(scaffolded, TOOLS / "pytest", "-q", "-p", "no:cacheprovider")


def test_the_tests_that_new_writes_notice_a_broken_function(scaffolded: Path, tmp_path: Path) -> None:
    root = tmp_path / "broken"
    shutil.copytree(scaffolded, root)
    for template in DESCRIPTIONS:
        file = root / "defer" / f"of_{template}" / f"try_{template}.py"
        head = re.match(r".*?\n(?:async )?def [^\n]+:\n", file.read_text(), re.DOTALL)
        assert head is not None
        file.write_text(f"{head[0]}    raise ZeroDivisionError\n")
    command = [TOOLS / "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
    assert f"{len(DESCRIPTIONS)} failed" in done.stdout, done.stdout
    assert "ZeroDivisionError" in done.stdout


def test_a_test_of_a_cron_starts_a_minute_before_it_fires(tmp_path: Path) -> None:
    init(tmp_path)
    defer(tmp_path, "new", "monthlyReport", "--cron", "5 4 3 * *", "--test")
    assert "2030-01-03T04:04" in (tmp_path / "tests" / "test_monthly_report.py").read_text()
    run(tmp_path, TOOLS / "pytest", "-q", "-p", "no:cacheprovider")


def test_names_are_replaced_once_even_where_they_hold_the_placeholder(tmp_path: Path) -> None:
    init(tmp_path)
    created = json.loads(defer(tmp_path, "new", "my_function_name", "--test", "-o", "json").stdout)["created"]
    assert created == ["defer/my_function_name.py", "tests/test_my_function_name.py"]
    assert "from defer.my_function_name import my_function_name\n" in (tmp_path / created[1]).read_text()


def test_dir_may_be_written_with_the_folder_of_functions_and_cannot_leave_it(tmp_path: Path) -> None:
    (tmp_path / "src" / "shop").mkdir(parents=True)
    (tmp_path / "src" / "shop" / "__init__.py").touch()
    init(tmp_path)
    base = tmp_path / "src" / "defer"
    for number, folder in enumerate(("a/b", "defer/a/b", "src/defer/a/b", "./a/b")):
        assert defer(tmp_path, "new", f"in_it_{number}", "--dir", folder).returncode == 0
        assert (base / "a" / "b" / f"in_it_{number}.py").exists()
    assert (base / "a" / "__init__.py").exists()
    (tmp_path / "outside").mkdir()
    (base / "link").symlink_to(tmp_path / "outside")
    before = files(tmp_path)
    for folder in ("..", "../shop", "/etc", str(tmp_path / "outside"), "link", "tests", "a b", "2a"):
        done = defer(tmp_path, "new", "strayed", "--dir", folder)
        assert done.returncode == 2, folder
        assert "Traceback" not in done.stderr
    assert files(tmp_path) == before


def test_a_test_that_exists_is_in_the_way_of_all(tmp_path: Path) -> None:
    init(tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_mine.py").write_text("# mine\n")
    before = files(tmp_path)
    done = defer(tmp_path, "new", "mine", "--test")
    assert done.returncode == 4
    assert "tests/test_mine.py exists already" in done.stderr
    assert files(tmp_path) == before


def test_the_next_five_times_are_told_by_the_emulated_clock(tmp_path: Path) -> None:
    init(tmp_path)
    assert defer(tmp_path, "clock", "advance", "--to", "2030-01-01T00:00:00Z").returncode == 0
    done = defer(tmp_path, "new", "weekly_report", "--cron", "30 8 * * MON", "-o", "json")
    times = json.loads(done.stdout)["next"]
    assert times[0] == "2030-01-07T08:30:00.000000Z"
    assert len(times) == 5


def test_every_template_is_listed(tmp_path: Path) -> None:
    rows = json.loads(defer(tmp_path, "new", "--list", "-o", "json").stdout)["data"]
    assert [row["name"] for row in rows] == ["background", "cron", "workflow", "fifo", "webhook"]
    assert all(row["description"] for row in rows)
