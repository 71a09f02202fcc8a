"""What the programs that an execution starts find in their environment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import uvloop

from tests.processes.pools import load_request, running_pool, write_functions

OURS = "http://127.0.0.1:3337"
SHOW = """
    import json, os, subprocess, sys
    from defer_client import defer
    @defer
    def show():
        program = "import json, os; print(json.dumps({**os.environ}))"
        return json.loads(subprocess.check_output([sys.executable, "-c", program]))
"""


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DEFER_ENDPOINT", "DEFER_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def shown(root: Path, *, worker_start: str = "fork", **env: str) -> list[dict[str, str]]:
    """What a program of each of two executions finds. `env` is the project's `.env`."""
    found: list[dict[str, str]] = []

    async def main() -> None:
        write_functions(root, {"show": SHOW})
        async with running_pool(root, worker_start=worker_start) as pool:
            await pool.pool.load(load_request(root, env=env))
            pool.pool.endpoint = OURS
            for _ in range(2):
                end = await pool.run("show")
                assert end.result is not None, end
                found.append(json.loads(end.result))
                assert pool.pool.execution_of(found[-1]["DEFER_EXECUTION_TOKEN"]) is not None

    uvloop.run(main())
    return found


@pytest.mark.parametrize("worker_start", ["fork", "spawn"])
def test_a_program_finds_the_emulator_and_the_token_of_its_execution(
    tmp_path: Path, worker_start: str
) -> None:
    one, two = shown(tmp_path, worker_start=worker_start)
    assert one["DEFER_ENDPOINT"] == two["DEFER_ENDPOINT"] == OURS
    assert one["DEFER_TOKEN"] == one["DEFER_EXECUTION_TOKEN"]
    assert two["DEFER_TOKEN"] == two["DEFER_EXECUTION_TOKEN"] != one["DEFER_TOKEN"]


def test_another_endpoint_of_the_project_is_left_alone(tmp_path: Path) -> None:
    theirs = {"DEFER_ENDPOINT": "https://defer.example", "DEFER_TOKEN": "theirs"}
    for found in shown(tmp_path, **theirs):
        assert {name: found[name] for name in theirs} == theirs


def test_the_projects_own_name_for_the_same_emulator_gets_the_token(tmp_path: Path) -> None:
    for found in shown(tmp_path, DEFER_ENDPOINT="http://localhost:3337/", DEFER_TOKEN="anything"):
        assert found["DEFER_TOKEN"] == found["DEFER_EXECUTION_TOKEN"]
