"""The pytest plugin: the fixture `defer_emulator`, the marker `defer`, and the guard of `defer_client`.

Loaded into every pytest session where the package is installed: it imports nothing but pytest before a test
asks for the fixture.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from defer_emulator.testing import Emulator

sessions = 0
"""How many pytest sessions this process runs: in them, calls need the fixture (`defer_client.selection`)."""

_EMULATOR = pytest.StashKey["Emulator"]()
_TEST_FILES = pytest.StashKey[frozenset[str]]()


def pytest_configure(config: pytest.Config) -> None:
    global sessions
    sessions += 1
    config.addinivalue_line(
        "markers",
        "defer(allow=(), start=None): for tests with the fixture defer_emulator. allow: what they may leave"
        ' behind, "failed" or "waiting" executions or a list of both; start: what the clock shows first, such'
        ' as "2026-01-31T08:00"',
    )


def pytest_unconfigure() -> None:
    global sessions
    sessions -= 1


def pytest_collection_finish(session: pytest.Session) -> None:
    """Import the project's functions if a test needs them: not in the middle of one, in its transaction."""
    folders = {
        item.path.parent for item in session.items if "defer_emulator" in getattr(item, "fixturenames", ())
    }
    for folder in folders:
        from defer_emulator.testing.functions import load_project_of

        with suppress(Exception):  # the fixture says it
            load_project_of(folder)


@pytest.fixture
def defer_emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """An emulator for this test: the real scheduler, on a clock that stands until the test moves it."""
    try:
        from defer_emulator.testing import new_emulator
    except ModuleNotFoundError as error:
        raise pytest.UsageError(
            f"defer_emulator needs {error.name}, which is not installed: pip install defer-cli"
        ) from error

    node = request.node
    options = _options(node)
    emulator = new_emulator(
        start=options["start"],
        folder=node.path.parent,
        namespace=getattr(getattr(node, "module", None), "__dict__", None),
        foreign_files=_test_files(node.session) - {str(node.path)},
    )
    node.stash[_EMULATOR] = emulator
    try:
        yield emulator
    finally:
        del node.stash[_EMULATOR]
        emulator.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, None]:
    outcome = yield
    emulator = item.stash.get(_EMULATOR, None)
    if emulator is None:
        return
    from defer_emulator.testing import allowed_left

    if outcome.excinfo is None:
        try:
            emulator.check(allowed_left(_options(item)["allow"]))
        except AssertionError as error:
            outcome.force_exception(pytest.fail.Exception(str(error), pytrace=False))
    else:
        item.add_report_section("call", "defer", emulator.history())


def _options(item: pytest.Item) -> dict[str, Any]:
    """Of the markers, the nearest first. Raises `pytest.UsageError` for what they do not know."""
    options: dict[str, Any] = {"allow": (), "start": None}
    for marker in reversed(list(item.iter_markers("defer"))):
        unknown = marker.kwargs.keys() - options.keys()
        if marker.args or unknown:
            given = ", ".join([*map(repr, marker.args), *sorted(unknown)])
            raise pytest.UsageError(f"pytest.mark.defer takes {' and '.join(options)} by name, not {given}")
        options |= marker.kwargs
    return options


def _test_files(session: pytest.Session) -> frozenset[str]:
    """All files that tests were collected from."""
    if _TEST_FILES not in session.stash:
        session.stash[_TEST_FILES] = frozenset(str(item.path) for item in session.items)
    return session.stash[_TEST_FILES]
