"""The changes of `defer check --fix` on the disk: all or nothing, and no file is ever lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from defer_cli.fixing import FileChanged, write
from defer_emulator.project.edits import Change


def change(path: Path, content: bytes | None = None, target: str | None = None) -> Change:
    raw = path.read_bytes()
    return Change(
        path=path,
        target=path.with_name(target) if target else path,
        raw=raw,
        content=raw if content is None else content,
    )


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    found = [tmp_path / name for name in ("a.py", "b.py", "c.py")]
    for path in found:
        path.write_bytes(path.name.encode())
    return found


def contents(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.iterdir()}


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def test_contents_and_names_change(tmp_path: Path, files: list[Path]) -> None:
    a, b, _ = files
    a.chmod(0o750)
    write(tmp_path, [change(a, b"new"), change(b, b"newer", "d.py")])
    assert contents(tmp_path) == {"a.py": b"new", "d.py": b"newer", "c.py": b"c.py"}
    assert a.stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("what", ["saved", "removed", "taken", "dangling"])
def test_a_file_that_has_changed_meanwhile_stops_all(tmp_path: Path, files: list[Path], what: str) -> None:
    a, b, c = files
    changes = [change(a, b"new"), change(b, b"newer"), change(c, target="d.py")]
    if what == "saved":
        b.write_bytes(b"saved by an editor")
    elif what == "removed":
        b.unlink()
    elif what == "taken":
        (tmp_path / "d.py").write_bytes(b"precious")
    else:
        (tmp_path / "d.py").symlink_to("nowhere")
    before = names(tmp_path)
    with pytest.raises(FileChanged, match="nothing was written"):
        write(tmp_path, changes)
    assert names(tmp_path) == before
    assert a.read_bytes() == b"a.py" and c.read_bytes() == b"c.py"


def test_a_folder_that_takes_no_file_stops_all(tmp_path: Path, files: list[Path]) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "d.py").write_bytes(b"d.py")
    changes = [change(files[0], b"new"), change(inner / "d.py", b"x" * 10)]
    moved = inner.rename(tmp_path / "moved")
    with pytest.raises(FileChanged):
        write(tmp_path, changes)
    assert files[0].read_bytes() == b"a.py"
    assert names(tmp_path) == ["a.py", "b.py", "c.py", moved.name]


def test_another_spelling_of_one_name_is_no_obstacle(tmp_path: Path, files: list[Path]) -> None:
    a = files[0]
    os.link(a, tmp_path / "A.py")  # as a file system that does not tell them apart would show it
    write(tmp_path, [change(a, target="A.py")])
    assert (tmp_path / "A.py").read_bytes() == b"a.py"
