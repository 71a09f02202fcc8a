"""Which lines of source a traceback shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from markupsafe import escape

from defer_emulator.web.console.cutting import cut_json, cut_text, shared
from defer_emulator.web.console.stacks import excerpt, own_frames
from tests.unit.web.world import FAILURE


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "defer").mkdir(parents=True)
    (root / "defer" / "send_mail.py").write_text("a = 1\nb = 2\nc = 3\nd = 4\ne = 5\nf = 6\n")
    (tmp_path / "secret.py").write_text("password = 1\n")
    return root


def test_an_excerpt_has_the_lines_around(project: Path) -> None:
    lines = excerpt(project, "defer/send_mail.py", 4, "d = 4")
    assert [(line.number, line.text) for line in lines if line.is_hit] == [(4, "d = 4")]
    assert [line.number for line in lines] == [2, 3, 4, 5, 6]


def test_nothing_outside_of_the_project_is_read(project: Path) -> None:
    (project / "link.py").symlink_to(project.parent / "secret.py")
    (project / "up").symlink_to(project.parent)
    (project / "loop.py").symlink_to(project / "loop.py")
    for file in ("../secret.py", "link.py", "up/secret.py", "loop.py", "/etc/passwd", "\0.py", "defer"):
        assert excerpt(project, file, 1, "password = 1") == []


def test_what_is_no_python_is_not_read(project: Path) -> None:
    (project / ".env").write_text("TOKEN=1\n")
    assert excerpt(project, ".env", 1, "TOKEN=1") == []


def test_a_file_that_has_changed_since_is_not_shown(project: Path) -> None:
    assert excerpt(project, "defer/send_mail.py", 4, "something else") == []
    assert excerpt(project, "defer/send_mail.py", 40, "") == []


def test_frames_of_the_project_come_innermost_first(project: Path) -> None:
    stack = "".join(
        f'  File "{file}", line {line}, in {name}\n    {text}\n'
        for file, line, name, text in [
            (project / "defer/send_mail.py", 1, "outer", "a = 1"),
            (project / ".venv/lib/site-packages/x.py", 1, "library", "x"),
            (project / "defer/send_mail.py", 6, "inner", "f = 6"),
        ]
    )
    frames = own_frames(replace(FAILURE, stack=stack), project)
    assert [(frame.function, frame.line) for frame in frames] == [("inner", 6), ("outer", 1)]
    assert own_frames(FAILURE, None) == []


def test_texts_are_cut_by_the_room_they_take() -> None:
    assert cut_text("short", 100).cut == 0
    cut = cut_text('"' * 1_000, 100)
    assert len(cut.text) == 20 and cut.cut == 980
    assert cut_json({"a": 1}, 100).text == '{"a": 1}'
    assert [len(escape(one.text)) for one in shared(100, ["x" * 500, "y" * 500])] == [100, 80]
