"""`retention`, `defer prune` and `defer snapshot`, with a real emulator and without one."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.projects import Dev, TempProject, eventually

pytestmark = pytest.mark.acceptance

PARENT = """
    from defer_client import await_result, defer

    from .big import big

    @defer
    async def parent() -> int:
        await big()
        return len(await await_result(big)())
"""
BIG = """
    async def big() -> str:
        print("a line")
        return "x" * 20_000
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> TempProject:
    return TempProject(tmp_path_factory.mktemp("keeping"), {"parent": PARENT, "big": BIG})


@pytest.fixture(scope="module")
def dev(project: TempProject) -> Iterator[Dev]:
    with project.dev("--port", "0") as dev:
        yield dev.ready()


def names(project: TempProject) -> list[str]:
    return [row["function_name"] for row in project.json("list", "--limit", "1000")["data"]]


def ended(project: TempProject, count: int) -> None:
    for _ in range(count):
        project.run("run", "parent", "--wait")


def file_size(project: TempProject) -> int:
    """With its log, where the latest writes are."""
    return sum(file.stat().st_size for file in (project.root / ".defer").glob("state.db*"))


def test_prune_counts_asks_deletes_and_makes_the_file_smaller(project: TempProject, dev: Dev) -> None:
    ended(project, 4)
    last = project.call("big")
    project.wait_for(last, "succeed")
    counted = project.json("prune", "--older-than", "0s", "--dry-run")
    assert (counted["executions"], counted["attempts"], counted["log_lines"]) == (12, 12, 8)
    assert 150_000 < counted["bytes"] < 300_000
    assert counted["dry_run"] is True
    asked = project.run("prune", "--older-than", "0s", check=False)
    assert asked.returncode == 2
    assert "12 executions" in asked.stderr
    assert len(names(project)) == 13
    before = file_size(project)
    done = project.json("prune", "--older-than", "0s", "--yes")
    assert (done["executions"], done["dry_run"]) == (12, False)
    assert names(project) == ["big"]
    assert file_size(project) < before


def test_prune_without_an_age_wants_a_retention(project: TempProject) -> None:
    asked = project.run("prune", check=False)
    assert asked.returncode == 2
    assert "--older-than 7d" in asked.stderr


def test_a_snapshot_is_saved_while_the_emulator_runs_and_restored_when_it_does_not(
    tmp_path: Path,
) -> None:
    project = TempProject(tmp_path, {"big": BIG})
    with project.dev("--port", "0") as dev:
        dev.ready()
        first = project.call("big")
        project.wait_for(first, "succeed")
        saved = project.json("snapshot", "save", "one")
        assert (saved["name"], saved["executions"], saved["unfinished"]) == ("one", 1, 0)
        second = project.call("big")
        project.wait_for(second, "succeed")
        refused = project.run("snapshot", "restore", "one", "--output", "json", check=False)
        assert refused.returncode == 4
        assert f"kill {dev.pid}" in json.loads(refused.stderr)["hint"]
        dev.signal(signal.SIGTERM)
        dev.wait()
    kept = project.json("snapshot", "restore", "one")["kept"]
    assert kept["executions"] == 2
    assert [row["id"] for row in project.json("list")["data"]] == [first]
    assert [row["name"] for row in project.json("snapshot", "list")["data"]] == [kept["name"], "one"]
    fork = Path(project.json("snapshot", "fork", kept["name"])["project"])
    forked = project.run("list", "--output", "json", "--project", str(fork))
    assert len(json.loads(forked.stdout)["data"]) == 2
    project.run("snapshot", "delete", "one")
    assert project.run("snapshot", "restore", "one", check=False).returncode == 3


def test_what_is_old_goes_while_the_emulator_runs(tmp_path: Path) -> None:
    project = TempProject(tmp_path, {"parent": PARENT, "big": BIG})
    (tmp_path / "defer.toml").write_text('retention = "2 seconds"\n')
    with project.dev("--port", "0") as dev:
        dev.ready()
        assert "finished executions are kept for 2s" in dev.output
        ended(project, 3)
        full = file_size(project)
        waits = project.run("run", "big", "--delay", "1h").stdout.strip()
        eventually(lambda: names(project) == ["big"], "only what waits is left")
        assert project.execution(waits)["state"] == "created"
        eventually(lambda: file_size(project) < full, "the file is smaller")
