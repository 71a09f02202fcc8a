"""The pytest plugin as a project sees it: its fixture, its marker, its guard."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from defer_client.functions import declared

SETTINGS = """
[project]
name = "shop"
[tool.pytest.ini_options]
asyncio_default_fixture_loop_scope = "function"
"""
FUNCTIONS = """
import asyncio
import pytest
from defer_client import await_result, defer, delay, sync

@defer
async def add(a, b=0):
    return a + b

@defer
async def explode():
    raise ValueError("boom")
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.Pytester]:
    """A folder whose project file nothing must reach, in a process that has imported no functions yet."""
    monkeypatch.delenv("DEFER_BACKEND", raising=False)
    pytester.makepyprojecttoml(SETTINGS)
    (pytester.path / ".defer").mkdir()
    before = dict(declared)
    declared.clear()
    yield pytester
    declared.clear()
    declared.update(before)


def run(project: pytest.Pytester, tests: str, *options: str) -> pytest.RunResult:
    project.makepyfile(test_shop=FUNCTIONS + tests)
    return project.runpytest_inprocess("-p", "no:cacheprovider", *options)


def untouched(project: pytest.Pytester) -> bool:
    return list((project.path / ".defer").iterdir()) == []


# --- what is left behind ------------------------------------------------------------------------


def test_a_test_that_leaves_executions_behind_fails_and_shows_them(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
def test_waiting(defer_emulator):
    delay(add, "1 day").enqueue(1, 2)

def test_failed(defer_emulator):
    explode.enqueue()
    defer_emulator.run_until_idle()

def test_awaited(defer_emulator):
    with pytest.raises(Exception):
        sync.await_result(explode)()

def test_clean(defer_emulator):
    assert sync.await_result(add)(1, 2) == 3
""",
    )
    result.assert_outcomes(failed=3, passed=1)
    result.stdout.fnmatch_lines(
        [
            "the test leaves executions behind: 1 waiting",
            '*@pytest.mark.defer(allow="waiting")*',
            "- * add(1, 2) is due *",
            "the test leaves executions behind: 1 failed",
            "- * explode() failed: ValueError: boom",
        ]
    )


def test_a_marker_allows_what_it_names_only(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
@pytest.mark.defer(allow="waiting")
def test_waiting(defer_emulator):
    add.enqueue(1)

@pytest.mark.defer(allow=["failed", "waiting"])
def test_both(defer_emulator):
    explode.enqueue()
    defer_emulator.run_until_idle()
    add.enqueue(1)

@pytest.mark.defer(allow="waiting")
def test_failed(defer_emulator):
    explode.enqueue()
    defer_emulator.run_until_idle()
""",
        "--strict-markers",
    )
    result.assert_outcomes(passed=2, failed=1)


def test_markers_of_class_and_module_count_and_the_nearest_wins(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
pytestmark = pytest.mark.defer(allow="waiting", start="2026-01-31")

def test_module(defer_emulator):
    add.enqueue(1)
    assert str(defer_emulator.now.date()) == "2026-01-31"

@pytest.mark.defer(allow=())
def test_own(defer_emulator):
    assert str(defer_emulator.now.date()) == "2026-01-31"
    add.enqueue(1)
""",
    )
    result.assert_outcomes(passed=1, failed=1)


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ('allow="fialed"', "*allow must be*fialed*"),
        ('alow="failed"', "*allow and start by name, not alow*"),
        ('"failed"', "*allow and start by name, not 'failed'*"),
        ('start="soon"', "*soon*"),
    ],
)
def test_a_wrong_marker_is_an_error_that_names_it(project: pytest.Pytester, marker: str, said: str) -> None:
    test = "def test_it(defer_emulator):\n    assert sync.await_result(add)(1) == 1"
    result = run(project, f"@pytest.mark.defer({marker})\n{test}", "-W", "error")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([said])


def test_what_a_step_raises_that_was_thrown_away_fails_the_test(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
async def test_it(defer_emulator):
    defer_emulator.run_until(lambda: 1 / 0)
""",
        "-W",
        "error",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*ZeroDivisionError*"])


def test_the_marker_is_registered(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess("--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.defer(allow=(), start=None): *"])


def test_a_failing_test_shows_the_history_once_and_not_what_it_left(project: pytest.Pytester) -> None:
    result = run(project, "def test_it(defer_emulator):\n    add.enqueue(1, 2)\n    assert False\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Captured defer call*", "- * add(1, 2) is due *"])
    result.stdout.no_fnmatch_line("*leaves executions behind*")


# --- kinds of tests -----------------------------------------------------------------------------


@pytest.mark.parametrize("plugin", ["anyio", "asyncio"])
def test_coroutines_work_under_both_plugins(project: pytest.Pytester, plugin: str) -> None:
    result = run(
        project,
        f"""
@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.{plugin}
async def test_it(defer_emulator):
    assert await await_result(add)(1, 2) == 3
    await delay(add, "1 day")(3)
    await defer_emulator.advance("1 day")
    assert defer_emulator.last(add).result == 3

@pytest.mark.{plugin}
async def test_left(defer_emulator):
    await add(1)
""",
    )
    result.assert_outcomes(passed=1, failed=1)


def test_tests_run_side_by_side_with_xdist(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_shop=FUNCTIONS + "@pytest.mark.parametrize('number', range(6))\n"
        "def test_it(defer_emulator, number):\n"
        "    assert sync.await_result(add)(number, 1) == number + 1\n"
        "    assert len(defer_emulator.executions()) == 1\n"
        "def test_guard():\n    add.enqueue(1)\n"
    )
    result = project.runpytest_subprocess("-p", "no:cacheprovider", "-n", "2")
    result.assert_outcomes(passed=6, failed=1)
    result.stdout.fnmatch_lines(["*without the fixture `defer_emulator`*"])


def test_test_cases_use_the_context_manager_or_the_fixture(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
import unittest
from defer_emulator.testing import emulator

class WithManager(unittest.TestCase):
    def setUp(self):
        self.emulator = self.enterContext(emulator()) if hasattr(self, "enterContext") else None
        if self.emulator is None:
            manager = emulator()
            self.emulator = manager.__enter__()
            self.addCleanup(manager.__exit__, None, None, None)

    def test_it(self):
        self.assertEqual(sync.await_result(add)(1, 2), 3)

    def test_left(self):
        add.enqueue(1)

class WithFixture(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _emulator(self, defer_emulator):
        self.emulator = defer_emulator

    def test_it(self):
        add.enqueue(1)
        self.emulator.run_until_idle()

    def test_left(self):
        add.enqueue(1)

class InACoroutine(unittest.IsolatedAsyncioTestCase):
    async def test_it(self):
        with emulator() as em:
            self.assertEqual(await await_result(add)(1, 2), 3)
            await delay(add, "1 day")(1)
            await em.advance("1 day")
""",
    )
    result.assert_outcomes(passed=3, failed=2)


def test_unittest_itself_runs_it_too(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_plain="""
import unittest
from defer_client import defer, sync
from defer_emulator.testing import emulator

@defer
async def add(a, b):
    return a + b

class Test(unittest.TestCase):
    def test_it(self):
        with emulator() as em:
            self.assertEqual(sync.await_result(add)(1, 2), 3)
            em.assert_succeeded(add)
"""
    )
    done = subprocess.run(
        [sys.executable, "-m", "unittest", "-q"], cwd=project.path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert untouched(project)


# --- which functions ----------------------------------------------------------------------------


def test_functions_of_one_name_in_two_test_files_stay_apart(project: pytest.Pytester) -> None:
    for name, cron in (("one", "0 8 * * *"), ("two", "0 9 * * *")):
        project.makepyfile(
            **{
                f"test_{name}": f"""
from defer_client import defer, sync

@defer
async def which():
    return "{name}"

@defer.cron("{cron}")
async def daily_{name}(): ...

def test_it(defer_emulator):
    assert sync.await_result(which)() == "{name}"
    defer_emulator.advance("1 day")
    assert {{one.function_name for one in defer_emulator.executions()}} == {{"which", "daily_{name}"}}
"""
            }
        )
    project.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_the_projects_functions_are_all_there_and_imported_once(project: pytest.Pytester) -> None:
    folder = project.path / "src" / "defer"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "nightly.py").write_text(
        "from defer_client import defer\n@defer.cron('0 3 * * *')\nasync def nightly(): ...\n"
    )
    (folder / "send.py").write_text(
        "from defer_client import defer\nprint('imported')\n@defer\nasync def send(): return 'original'\n"
    )
    (folder / "broken.py").write_text("import nothing_of_that_name\n")
    project.makepyfile(
        test_shop="""
import sys
import pytest
from defer_client import sync

def test_cron(defer_emulator):
    defer_emulator.advance("2 days")
    assert len(defer_emulator.executions("nightly", "succeed")) == 2

def test_patched(defer_emulator, monkeypatch):
    from defer.send import send
    async def other():
        return "patched"
    monkeypatch.setattr(send, "original", other)
    assert sync.await_result(send)() == "patched"
    assert len([name for name in sys.modules if name.endswith("defer.send")]) == 1
"""
    )
    result = project.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2)


# --- the guard ----------------------------------------------------------------------------------


def test_calls_without_the_fixture_are_refused_wherever_they_are_made(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEFER_ENDPOINT", "http://127.0.0.1:9")
    result = run(
        project,
        """
import os, threading
from defer_client import NoBackendError, defer_enabled, get_execution

calls = [add.enqueue, lambda a: sync.await_result(add)(a), lambda a: asyncio.run(get_execution("x")),
         lambda a: asyncio.run(add(a)), lambda a: sync.cancel_execution("x")]

def refused(call):
    with pytest.raises(NoBackendError, match="defer_emulator"):
        call(1)

for call in calls:  # while it is collected, too
    refused(call)

@pytest.fixture(scope="session")
def data():
    refused(add.enqueue)

@pytest.mark.parametrize("call", calls)
def test_calls(call, data):
    refused(call)
    assert not defer_enabled()

def test_threads():
    found = []
    def work():
        try:
            add.enqueue(1)
        except NoBackendError as error:
            found.append(error)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found

def test_an_empty_environment(monkeypatch):
    for name in list(os.environ):
        monkeypatch.delenv(name)
    refused(add.enqueue)

@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forks():
    child = os.fork()
    if child == 0:
        try:
            add.enqueue(1)
        except NoBackendError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7

def test_after_the_fixture(defer_emulator):
    assert defer_enabled()

def test_after_it():
    refused(add.enqueue)
""",
    )
    assert result.ret == 0, result.stdout.str()
    assert untouched(project)


def test_with_the_fixture_nothing_reaches_the_endpoint_or_the_file(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEFER_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("DEFER_BACKEND", "http")
    run(project, "def test_it(defer_emulator):\n    assert sync.await_result(add)(1) == 1").assert_outcomes(
        passed=1
    )
    assert untouched(project)


def test_a_test_that_really_wants_the_file_says_so(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEFER_BACKEND", "local")
    run(project, "def test_it():\n    assert add.enqueue(1).state == 'created'").assert_outcomes(passed=1)
    assert (project.path / ".defer" / "state.db").exists()


def test_the_guard_stands_before_the_session_and_after_it(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    project.makepyfile(
        shop="""
from defer_client import NoBackendError, defer

@defer
async def add(a):
    return a

def attempt(where):
    try:
        add.enqueue(1)
        said = "sent"
    except NoBackendError as error:
        said = "refused" if "defer_emulator" in str(error) else str(error)
    with open("heard", "a") as file:
        print(where, said, file=file)
""",
        test_shop="""
import multiprocessing
import pytest
from shop import attempt

@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_processes(method):
    process = multiprocessing.get_context(method).Process(target=attempt, args=(method,))
    process.start()
    process.join()
    assert process.exitcode == 0
""",
    )
    project.makeconftest("""
import atexit
from shop import attempt

attempt("conftest")
atexit.register(attempt, "atexit")

def pytest_configure(config):
    attempt("configure")

def pytest_unconfigure(config):
    attempt("unconfigure")
""")
    result = project.runpytest_subprocess("-p", "no:cacheprovider")
    assert result.ret == 0, result.stdout.str()
    heard = dict(line.split(" ", 1) for line in (project.path / "heard").read_text().splitlines())
    assert set(heard.values()) == {"refused"}, heard
    assert {"conftest", "configure", "unconfigure", "atexit", "spawn"} <= set(heard)
    assert untouched(project)


def test_without_the_plugin_the_guard_still_stands(project: pytest.Pytester) -> None:
    project.makepyfile(test_shop=FUNCTIONS + "def test_it():\n    add.enqueue(1)")
    project.makeconftest(
        FUNCTIONS + "with pytest.raises(Exception, match='defer_emulator'):\n    add.enqueue(1)"
    )
    result = project.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:defer")
    result.assert_outcomes(failed=1)
    assert untouched(project)


# --- its cost -----------------------------------------------------------------------------------


def test_unused_it_imports_nothing(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_nothing="""
import sys

def test_it():
    ours = sorted(name for name in sys.modules if name.startswith("defer"))
    assert ours == ["defer_emulator", "defer_emulator.pytest_plugin"]
    assert "asyncio" not in sys.modules or "anyio" in sys.modules or "pytest_asyncio" in sys.modules
"""
    )
    project.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_pytest_is_no_dependency_of_the_package() -> None:
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    dependencies = text.partition("\ndependencies = [")[2].partition("]")[0]
    assert dependencies and "pytest" not in dependencies
