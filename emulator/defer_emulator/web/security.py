"""Who may ask: the Host, the Origin and the token of a request.

The emulator runs code on request, on a developer's machine, where any web page that is open in a
browser can reach it. The page of another site betrays itself by its `Origin`, a rebound DNS name by
the `Host`.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address

from defer_emulator.web.errors import Refused, bad_request
from defer_emulator.web.requests import Headers
from defer_emulator.web.settings import WebSettings

ParentOf = Callable[[str], "str | None"]
"""The id of the execution that an execution token was made for; None for any other text."""

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^\[\]:/@?#\s]+)(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
_ORIGIN = re.compile(r"https?://(?P<host>.+)", re.ASCII)


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine can reach a server at `host`.

    >>> is_loopback("localhost"), is_loopback("[::1]"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    name = _bare(host)
    if name == "localhost" or name.endswith(".localhost"):
        return True
    return _is_address(name) and ip_address(name).is_loopback


def generate_token() -> str:
    """A token that cannot be guessed, for an emulator that listens beyond loopback."""
    return secrets.token_urlsafe(24)


class Gate:
    """Lets a request in, or raises `Refused`."""

    def __init__(self, settings: WebSettings, parent_of: ParentOf) -> None:
        self._beyond = not is_loopback(settings.host)
        if self._beyond and not settings.token:
            raise ValueError(f"listening on {settings.host}, beyond this machine, needs a token")
        self._listed = frozenset(_host_and_port(host)[0] for host in settings.allowed_hosts)
        self._own = _bare(settings.host)
        self._token = settings.token or None
        self._parent_of = parent_of
        self._site_is_ours = lru_cache(maxsize=64)(self._decide_site)

    def check_site(self, headers: Headers) -> None:
        """Refuse what the page of another site sent. Raises `Refused` (400, 403)."""
        if headers.host is None:
            raise bad_request("the request has no Host header")
        if not self._site_is_ours(headers.host.lower(), None):
            raise _foreign("Host", headers.host, "start it with --allowed-host NAME if the name is yours")
        if headers.origin is not None and not self._site_is_ours(
            headers.host.lower(), headers.origin.lower()
        ):
            raise _foreign("Origin", headers.origin, "pages of other sites may not call the emulator")

    def admit(self, headers: Headers) -> str | None:
        """Check the credentials. The id of the execution that sent the request, if one did.

        Raises `Refused` (401).
        """
        if headers.execution_token is not None:
            parent = self._parent_of(headers.execution_token)
            if parent is not None:
                return parent
        # Of another emulator, when the project calls that one: worth nothing here.
        credentials = _credentials(headers.authorization)
        parent = self._parent_of(credentials) if credentials and "." in credentials else None
        if parent is not None or self._token is None:
            return parent
        if credentials is None or not _equal(credentials, self._token):
            raise _unauthorized(
                "this emulator needs its token (DEFER_TOKEN): as Bearer, or as the password of Basic "
                "with an empty user"
            )
        return None

    def is_token(self, text: str) -> bool:
        """Whether this is the emulator's token, as a person types it."""
        return self._token is not None and _equal(text, self._token)

    @property
    def needs_token(self) -> bool:
        return self._token is not None

    def _decide_site(self, host: str, origin: str | None) -> bool:
        name, port = _host_and_port(host)
        if origin is None:
            return self._is_our_name(name)
        match = _ORIGIN.fullmatch(origin)
        if match is None:  # "null": a sandboxed page or a file
            return False
        origin_name, origin_port = _host_and_port(match["host"])
        if origin_name in self._listed or match["host"] == host:
            return True
        return self._is_our_name(origin_name) and origin_port == port

    def _is_our_name(self, name: str) -> bool:
        if is_loopback(name) or name in self._listed:
            return True
        # An address cannot be rebound, and a server beyond loopback asks for a token anyway.
        return name == self._own or (self._beyond and _is_address(name))


def _host_and_port(text: str) -> tuple[str, str | None]:
    """`("", None)` for what is no host."""
    match = _HOST.fullmatch(text.strip().lower())
    return (_bare(match["name"]), match["port"]) if match else ("", None)


def _bare(host: str) -> str:
    return host.strip().lower().strip("[]").rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _credentials(authorization: str | None) -> str | None:
    scheme, _, value = (authorization or "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return _text(value.strip().encode("latin-1"))
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(value.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return _text(password) if colon and not user else None


def _text(raw: bytes) -> str:
    """Browsers encode credentials in Latin-1, most other clients in UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode("utf-8"))


def _foreign(header: str, value: str, hint: str) -> Refused:
    return Refused(403, "forbidden", f"{header} {value[:100]!r} is not this emulator's: {hint}")


def _unauthorized(message: str) -> Refused:
    return Refused(401, "unauthorized", message, {"WWW-Authenticate": 'Basic realm="defer", charset="UTF-8"'})
