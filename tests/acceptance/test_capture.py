"""`defer capture`: the tests that it writes, run by pytest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.projects import TempProject, clean_environment

pytestmark = pytest.mark.acceptance

ORDER = """
    from defer_client import await_result, defer, delay

    from .charge import charge
    from .remind import remind

    @defer
    async def order(user: dict, amount: int = 2) -> dict:
        charged = await await_result(charge)(amount)
        try:
            await await_result(charge)(-1)
        except Exception as error:
            refused = repr(error.__cause__)
        await delay(remind, "1 day")(user["name"])
        if amount == 13:
            raise KeyError("unlucky")
        return {"charged": charged, "refused": refused, "text": 'it\\'s "quoted" é\\n\\x00' * 20}
"""
CHARGE = """
    from pathlib import Path

    async def charge(amount: int) -> str:
        Path("charges").open("a").write("x")
        if amount < 0:
            raise ValueError("negative", amount)
        return f"charged {amount}"
"""
GATHER = """
    import asyncio

    from defer_client import await_result, cancel_execution, current_execution, defer, delay

    from .never import never
    from .remind import remind

    @defer
    async def gather() -> list:
        await delay(never, "1 day")()
        later = await delay(remind, "1 day")("later")
        await cancel_execution((await delay(remind, "1 day")("never")).id)
        await remind(current_execution().id)
        found = await asyncio.gather(
            *(await_result(never)() for _ in range(2)), await_result(remind)("now"), return_exceptions=True
        )
        return [later.id, *map(str, found)]
"""
NEVER = """
    from defer_client import RetryPolicy, defer

    @defer(retry=RetryPolicy(max_attempts=2, initial_interval=0.01))
    async def never() -> None:
        raise LookupError("gone")
"""
REMIND = "async def remind(name: str) -> None: ..."
TICK = """
    from defer_client import defer

    from .remind import remind

    @defer.cron("0 5 * * *")
    async def tick() -> int:
        await remind("all")
        return 3
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> TempProject:
    project = TempProject(
        tmp_path_factory.mktemp("capture"),
        {
            "order": ORDER,
            "charge": CHARGE,
            "remind": REMIND,
            "tick": TICK,
            "gather": GATHER,
            "never": NEVER,
        },
    )
    with project.dev("--port", "0") as dev:
        dev.ready()
        project.run("run", "order", '{"name": "Ada", "password": "x"}', "--wait")
        project.run("run", "order", '{"name": "Ada"}', "--amount", "13", "--wait", check=False)
        project.run("run", "tick", "--wait")
        project.run("run", "gather", "--wait")
        project.run("run", "remind", "Bo", "--wait")
    return project


def captured(project: TempProject, function: str, state: str) -> tuple[Path, str]:
    """The file of a captured execution, and what the command said of it."""
    listed = project.json("list", "--function", function, "--state", state, "--limit", "1")
    execution_id = listed["data"][0]["id"]
    path = project.root / "tests" / f"test_{function}_{state}.py"
    done = project.run("capture", execution_id, "--output-file", str(path))
    return path, done.stderr


def pytest_of(project: TempProject, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(path)],
        cwd=project.root,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_what_succeeded_passes_and_runs_nothing_of_its_children(project: TempProject) -> None:
    charges = (project.root / "charges").read_text()
    path, said = captured(project, "order", "succeed")
    assert "look for secrets, such as password" in said
    done = pytest_of(project, path)
    assert done.returncode == 0, done.stdout
    assert (project.root / "charges").read_text() == charges


def test_a_function_that_returns_nothing_is_compared_as_linters_want_it(project: TempProject) -> None:
    path, _ = captured(project, "remind", "succeed")
    assert 'replay(defer_emulator, "remind", ["Bo"]) is None' in path.read_text()
    assert pytest_of(project, path).returncode == 0


def test_children_end_as_they_had_ended_after_retries_later_or_cancelled_and_keep_their_ids(
    project: TempProject,
) -> None:
    waiting, _ = captured(project, "gather", "succeed")
    passed = pytest_of(project, waiting)
    assert passed.returncode == 0, passed.stdout
    ended = project.root / "tests" / "test_all_had_ended.py"
    with project.dev("--port", "0") as dev:
        dev.ready()
        project.run("clock", "advance", "2 days")
        execution = project.json("list", "--function", "gather", "--limit", "1")["data"][0]
        project.run("capture", execution["id"], "--output-file", str(ended))
        project.run("clock", "reset")
    passed = pytest_of(project, ended)
    assert passed.returncode == 0, passed.stdout


def test_what_failed_fails_with_the_same_error_until_it_is_corrected(project: TempProject) -> None:
    path, _ = captured(project, "order", "failed")
    failing = pytest_of(project, path)
    assert failing.returncode == 1
    assert "KeyError: 'unlucky'" in failing.stdout
    source = project.root / "defer" / "order.py"
    before = source.read_text()
    source.write_text(before.replace("amount == 13", "amount == 14"))
    corrected = pytest_of(project, path)
    source.write_text(before)
    assert corrected.returncode == 0, corrected.stdout


def test_another_result_fails(project: TempProject) -> None:
    path, _ = captured(project, "tick", "succeed")
    assert pytest_of(project, path).returncode == 0
    source = project.root / "defer" / "tick.py"
    before = source.read_text()
    source.write_text(before.replace("return 3", "return 4"))
    assert pytest_of(project, path).returncode == 1
    source.write_text(before.replace('await remind("all")', "pass"))
    silent = pytest_of(project, path)
    source.write_text(before)
    assert silent.returncode == 1
    assert "it had started remind('all'), and does not any more" in silent.stdout


def test_the_source_is_as_a_formatter_would_leave_it(project: TempProject) -> None:
    listed = project.json("list", "--function", "order", "--state", "succeed", "--limit", "1")
    text = project.run("capture", listed["data"][0]["id"]).stdout
    ruff = Path(sys.executable).with_name("ruff")
    for arguments in (["format", "--diff"], ["check"]):
        done = subprocess.run(
            [ruff, *arguments, "--isolated", "--stdin-filename", "test_order.py", "-"],
            input=text,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert max(map(len, text.splitlines())) <= 88


def test_what_has_not_ended_has_nothing_to_repeat(project: TempProject) -> None:
    waiting = project.run("run", "remind", "nobody").stdout.strip()
    assert project.run("capture", waiting, check=False).returncode == 4


def test_a_file_is_never_replaced(project: TempProject) -> None:
    path = project.root / "mine.py"
    path.write_text("mine")
    refused = project.run("capture", "@last-failed", "--output-file", str(path), check=False)
    assert refused.returncode == 4
    assert path.read_text() == "mine"
