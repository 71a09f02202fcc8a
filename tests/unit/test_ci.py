"""`.ci/run` deletes what was built: never for somebody who only asks what it does."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "run"


@pytest.mark.parametrize("word", ["--help", "-h", "tests/unit"])
def test_arguments_are_refused_before_anything_is_deleted(tmp_path: Path, word: str) -> None:
    copy = tmp_path / ".ci" / "run"
    copy.parent.mkdir()
    shutil.copy(SCRIPT, copy)
    bash = shutil.which("bash")
    assert bash is not None

    # Without a PATH it could delete nothing, if it went on.
    done = subprocess.run([bash, copy, word], env={"PATH": ""}, capture_output=True, text=True, timeout=20)

    assert done.returncode == 2
    assert done.stderr.startswith("usage: .ci/run")
