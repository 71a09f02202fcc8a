"""The files of golden screens: `golden/list.txt` and so on, one screen after the other under its own head."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.acceptance.screens.cases import CASES, Case, Surroundings
from tests.acceptance.screens.recording import Start, forked, record
from tests.acceptance.screens.seed import seed

FOLDER = Path(__file__).with_name("golden")


def head(case: Case, where: Surroundings) -> str:
    return f"$ defer {' '.join(case.words)}    # {where.name}\n"


def shown(root: Path, case: Case, where: Surroundings, start: Start = forked) -> str:
    return str(record(case.words, root, where, start))


def read(name: str) -> dict[str, str]:
    """The screens of a file by their heads."""
    screens: dict[str, str] = {}
    current = ""
    for line in (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines(keepends=True):
        if line.startswith("$ defer "):
            current = line
            screens[current] = ""
        else:
            screens[current] += line
    return {key: text.removesuffix("\n") for key, text in screens.items()}


def write(name: str, screens: Mapping[str, str]) -> None:
    FOLDER.mkdir(exist_ok=True)
    text = "".join(f"{key}{screen}\n" for key, screen in screens.items())
    (FOLDER / f"{name}.txt").write_text(text, encoding="utf-8")


def regenerate() -> None:
    """Write all files anew, and remove those that are of no use any more."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "shop"
        seed(root)
        for name, cases in CASES.items():
            write(
                name,
                {head(case, where): shown(root, case, where) for case in cases for where in case.places},
            )
    for file in FOLDER.glob("*.txt"):
        if file.stem not in CASES:
            file.unlink()
