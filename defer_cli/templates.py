"""The files that `defer init` and `defer new` copy: `templates/` of the repository, shipped in the wheel."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PLACEHOLDER = "function_name"

DESCRIPTIONS = {
    "background": "a function that is called with arguments and retried when it fails",
    "cron": "a function that runs on a schedule",
    "workflow": "a function that runs a step for each item, all at once, and gathers the results",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class NewFile:
    path: Path
    text: str


@cache
def templates_folder() -> Path:
    """Inside the installed package, or at the root of a source checkout."""
    package = Path(__file__).parent
    shipped = package / "templates"
    return shipped if shipped.is_dir() else package.parent / "templates"


def files_of(template: str, folder: Path, changes: Mapping[str, str]) -> list[NewFile]:
    """What a template gives in `folder`. `changes` are made in the names and texts of its files."""
    source = templates_folder() / template
    files = sorted(path for path in source.rglob("*.py") if "__pycache__" not in path.parts)
    return [
        NewFile(
            path=folder / _change(path.relative_to(source).as_posix(), changes),
            text=_change(path.read_text(encoding="utf-8"), changes),
        )
        for path in files
    ]


def _change(text: str, changes: Mapping[str, str]) -> str:
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def write_new(file: NewFile) -> bool:
    """Write a file that does not exist yet; False, and nothing written, where one does."""
    file.path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(file.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(file.text)
    return True
