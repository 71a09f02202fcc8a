from __future__ import annotations

import re

import pytest

from tests.unit.web.console.browser import Browser

pytestmark = pytest.mark.anyio


async def test_what_a_page_names_is_there_and_kept_for_ever(browser: Browser) -> None:
    named = re.findall(r'(?:href|src)="(/static/[^"]+)"', await browser.text("/"))
    assert len(named) >= 4
    for path in named:
        file = await browser.get(path)
        assert file.status_code == 200 and "immutable" in file.headers["Cache-Control"]
        assert file.headers["X-Content-Type-Options"] == "nosniff"
        assert file.headers["Content-Type"].split(";")[0] in ("text/css", "text/javascript", "image/svg+xml")


async def test_scripts_import_only_each_other(browser: Browser) -> None:
    waiting, seen = ["main.js"], set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        script = await browser.get(f"/static/{name}")
        assert script.status_code == 200, name
        imported = re.findall(r'(?:from|import) "\./([^"]+)"', script.text)
        assert "https://" not in script.text and "eval(" not in script.text and "innerHTML" not in script.text
        waiting += [one for one in imported if one not in seen]
    assert {"live.js", "actions.js", "time.js", "morph.js"} <= seen


async def test_without_a_version_a_file_is_checked_each_time(browser: Browser) -> None:
    style = await browser.get("/static/style.css")
    assert style.headers["Cache-Control"] == "no-cache"
    again = await browser.get("/static/style.css", **{"If-None-Match": style.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await browser.get("/static/0123/style.css")).headers["Cache-Control"] == "no-cache"


async def test_nothing_else_is_served(browser: Browser) -> None:
    for path in ("../app.py", "%2e%2e/app.py", "", "other.css", "a/b/style.css", ".hidden"):
        assert (await browser.get(f"/static/{path}")).status_code == 404
