"""A store with many executions: pages stay small, and every execution can be reached."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from benchmarks.store import fill
from defer_emulator.store.store import Store
from tests.console.conftest import OpenTab
from tests.console.shop import shop
from tests.projects import Dev

pytestmark = pytest.mark.acceptance

PAGES = (
    "/",
    "/?range=all",
    "/functions",
    "/functions/send_mail",
    "/executions",
    "/executions?state=failed",
    "/executions?metadata=user:7",
    "/schedules",
    "/errors",
    "/logs",
    "/outbox",
)


@pytest.fixture(scope="module", params=[20_000, pytest.param(1_000_000, marks=pytest.mark.drill)])
def crowded(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Dev]:
    project = shop(tmp_path_factory.mktemp("many") / "shop")
    store = Store.open(project.root)
    fill(store, request.param)
    store.close()
    with project.dev("--no-open").ready() as dev:
        yield dev


@pytest.mark.parametrize("path", PAGES)
def test_each_page_is_small(crowded: Dev, open_tab: OpenTab, path: str) -> None:
    open_tab(crowded.url).open(path)
