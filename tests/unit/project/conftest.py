from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from defer_emulator.config import Config
from defer_emulator.project.check import CheckResult, Imported, check_project
from defer_emulator.project.finder import find_root

Write = Callable[[dict[str, str]], Path]
Check = Callable[..., CheckResult]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes files, given by their path below a fresh root; the root."""

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        return tmp_path

    return write


@pytest.fixture
def check(write: Write) -> Check:
    """Writes files and judges them. A `defer/__init__.py` is added, and no package is installed."""

    def check(
        files: dict[str, str],
        config: Config | None = None,
        imported: Imported | None = None,
        installed: Sequence[Path] = (),
    ) -> CheckResult:
        root = write({"pyproject.toml": "", "defer/__init__.py": "", **files})
        return check_project(find_root(root), config or Config(), imported, installed=installed)

    return check
