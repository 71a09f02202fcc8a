"""What type checkers find out about deferred functions: mypy over files with the expected answers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CASES = Path(__file__).parent / "cases"

_MARK = re.compile(r"# [ER]: (.+)$")  # the codes of errors; what `reveal_type` says
_ERROR = re.compile(r"^[^:]+:(\d+): error: .*\[([\w-]+)\]$")
_REVEALED = re.compile(r'^[^:]+:(\d+): note: Revealed type is "(.*)"$')


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.glob("*.py")))
def test_mypy_reports_exactly_what_the_file_says(case: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(CASES / case)],
        cwd=ROOT / "tests" / "typing",
        env={"MYPYPATH": f"{ROOT}:{ROOT / 'emulator'}", "PATH": ""},
        capture_output=True,
        text=True,
    )
    found: dict[int, list[str]] = {}
    for line in done.stdout.splitlines():
        if error := _ERROR.match(line):
            found.setdefault(int(error[1]), []).append(error[2])
        elif revealed := _REVEALED.match(line):
            found.setdefault(int(revealed[1]), []).append(revealed[2].replace("builtins.", ""))
    assert found == expected(CASES / case), done.stdout + done.stderr


def expected(path: Path) -> dict[int, list[str]]:
    lines = enumerate(path.read_text().splitlines(), start=1)
    return {number: mark[1].split(", ") for number, line in lines if (mark := _MARK.search(line))}
