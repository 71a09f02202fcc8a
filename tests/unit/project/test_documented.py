"""The examples of docs/errors.md: each wrong one has its finding where it says so, each right one none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from defer_emulator.config import Config
from defer_emulator.project.check import Imported, ImportFailure, check_project
from defer_emulator.project.diagnostics import CODES

DOCS = (Path(__file__).parents[3] / "docs" / "errors.md").read_text("utf-8")
FILE = re.compile(r"^# (\S+\.py)$", re.MULTILINE)


def section(code: str) -> str:
    return DOCS.partition(f"\n## {code}\n")[2].partition("\n## ")[0]


def examples() -> Iterator[tuple[str, str]]:
    for code in CODES:
        for text in re.findall(r"```python\n(.*?)```", section(code), re.DOTALL):
            yield code, text


def files(text: str) -> dict[str, str]:
    _, *parts = FILE.split(text)
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.mark.parametrize(("code", "text"), examples())
def test_an_example_is_what_it_says(tmp_path: Path, code: str, text: str) -> None:
    expected = []
    failures = []
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "defer").mkdir()
    (tmp_path / "defer" / "__init__.py").touch()
    for name, content in files(text).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        lines = [number for number, line in enumerate(content.split("\n"), start=1) if f"# {code}" in line]
        expected += [(name, line) for line in lines]
        if code == "DF009" and lines:
            failures.append(ImportFailure(file=name, line=lines[0], message="ModuleNotFoundError: no"))
    result = check_project(tmp_path, Config(), Imported(failures=failures), installed=())
    found = [each for each in result.diagnostics if each.code == code]
    assert sorted((each.file, each.line) for each in found) == sorted(expected)
    if not expected:
        assert result.diagnostics == ()


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_wrong_and_a_right_example(code: str) -> None:
    blocks = re.findall(r"```\w*\n(.*?)```", section(code), re.DOTALL)
    assert any(code in block for block in blocks), "a wrong one"
    assert any(code not in block for block in blocks), "a right one"
