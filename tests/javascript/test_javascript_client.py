"""Runs the suites of this folder, which are written for Node's own test runner."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def run_suite(name: str, needs: Path, how: str) -> None:
    node = shutil.which("node")
    if node is None or not (HERE / needs).exists():
        assert "DEFER_REQUIRE_NODE" not in os.environ, f"node and {how} are required here"
        pytest.skip(f"needs node, and {how}")
    suite = subprocess.run([node, "--test", name], cwd=HERE, capture_output=True, text=True, timeout=300)
    assert suite.returncode == 0, suite.stdout + suite.stderr


@pytest.mark.acceptance
def test_the_original_javascript_client_works_unmodified() -> None:
    run_suite("client.test.js", Path("node_modules/@defer/client"), "`npm ci` in tests/javascript")


@pytest.mark.acceptance
def test_the_original_snippets_work_in_a_next_application() -> None:
    built = Path("next/.next/server/server-reference-manifest.json")
    run_suite("next.test.js", built, "`npm ci && npm run build` in tests/javascript/next")
