from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.console.browser import Tab, launched
from tests.console.client import Api
from tests.console.shop import shop
from tests.projects import Dev, TempProject

OpenTab = Callable[..., Tab]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> TempProject:
    return shop(tmp_path_factory.mktemp("console") / "shop")


@pytest.fixture(scope="module")
def dev(browser: Browser, project: TempProject) -> Iterator[Dev]:
    """One emulator for the tests of a module."""
    with project.dev("--no-open").ready() as dev:
        yield dev


@pytest.fixture(scope="module")
def api(dev: Dev) -> Api:
    return Api(dev.url)


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[OpenTab]:
    """Opens tabs of browsers that know nothing yet. In the end nothing may have gone wrong in any."""
    tabs: list[Tab] = []
    with ExitStack() as contexts:

        def open_one(url: str, **options: Any) -> Tab:
            context = browser.new_context(**options)
            contexts.callback(context.close)
            tabs.append(Tab(context, url))
            return tabs[-1]

        yield open_one
        for tab in tabs:
            tab.assert_quiet()


@pytest.fixture
def tab(open_tab: OpenTab, dev: Dev) -> Tab:
    return open_tab(dev.url)
