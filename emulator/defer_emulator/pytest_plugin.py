"""The pytest plugin: the fixture `defer_emulator`, the marker `defer`, and the guard of `defer_client`.

Loaded into every pytest session where the package is installed: it imports nothing but pytest before a test
asks for the fixture. That it was imported is what the guard looks at.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from defer_emulator.testing import Emulator, Left

_EMULATOR: pytest.StashKey[tuple[Emulator, frozenset[Left]]] = pytest.StashKey()
"""That of a test, and what it may leave behind."""
_TEST_FILES = pytest.StashKey[frozenset[str]]()


def pytest_configure(config: pytest.Config) -> None:
    os.environ["DEFER_TEST_PROCESS"] = str(os.getpid())  # for the guard of `defer_client.selection`
    config.addinivalue_line(
        "markers",
        "defer(allow=(), start=None): for tests with the fixture defer_emulator. allow: what they may leave"
        ' behind, "failed" or "waiting" executions or a list of both; start: what the clock shows first, such'
        ' as "2026-01-31T08:00"',
    )


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
        from defer_emulator.testing import allowed_left, new_emulator
    except ModuleNotFoundError as error:
        raise pytest.UsageError(
            f"defer_emulator needs {error.name}, which is not installed: pip install defer-cli"
        ) from error

    node = request.node
    options = _options(node)
    allowed = allowed_left(options["allow"])
    emulator = new_emulator(
        start=options["start"],
        folder=node.path.parent,
        namespace=getattr(getattr(node, "module", None), "__dict__", None),
        foreign_files=_test_files(node.session) - {str(node.path)},
    )
    node.stash[_EMULATOR] = emulator, allowed
    try:
        yield emulator
    finally:
        del node.stash[_EMULATOR]
        emulator.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, None]:
    outcome = yield
    if _EMULATOR not in item.stash:
        return
    emulator, allowed = item.stash[_EMULATOR]
    if outcome.excinfo is None:
        try:
            emulator.check(allowed)
        except AssertionError as error:
            outcome.force_exception(pytest.fail.Exception(str(error), pytrace=False))
        except Exception as error:  # of a step that was not awaited
            outcome.force_exception(error)
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
