from __future__ import annotations

import subprocess
import sys

HEAVY = {"asyncio", "httpx", "json", "sqlite3", "socket", "threading", "uuid", "difflib", "defer_emulator"}


def loaded_by(code: str) -> set[str]:
    code += "; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_that_only_calls_need() -> None:
    before = loaded_by("pass")
    declaring = "from defer_client import defer; defer.cron(lambda_, '0 8 * * *') if 0 else None"
    assert not (loaded_by(declaring) - before) & HEAVY
