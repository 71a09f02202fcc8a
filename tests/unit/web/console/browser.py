"""A browser as far as pages need one: it asks for HTML, keeps cookies and sends forms with their secret."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import httpx

from tests.unit.web.world import World

ORIGIN = "http://localhost:3337"


class Browser:
    def __init__(self, world: World, **settings: Any) -> None:
        self.world = world
        self.client = world.client(world.app(**settings))
        self.client.headers["Accept"] = "text/html,application/xhtml+xml"

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers=headers)

    async def text(self, path: str) -> str:
        page = await self.get(path)
        assert page.status_code == 200, page.text
        return page.text

    async def post(
        self, path: str, *, back: str = "/", headers: dict[str, str] | None = None, **fields: Any
    ) -> httpx.Response:
        """Send a form as the page `back` would, without following where it leads."""
        form = {"csrf": await self.secret(), "back": back, **fields}
        return await self.client.post(path, data=form, headers={"Origin": ORIGIN, **(headers or {})})

    async def submit(self, path: str, *, back: str = "/", **fields: Any) -> httpx.Response:
        """Send a form and follow: the page that comes after it."""
        answer = await self.post(path, back=back, **fields)
        assert answer.status_code == 303, answer.text
        return await self.get(answer.headers["Location"])

    async def secret(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', (await self.get("/login")).text)
        assert found is not None
        return found[1]


def visible(html: str) -> str:
    """The text of a page, without tags, in single blanks."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html))).strip()
