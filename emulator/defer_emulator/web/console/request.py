"""A browser's request, as the pages see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.cookies import CookieError, SimpleCookie
from typing import Generic, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlencode

from defer_emulator.web.console.site import Site
from defer_emulator.web.errors import bad_request
from defer_emulator.web.requests import Request

MAX_FIELDS = 2_000  # of a form or a query

Fields = Mapping[str, Sequence[str]]
"""The fields of a query or a form: each with its values in order."""


@dataclass(frozen=True, kw_only=True)
class PageRequest:
    """A request that was let in. `form` is empty unless it is a POST."""

    site: Site
    http: Request
    method: str
    path: str  # of the page: for a form, of the one that it was on
    query: Fields
    cookies: Mapping[str, str]
    headers: Mapping[bytes, bytes]
    params: Mapping[str, str] = field(default_factory=dict)  # the parts of the path in {braces}
    form: Fields = field(default_factory=dict)
    csrf: str = ""  # what each form must carry
    state: str = ""  # of the project before the page is made; see `Updates.state`

    def get(self, name: str, default: str = "") -> str:
        """The last value of a field of the query, without blanks around it."""
        return last(self.query, name, default)

    def all(self, name: str) -> list[str]:
        """The values of a field of the query that are not blank."""
        return [value.strip() for value in self.query.get(name, ()) if value.strip()]

    def posted(self, name: str, default: str = "") -> str:
        """The last value of a field of the form, without blanks around it."""
        return last(self.form, name, default)

    def with_form(self, form: Fields) -> PageRequest:
        """The request of a form, which belongs to the page that it was on: that page is shown again where
        the form is wrong, and the act leads back to it."""
        path, _, query = local_path(last(form, "back"), self.path).partition("?")
        return replace(self, form=form, path=unquote(path), query=read_fields(query.encode("ascii")))

    @property
    def url(self) -> str:
        """The path with its query, as it leads back here."""
        return self.url_with()

    def url_with(self, **changes: str | Sequence[str] | None) -> str:
        """The same address with other fields in its query; None or nothing removes one."""
        fields: dict[str, Sequence[str]] = dict(self.query)
        for name, value in changes.items():
            fields[name] = [] if value is None else [value] if isinstance(value, str) else value
        pairs = [(name, value) for name, values in fields.items() for value in values if value]
        return address(self.path, pairs)

    @property
    def is_enhanced(self) -> bool:
        """Whether a script of ours sends a form: it wants to know where to go, not to be sent there."""
        return b"defer-action" in self.headers

    @property
    def wants_html(self) -> bool:
        return accepts_html(self.headers)


R = TypeVar("R")


@dataclass(frozen=True, kw_only=True, slots=True)
class Part(Generic[R]):
    """A numbered page of a list that is at hand as a whole."""

    rows: Sequence[R]
    page: int  # from 1
    of: int
    first: int  # numbers of the first and the last row, from 1
    last: int
    total: int


def part_of(rows: Sequence[R], request: PageRequest, size: int) -> Part[R]:
    """The page that the field `page` of the query asks for; the nearest one where there is none such."""
    text = request.get("page")
    asked = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 1
    of = max(1, -(-len(rows) // size))
    page = min(max(asked, 1), of)
    first = (page - 1) * size
    shown = rows[first : first + size]
    return Part(rows=shown, page=page, of=of, first=first + 1, last=first + len(shown), total=len(rows))


def address(path: str, pairs: Sequence[tuple[str, str]] = ()) -> str:
    query = urlencode(pairs, errors="surrogatepass") if pairs else ""
    return quote(path, safe="/@:.~-_", errors="surrogatepass") + (f"?{query}" if query else "")


def last(fields: Fields, name: str, default: str = "") -> str:
    values = fields.get(name)
    return values[-1].strip() if values else default


def accepts_html(headers: Mapping[bytes, bytes]) -> bool:
    return b"text/html" in headers.get(b"accept", b"")


def read_fields(text: bytes) -> dict[str, list[str]]:
    """The fields of a query or of a form's body. Raises `Refused` (400)."""
    try:
        pairs = parse_qsl(
            text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError:  # UnicodeDecodeError among them
        raise bad_request("the query or the form is not well-formed, or has too many fields") from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value.replace("\r\n", "\n"))
    return fields


def read_cookies(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    try:
        cookies = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1"))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in cookies.items()}


def local_path(text: str, default: str = "/") -> str:
    """`text` where it leads to a page of ours, else `default`: a form never sends anybody elsewhere.

    >>> local_path("/errors?page=2"), local_path("//evil.example"), local_path("https://evil.example")
    ('/errors?page=2', '/', '/')
    """
    is_ours = text.startswith("/") and not text.startswith(("//", "/\\"))
    return text if is_ours and text.isascii() and text.isprintable() and " " not in text else default
