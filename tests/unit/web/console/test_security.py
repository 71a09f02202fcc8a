"""Who may see the console, and whose forms it follows."""

from __future__ import annotations

import httpx
import pytest

from tests.unit.web.console.browser import Browser
from tests.unit.web.world import World

pytestmark = pytest.mark.anyio

TOKEN = "sésame-7"
PAGES = ("/", "/functions", "/functions/send_mail", "/schedules", "/errors", "/logs", "/nothing")


@pytest.fixture
async def stranger(world: World) -> Browser:
    return Browser(world, token=TOKEN)


async def test_every_page_forbids_what_is_inline_or_foreign(browser: Browser) -> None:
    for path in PAGES:
        page = await browser.get(path)
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
        assert "frame-ancestors 'none'" in policy and "base-uri 'none'" in policy
        assert "form-action 'self'" in policy
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Cache-Control"] == "no-store"
        for inline in ("<style", " style=", "onclick=", "<script>", "javascript:", "http://", "https://"):
            assert inline not in page.text, f"{inline} on {path}"


# --- forms ----------------------------------------------------------------------------------------


async def test_a_form_without_its_secret_is_refused(browser: Browser, world: World) -> None:
    for fields in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": "é"}):
        answer = await browser.client.post("/pause", data={"back": "/", **fields})
        assert answer.status_code == 403
    assert not await world.operations.is_paused()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:4000"},  # another program on this machine
        {"Origin": "http://127.0.0.1:3337"},  # this one by another name: not the page that was shown
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_form_of_another_site_is_refused_even_with_the_secret(
    browser: Browser, world: World, headers: dict[str, str]
) -> None:
    answer = await browser.post("/pause", headers=headers)
    assert answer.status_code == 403
    assert not await world.operations.is_paused()


async def test_only_a_form_is_a_form(browser: Browser, world: World) -> None:
    secret = await browser.secret()
    for kind in ("text/plain", "multipart/form-data; boundary=x", "application/json", ""):
        answer = await browser.client.post(
            "/pause", content=f"csrf={secret}", headers={"Content-Type": kind} if kind else {}
        )
        assert answer.status_code == 415
    assert not await world.operations.is_paused()


async def test_acts_need_post(browser: Browser, world: World) -> None:
    answer = await browser.get("/pause")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert not await world.operations.is_paused()


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "/\\evil.example", "", "/a b", "/\n", "/é"]
)
async def test_an_act_never_leads_to_another_site(browser: Browser, back: str) -> None:
    answer = await browser.post("/pause", back=back)
    location = answer.headers["Location"]
    assert location.startswith("/") and not location.startswith(("//", "/\\"))


# --- the token ------------------------------------------------------------------------------------


async def test_without_the_token_every_page_asks_for_it(stranger: Browser) -> None:
    for path in PAGES:
        page = await stranger.get(path)
        assert page.status_code == 401
        assert 'name="token"' in page.text and "send_mail" not in page.text.replace(path, "")
        assert "WWW-Authenticate" not in page.headers  # the browser's own window would come first
    assert (await stranger.get("/static/style.css")).status_code == 200


async def test_an_open_page_that_may_not_follow_any_more_gets_no_window_of_the_browser(
    stranger: Browser,
) -> None:
    refusal = await stranger.get("/live", Accept="text/event-stream")
    assert refusal.status_code == 401
    assert "WWW-Authenticate" not in refusal.headers


async def test_who_is_no_browser_gets_json(stranger: Browser) -> None:
    refusal = await stranger.get("/", Accept="*/*")
    assert (refusal.status_code, refusal.json()["error"]) == (401, "unauthorized")
    assert refusal.headers["WWW-Authenticate"].startswith("Basic")


async def test_the_token_opens_the_page_that_was_asked_for(stranger: Browser) -> None:
    answer = await stranger.post("/login", token=TOKEN, next="/errors?since=1+day")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/errors?since=1+day")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and TOKEN not in cookie
    assert (await stranger.get("/errors")).status_code == 200


async def test_a_wrong_token_opens_nothing(stranger: Browser) -> None:
    for token in ("", "sesame", TOKEN + "x", "\x00"):
        answer = await stranger.post("/login", token=token)
        assert answer.status_code == 401
        assert "Set-Cookie" not in answer.headers
    assert (await stranger.get("/")).status_code == 401


async def test_the_session_is_of_no_use_for_the_api(stranger: Browser) -> None:
    await stranger.post("/login", token=TOKEN)
    assert (await stranger.get("/")).status_code == 200
    for path in ("/public/v2/executions", "/openapi.json"):
        assert (await stranger.get(path)).status_code == 401


async def test_a_session_of_another_token_is_none(stranger: Browser, world: World) -> None:
    await stranger.post("/login", token=TOKEN)
    other = Browser(world, token="another")
    other.client.cookies = stranger.client.cookies
    assert (await other.get("/")).status_code == 401


async def test_logging_out_ends_the_session(stranger: Browser) -> None:
    await stranger.post("/login", token=TOKEN)
    answer = await stranger.post("/logout")
    assert answer.headers["Location"] == "/login"
    assert (await stranger.get("/")).status_code == 401


async def test_the_login_leads_to_no_other_site(stranger: Browser) -> None:
    answer = await stranger.post("/login", token=TOKEN, next="//evil.example/")
    assert answer.headers["Location"] == "/"


async def test_basic_and_bearer_credentials_open_pages_too(stranger: Browser) -> None:
    for headers in (
        {"Authorization": f"Bearer {TOKEN}".encode()},
        {"Authorization": b"Basic OnPDqXNhbWUtNw=="},
    ):
        assert (await stranger.client.get("/", headers=headers)).status_code == 200


async def test_acts_need_the_token(stranger: Browser, world: World) -> None:
    assert (await stranger.post("/pause")).status_code == 401
    assert not await world.operations.is_paused()


# --- errors ---------------------------------------------------------------------------------------


async def test_browsers_get_errors_as_pages_and_others_as_json(browser: Browser) -> None:
    page = await browser.get("/nothing")
    assert page.status_code == 404 and "Not found" in page.text and 'href="/"' in page.text
    answer = await browser.get("/nothing", Accept="application/json")
    assert answer.status_code == 404 and answer.json()["error"] == "not_found"
    assert (await browser.get("/public/v2/nothing")).json()["error"] == "not_found"


async def test_a_foreign_host_learns_nothing_of_the_project(browser: Browser) -> None:
    page = await browser.get("/", Host="evil.example")
    assert page.status_code == 403 and page.headers["Content-Type"].startswith("text/html")
    assert "shop" not in page.text and "send_mail" not in page.text


async def test_a_failure_of_ours_is_a_page_without_details(
    browser: Browser, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await browser.get("/")
    world.operations.error_groups = None  # type: ignore[method-assign, assignment]
    page = await browser.get("/errors")
    assert page.status_code == 500 and "Traceback" not in page.text and "NoneType" not in page.text
    assert caplog.records[0].exc_info is not None


@pytest.mark.parametrize("query", ["range=%ff", "a=1&" * 5_000, "%", "after=x"])
async def test_a_strange_query_is_no_failure_of_ours(browser: Browser, query: str) -> None:
    for path in ("/", "/logs", "/functions/send_mail"):
        assert (await browser.get(f"{path}?{query}")).status_code in (200, 400)


@pytest.mark.parametrize(
    "cookie", ["defer_notice=%7B", "defer_notice=[1]", "a=b; =; x", "defer_theme=<x>", "\xff"]
)
async def test_strange_cookies_are_passed_over(browser: Browser, cookie: str) -> None:
    page = await browser.client.get("/", headers={"Cookie": cookie.encode("latin-1")})
    assert page.status_code == 200 and "<x>" not in page.text


async def test_a_notice_that_leads_elsewhere_is_not_shown(browser: Browser) -> None:
    from urllib.parse import quote

    forged = quote('["done", "hi", "//evil.example", "x"]')
    page: httpx.Response = await browser.client.get("/", headers={"Cookie": f"defer_notice={forged}"})
    assert "evil.example" not in page.text
