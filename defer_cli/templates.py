"""The files that `defer init` and `defer new` copy: `templates/` of the repository, shipped in the wheel."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PLACEHOLDER = "function_name"

DESCRIPTIONS = {
    "background": "is called with arguments, and is retried when it fails",
    "cron": "runs on a schedule",
    "workflow": "runs a step for each item, all at once, and gathers the results",
    "fifo": "runs one call at a time, in the order of the calls",
    "webhook": "handles what another service has sent, and is retried when it fails",
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


def files_of(
    template: str, folder: Path, changes: Mapping[str, str], *, tests: Path | None = None
) -> list[NewFile]:
    """What a template gives in `folder`. `changes` are made in the names and texts of its files.

    `tests` is the folder for its test, which is left out without one.
    """
    files = sorted((templates_folder() / template).glob("*.py"))
    targets = {file: tests if file.name.startswith("test_") else folder for file in files}
    return [
        NewFile(
            path=target / _change(file.name, changes),
            text=_change(file.read_text(encoding="utf-8"), changes),
        )
        for file, target in targets.items()
        if target is not None
    ]


def _change(text: str, changes: Mapping[str, str]) -> str:
    """All in one go: what a change has put in is not changed again."""
    if not changes:
        return text
    return re.sub("|".join(map(re.escape, changes)), lambda match: changes[match[0]], text)


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
