"""The tests of an example notice a scheduler that is slightly wrong: the plugin runs the real one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples import EXAMPLES
from tests.projects import clean_environment

pytestmark = pytest.mark.acceptance

DUE = """AND scheduled_at <= :now
ORDER BY scheduled_at, sequence"""

MUTATIONS = {
    "none": ("", "", ""),
    "one retry less": ("domain/settlement.py", "if attempt > retries:", "if attempt >= retries:"),
    "one retry more": ("domain/settlement.py", "if attempt > retries:", "if attempt > retries + 1:"),
    "retries come too soon": ("domain/retry.py", "** (retry - 1)", "** (retry - 2)"),
    "crons fire twice": (
        "scheduler/crons.py",
        "tx.fire_cron(cron.function, minute)",
        "tx.fire_cron(cron.function, minute), tx.fire_cron(cron.function, minute + 1)",
    ),
    "the order is reversed": (
        "scheduler/loop.py",
        "for running in claim.started:",
        "for running in reversed(claim.started):",
    ),
    "the latest call comes first": ("store/queries.sql", DUE, f"{DUE} DESC"),
    "the latest due time comes first": ("store/queries.sql", DUE, DUE.replace(",", " DESC,")),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_the_tests_of_an_example_notice(mutation: str, tmp_path: Path) -> None:
    code = tmp_path / "code"
    shutil.copytree(EXAMPLES.parent / "emulator", code, ignore=shutil.ignore_patterns("__pycache__"))
    project = tmp_path / "project"
    shutil.copytree(EXAMPLES / "weekly_recommendations", project)
    file, text, wrong = MUTATIONS[mutation]
    if file:
        path = code / "defer_emulator" / file
        source = path.read_text()
        assert source.count(text) == 1, f"{file} has changed: adapt the mutation"
        path.write_text(source.replace(text, wrong))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not real_films"],
        cwd=project,
        env=clean_environment() | {"PYTHONPATH": os.fspath(code)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == (1 if file else 0), done.stdout + done.stderr
