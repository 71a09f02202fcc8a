from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.web.console.browser import Browser
from tests.unit.web.world import World


@pytest.fixture
async def browser(world: World) -> AsyncIterator[Browser]:
    browser = Browser(world)
    async with browser.client:
        yield browser
