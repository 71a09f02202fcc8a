"""New code beside what runs: which version an execution gets, and that saves lose and duplicate nothing."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from defer_client.models import Arguments, Attempt, Call, Execution, ExecutionFilters, Page
from defer_client.sync import run
from defer_emulator.backend import LocalBackend, open_backend
from defer_emulator.domain.functions import FunctionSpec
from defer_emulator.reload import watch
from defer_emulator.store.store import Store
from tests.projects import PATIENCE, TempProject, eventually

pytestmark = pytest.mark.processes

# Runs until its file appears, and says which version of a module outside `defer/` it has.
HOLD = """
    import asyncio, os
    import shop.version
    async def hold(gate: str = "") -> int:
        while gate and not os.path.exists(gate):
            await asyncio.sleep(0.005)
        return shop.version.NUMBER
"""
WORK = """
    import os, time
    from shop.version import NUMBER
    def work(n: int, seconds: float) -> int:
        log = os.open("log.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(log, f"{n} begins {NUMBER}\\n".encode())
        time.sleep(seconds)
        os.write(log, f"{n} ends {NUMBER}\\n".encode())
        os.close(log)
        return NUMBER
"""


class Project(TempProject):
    """With a module outside `defer/` that is saved again and again."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, {"hold": HOLD, "work": WORK})
        (root / "shop").mkdir()
        (root / "shop" / "__init__.py").touch()
        self.save(1)
        self.backend: LocalBackend = open_backend(root)

    def save(self, number: int) -> None:
        """As editors do: a new file takes the place of the old one."""
        new = self.root / "shop" / "version.py.new"
        new.write_text(f"NUMBER = {number}\n")
        new.replace(self.root / "shop" / "version.py")

    def start(self, name: str, *arguments: Any) -> Execution:
        call = Call(function_name=name, arguments=Arguments(positional=arguments))
        return run(self.backend.enqueue(call), immediate=True)

    def state(self, execution: Execution) -> str:
        return run(self.backend.get_execution(execution.id), immediate=True).state.value

    def result(self, execution: Execution) -> Any:
        eventually(lambda: self.state(execution) == "succeed", f"{execution.function_name} succeeds")
        return run(self.backend.get_execution_result(execution.id), immediate=True)

    def attempts(self, execution: Execution) -> list[Attempt]:
        listed = self.backend.list_execution_attempts(execution.id, Page(), ExecutionFilters())
        return list(run(listed, immediate=True).data)

    def is_live(self, number: int) -> bool:
        return bool(self.result(self.start("hold")) == number)


def functions(project: Project, status: str) -> dict[str, FunctionSpec]:
    with Store.open(project.root).write() as tx:
        return {one.spec.name: one.spec for one in tx.functions() if one.status == status}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.parametrize("worker_start", ["fork", "spawn"])
def test_a_running_execution_keeps_its_code_and_each_attempt_knows_its_generation(
    project: Project, worker_start: str
) -> None:
    (project.root / "defer.toml").write_text(f'worker_start = "{worker_start}"\n')
    gate = project.root / "gate"
    with project.dev().ready():
        old = project.start("hold", str(gate))
        eventually(lambda: project.state(old) == "started", "it runs")
        project.save(2)
        eventually(lambda: project.is_live(2), "the saved module runs")
        new = project.start("hold")
        assert project.result(new) == 2
        gate.touch()
        assert project.result(old) == 1
        assert project.attempts(old)[0].generation < project.attempts(new)[0].generation


def test_a_retry_runs_with_the_code_of_its_own_time(project: Project) -> None:
    project.write(
        "flaky",
        """
        from defer_client import RetryPolicy, defer
        async def flaky() -> None:
            raise ValueError
        flaky = defer(flaky, retry=RetryPolicy(max_attempts=500, initial_interval=0.05, multiplier=1.0))
        """,
    )
    with project.dev().ready():
        execution = project.start("flaky")
        eventually(lambda: len(project.attempts(execution)) >= 2, "it fails")
        project.write("flaky", "async def flaky() -> str:\n    return 'mended'")
        assert project.result(execution) == "mended"
        generations = [attempt.generation for attempt in reversed(project.attempts(execution))]
        assert generations == sorted(generations) and len(set(generations)) >= 2


def test_executions_of_a_removed_function_wait_until_it_is_back(project: Project) -> None:
    source = project.root / "defer" / "hold.py"
    with project.dev().ready():
        kept = source.read_text()
        source.unlink()
        eventually(lambda: "hold" not in functions(project, "ready"), "it is gone")
        waiting = project.start("hold")
        assert project.result(project.start("work", 1, 0.0)) == 1, "the others run"
        assert project.state(waiting) == "created"
        assert "not in the project" in project.run("why", waiting.id).stdout
        source.write_text(kept)
        assert project.result(waiting) == 1


def test_a_changed_limit_counts_at_once_for_what_waits(project: Project) -> None:
    def limited(concurrency: int) -> None:
        project.write(
            "limited",
            f"""
            import asyncio
            from defer_client import defer
            async def limited() -> None:
                await asyncio.sleep(600)
            limited = defer(limited, concurrency={concurrency})
            """,
        )

    limited(1)
    with project.dev().ready():
        executions = [project.start("limited") for _ in range(4)]
        eventually(lambda: [*map(project.state, executions)].count("started") == 1, "one runs")
        limited(3)
        eventually(lambda: [*map(project.state, executions)].count("started") == 3, "three run")
        limited(1)
        eventually(lambda: functions(project, "ready")["limited"].concurrency == 1, "the limit is lowered")
        for running in executions[:2]:
            project.run("cancel", running.id, "--force")
        eventually(lambda: [*map(project.state, executions)].count("aborted") == 2, "two are aborted")
        time.sleep(0.2)
        assert project.state(executions[3]) == "created", "one of three still runs: no place"


def test_a_module_in_a_new_folder_is_noticed(project: Project) -> None:
    with project.dev().ready():
        project.write("late", "async def late() -> int:\n    from pricing.rates import RATE\n    return RATE")
        folder = project.root / "pricing"
        for rate in (1, 2, 3):
            folder.mkdir(exist_ok=True)
            (folder / "rates.py").write_text(f"RATE = {rate}\n")
        project.write("hold", "from pricing.rates import RATE\nasync def hold() -> int:\n    return RATE")
        eventually(lambda: project.is_live(3), "the last one runs")
        (folder / "rates.py").write_text("RATE = 4\n")
        eventually(lambda: project.is_live(4), "its changes run")


def test_a_save_during_the_start_is_not_missed(project: Project) -> None:
    """Of the time between the import of the code and the first look at the files, too."""
    with project.dev() as dev:
        for number in range(2, 200):
            project.save(number)
            time.sleep(0.005)
            if "ready" in dev.output.lower() or (project.root / ".defer" / "emulator.json").exists():
                break
        dev.ready()
        eventually(lambda: project.is_live(number), f"version {number} runs", 5)


@pytest.mark.parametrize(
    ("saves", "executions"),
    [pytest.param(30, 20, id="30"), pytest.param(100, 50, id="100", marks=pytest.mark.drill)],
)
def test_saves_while_executions_run_lose_and_duplicate_nothing(
    project: Project, saves: int, executions: int
) -> None:
    started = []
    with project.dev().ready() as dev:
        for n in range(executions):
            started.append(project.start("work", n, 0.3 + n % 7 / 5))
        for number in range(2, saves + 2):
            project.save(number)
            started.append(project.start("work", len(started), (number % 5) / 20))
            if number % 10 == 0:  # nonsense for a moment, in one file
                project.write("hold", "async def hold(:")
            elif number % 10 == 1:
                project.write("hold", HOLD)
            time.sleep(0.1)
        project.write("hold", HOLD)
        eventually(lambda: {*map(project.state, started)} == {"succeed"}, "all have run", 60)
        eventually(lambda: project.is_live(saves + 1), "the last save runs")
        eventually(lambda: len(dev.descendants()) <= 12, "old generations have ended")
        assert "died" not in dev.output
    lines = [line.split() for line in (project.root / "log.txt").read_text().splitlines()]
    assert Counter((n, what) for n, what, _ in lines) == Counter(
        (str(n), what) for n in range(len(started)) for what in ("begins", "ends")
    ), "each ran once, to its end"
    assert {(n, number) for n, what, number in lines if what == "begins"} == {
        (n, number) for n, what, number in lines if what == "ends"
    }, "with one version"
    assert all(len(project.attempts(one)) == 1 for one in started)
    order = sorted((project.attempts(one)[0] for one in started), key=lambda one: one.started_at)  # type: ignore[arg-type,return-value]
    generations = [attempt.generation for attempt in order]
    assert generations == sorted(generations)


def test_a_project_may_lie_in_a_folder_of_any_name(tmp_path: Path) -> None:
    root = tmp_path / "build" / "env"
    (root / "defer").mkdir(parents=True)
    file, skipped = root / "defer" / "job.py", root / "build" / "job.py"
    skipped.parent.mkdir()

    async def main() -> None:
        changes = watch(root, root / ".env")
        assert await anext_of(changes) == frozenset()
        skipped.touch()
        file.touch()
        assert await anext_of(changes) == {file}
        await changes.aclose()  # type: ignore[attr-defined]

    async def anext_of(changes: AsyncIterator[frozenset[Path]]) -> frozenset[Path]:
        return await asyncio.wait_for(changes.__anext__(), PATIENCE)

    uvloop.run(main())
