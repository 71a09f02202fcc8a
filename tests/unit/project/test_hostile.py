"""Projects that no one would write, and that `defer check` must survive, and judge."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from defer_emulator.config import Config
from defer_emulator.project.check import CheckResult, check_project
from defer_emulator.project.fixes import plan_fixes

FUNCTION = "from defer_client import defer\n\n\n@defer\nasync def {name}(x: int) -> int:\n    return x\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with one good function."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "defer").mkdir()
    (tmp_path / "defer" / "__init__.py").touch()
    (tmp_path / "defer" / "good.py").write_text(FUNCTION.format(name="good"))
    return tmp_path


def judge(root: Path) -> CheckResult:
    result = check_project(root, Config(), installed=())
    plan_fixes(result)  # looks at the same files, and must survive them, too
    return result


def found(root: Path) -> list[tuple[str, str]]:
    return [(each.file.removeprefix("defer/"), each.code) for each in judge(root).diagnostics]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"def (", 1),
        (b"\r\r\rdef f(:\r", 4),
        (b"x = 1\n\tx = 2\n", 2),
        (b"# caf\xe9\n", 1),
        (b"# fine\n# coding: iso-8859-15\n# coding: nonsense\ndef (", 4),
        (b"# coding: nonsense\n", 1),
        (b"# coding: rot13\n", 1),
        (b"# coding: undefined\n", 1),
        (b"\xff\xfef\0o\0", 1),
        (b"x = 1\n\0\n", 2),
        (b"(" * 500 + b")" * 500, 1),
        (b"-" * 50_000 + b"1", 1),
        (b"x = 1\n" * 99 + b"if x:\n", 100),
        (b"print 'x'\n", 1),
        (b"<<<<<<< HEAD\n", 1),
        (b"async def bad(): yield from x\nreturn await\n", 2),
    ],
)
def test_what_is_no_python_is_one_finding_at_its_place(root: Path, content: bytes, line: int) -> None:
    (root / "defer" / "bad.py").write_bytes(content)
    (only,) = judge(root).diagnostics
    assert (only.file, only.code, only.line) == ("defer/bad.py", "DF008", line)
    assert only.column >= 1 and only.message and only.fix


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf", b"# coding: latin-1\n# \xe9\n", b"\f\n", b"\\\n\n"])
def test_unusual_but_correct_files_are_fine(root: Path, content: bytes) -> None:
    (root / "defer" / "bad.py").write_bytes(content + FUNCTION.format(name="bad").encode())
    assert found(root) == []


def test_things_that_are_no_files_are_told_or_passed_over(root: Path) -> None:
    folder = root / "defer"
    os.mkfifo(folder / "pipe.py")
    (folder / "a_pipe.py").symlink_to("pipe.py")
    (folder / "endless.py").symlink_to("/dev/zero")
    (folder / "itself.py").symlink_to("itself.py")
    (folder / "dangling.py").symlink_to("nowhere")
    (folder / "folder.py").mkdir()
    (folder / "up").symlink_to("..")
    (folder / "folder_link.py").symlink_to("..")
    (root / "loop").symlink_to(".")
    os.mkfifo(root / "application.py")
    names = ["a_pipe.py", "dangling.py", "endless.py", "itself.py"]
    assert found(root) == [(name, "DF008") for name in names]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_told(root: Path) -> None:
    closed = root / "defer" / "closed.py"
    closed.write_text("")
    closed.chmod(0)
    (root / "defer" / "inner").mkdir(mode=0)
    assert found(root) == [("closed.py", "DF008")]


def test_large_files_of_the_application_are_passed_over(root: Path) -> None:
    call = "from defer.good import good\ngood(1)\n"
    (root / "small.py").write_text(call)
    (root / "large.py").write_text(call + "x = 'defer good'\n" * 200_000)
    assert [each.file for each in judge(root).diagnostics] == ["small.py"]


def test_names_that_no_terminal_should_see_are_shown_harmlessly(root: Path) -> None:
    for name in (
        b"new\nline.py",
        b"esc\x1b[31m.py",
        b"bad\xff.py",
        "größe €.py".encode(),
        b"-rf.py",
        b" .py",
    ):
        try:
            (root / "defer" / os.fsdecode(name)).touch()
        except OSError:
            continue  # this file system takes only UTF-8 names
    result = judge(root)
    assert {each.code for each in result.diagnostics} == {"DF017"}
    for each in result.diagnostics:
        each.file.encode()  # JSON can hold it


def test_a_folder_beside_a_file_of_its_name(root: Path) -> None:
    (root / "defer.py").write_text("raise SystemExit\n")
    assert found(root) == []
    (root / "defer" / "__init__.py").unlink()
    assert found(root) == [("defer.py", "DF021"), ("__init__.py", "DF011")]


def test_two_folders_inside_each_other_and_beside(root: Path) -> None:
    for place in ("defer/inner/defer", "shop/defer"):
        (root / place).mkdir(parents=True)
        (root / place / "f.py").write_text(FUNCTION.format(name="f"))
    codes = {code for _, code in found(root)}
    assert codes == {"DF004", "DF010", "DF011", "DF020"}


def test_a_function_in_every_odd_place_of_a_file(root: Path) -> None:
    text = "from defer_client import defer\n" + "\n".join(
        f"{'    ' * depth}if {depth}:" for depth in range(18)
    )
    indent = "    " * 18
    (root / "defer" / "odd.py").write_text(f"{text}\n{indent}@defer\n{indent}def odd(): ...\n")
    (only,) = judge(root).diagnostics
    assert (only.code, only.line, only.column) == ("DF006", 21, 18 * 4 + 1)
