"""A real browser, and what must never happen in it while pages of the console are open."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Response, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
HERE = Path(__file__).parent
AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"
LARGEST = 150 * 1024  # bytes of a page
PATIENCE = 30_000.0  # ms until a page is said not to do what it should
SCREENSHOTS = os.environ.get("DEFER_SCREENSHOTS")  # a folder

expect.set_options(timeout=PATIENCE)


def required() -> bool:
    return "DEFER_REQUIRE_CHROMIUM" in os.environ


def chromium() -> str:
    """The path of the browser. Skips the test where there is none, unless it is required."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    assert not required(), f"a browser is required here, but there is none of {', '.join(NAMES)}"
    pytest.skip(f"needs a browser: {', '.join(NAMES)}")


def axe_source() -> str:
    """The script that looks for what some people cannot use. Skips where it is not installed."""
    if not AXE.exists():
        assert not required(), "axe-core is required here: npm ci --prefix tests/console"
        pytest.skip("needs axe-core: npm ci --prefix tests/console")
    return AXE.read_text()


@contextmanager
def launched() -> Iterator[Browser]:
    """Use it in a fixture of a module: what drives the browser keeps an event loop in this thread, which
    tests with loops of their own would stumble over."""
    path = chromium()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """A page, and all that it asked for and complained about."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.url = url
        self.troubles: list[str] = []
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("console", lambda message: self._said(message.type, message.text))
        self.page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        self.page.on("dialog", self._asked)
        self.page.on("request", lambda request: self._requested(request.url))
        self.page.on("popup", lambda popup: self.troubles.append(f"opened: {popup.url}"))

    def _said(self, kind: str, text: str) -> None:
        # The browser reports a form that comes back as wrong; that is an answer as it should be.
        is_answer = text.startswith("Failed to load resource") and any(
            f"status of {code}" in text for code in (401, 409, 422)
        )
        if kind in ("error", "warning", "log") and not is_answer:
            self.troubles.append(f"{kind}: {text}")

    def _asked(self, dialog: Any) -> None:
        self.troubles.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _requested(self, url: str) -> None:
        if url.startswith("data:"):
            return
        if urlsplit(url).netloc != urlsplit(self.url).netloc:
            self.troubles.append(f"asked for {url}")

    def open(self, path: str) -> Page:
        """Go to a page and wait until its scripts have run. Asserts that it is one, and small."""
        answer = self.page.goto(self.url + path)
        assert answer is not None
        assert answer.status == 200, f"{path}: {answer.status}"
        assert_small(answer)
        return self.page

    def act(self, button: str) -> None:
        """Press a button of the page whose name is exactly that."""
        self.page.get_by_role("button", name=button, exact=True).first.click()

    def confirm(self, question: str, button: str) -> None:
        """Open a question and say yes."""
        self.page.locator("summary", has_text=question).first.click()
        self.page.locator("details[open]").get_by_role("button", name=button).click()

    def assert_told(self, text: str) -> None:
        expect(self.page.locator("#notices")).to_contain_text(text)

    def assert_quiet(self) -> None:
        assert not self.troubles, "\n".join(self.troubles)


def assert_small(answer: Response) -> None:
    size = len(answer.body())
    assert size < LARGEST, f"{answer.url} has {size} bytes"


def assert_fits(page: Page) -> None:
    """The page itself does not scroll sideways; a wide table may, in its own box."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if wide > 0:
        raise AssertionError(f"{page.url} is {wide} px too wide: {page.evaluate(TOO_WIDE)}")


TOO_WIDE = """
[...document.querySelectorAll("main *, .rail, .rail-foot *")].filter((element) => {
  if (element.closest(".scroll, .rail nav")) return false;
  return element.getBoundingClientRect().right > document.documentElement.clientWidth;
}).slice(0, 5).map((element) => element.outerHTML.slice(0, 120))
"""


def violations(page: Page, axe: str, *rules: str) -> list[str]:
    """What axe finds by its default rules, or by those: a line for each with the elements it is about."""
    page.evaluate(axe)
    options = {"resultTypes": ["violations"], "preload": False, **({"runOnly": list(rules)} if rules else {})}
    found = page.evaluate("options => axe.run(options)", options)["violations"]
    return [f"{one['id']}: {[node['html'][:160] for node in one['nodes'][:4]]}" for one in found]


def screenshot(page: Page, name: str) -> None:
    """Kept where `DEFER_SCREENSHOTS` names a folder."""
    if SCREENSHOTS is not None:
        folder = Path(SCREENSHOTS)
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}.png", full_page=True)
