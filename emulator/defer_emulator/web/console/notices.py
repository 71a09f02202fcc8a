"""A line about what an act did, shown once, on the page that follows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote

COOKIE = "defer_notice"
MAX_TEXT = 300  # characters: a cookie holds 4 KiB
CLEARED = f"{COOKIE}=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict"

Kind = Literal["done", "failed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    text: str
    kind: Kind = "done"
    link: str | None = None  # a page of ours, such as the new execution's
    link_text: str = "Show it"


def set_notice(notice: Notice) -> str:
    """The value of `Set-Cookie`."""
    value = [notice.kind, notice.text[:MAX_TEXT], notice.link, notice.link_text]
    text = quote(json.dumps(value), safe="")
    return f"{COOKIE}={text}; Max-Age=60; Path=/; HttpOnly; SameSite=Strict"


def read_notice(cookies: Mapping[str, str]) -> Notice | None:
    """None where there is none, or something else sent the cookie."""
    try:
        kind, text, link, link_text = json.loads(unquote(cookies.get(COOKIE, "")))
    except (ValueError, TypeError):
        return None
    ours = isinstance(link, str) and link.startswith("/") and not link.startswith(("//", "/\\"))
    if kind not in ("done", "failed") or not isinstance(text, str) or not (link is None or ours):
        return None
    return Notice(kind=kind, text=text, link=link, link_text=str(link_text))
