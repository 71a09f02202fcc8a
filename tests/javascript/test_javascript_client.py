"""Runs the suite of this folder, which is written for Node's own test runner."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.acceptance
def test_the_original_javascript_client_works_unmodified() -> None:
    node = shutil.which("node")
    installed = (HERE / "node_modules" / "@defer" / "client").is_dir()
    if node is None or not installed:
        assert "DEFER_REQUIRE_NODE" not in os.environ, (
            "node and `npm ci` in tests/javascript are required here"
        )
        pytest.skip("needs node, and `npm ci` in tests/javascript")
    suite = subprocess.run([node, "--test"], cwd=HERE, capture_output=True, text=True, timeout=300)
    assert suite.returncode == 0, suite.stdout + suite.stderr
