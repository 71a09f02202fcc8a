"""Whole screens of `defer`, compared with those in `screens/golden`. After a change that is meant:
`make screens`, and look at what `git diff` shows."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

import pytest

from defer_cli.text import width
from tests.acceptance.screens import golden
from tests.acceptance.screens.cases import CASES, REAL, Case, Surroundings
from tests.acceptance.screens.recording import installed
from tests.acceptance.screens.seed import seed

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("screens") / "shop"
    seed(root)
    return root


def assert_same(expected: str, shown: str, head: str) -> None:
    difference = "\n".join(
        difflib.unified_diff(expected.splitlines(), shown.splitlines(), "golden", "now", lineterm="", n=1)
    )
    assert not difference, f"{head}{difference}\n\nif that is meant: make screens"


@pytest.mark.parametrize("name", CASES)
def test_screens_are_the_golden_ones(shop: Path, name: str) -> None:
    expected = golden.read(name)
    for case in CASES[name]:
        for where in case.places:
            head = golden.head(case, where)
            assert_same(expected.pop(head, ""), golden.shown(shop, case, where), head)
    assert not expected, f"nothing shows these any more: {''.join(expected)}make screens removes them"


@pytest.mark.parametrize(
    ("case", "where"), REAL, ids=[f"{' '.join(case.words)}, {where.name}" for case, where in REAL]
)
def test_the_installed_command_shows_them_too(shop: Path, case: Case, where: Surroundings) -> None:
    head = golden.head(case, where)
    (expected,) = (screens[head] for name in CASES if head in (screens := golden.read(name)))
    assert_same(expected, golden.shown(shop, case, where, installed), head)


@pytest.mark.parametrize("name", CASES)
def test_no_line_is_wider_than_its_terminal(name: str) -> None:
    screens = golden.read(name)
    for case in CASES[name]:
        for where in case.places:
            if case.fits and where.columns is not None:
                head = golden.head(case, where)
                for line in re.sub(r"\\x1b\[[0-9;]*m", "", screens[head]).splitlines():
                    assert width(line) <= where.columns, f"{head}{line}"


def test_no_golden_file_is_left_over() -> None:
    assert {file.stem for file in golden.FOLDER.glob("*.txt")} == set(CASES)
