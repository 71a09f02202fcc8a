"""Sends a message to an address: a Slack incoming webhook, or any other that takes JSON by POST."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from defer_client import __version__
from defer_client.errors import DeferError
from defer_emulator.notify.rendering import HIDDEN, Format

if TYPE_CHECKING:
    import httpx

TIMEOUT = 10.0  # seconds, for each step
_REASON = 200  # characters of an answer that are kept
_SECRET = 12  # characters from which on a part of an address is taken for one
_PASSING = frozenset({408, 425, 429})  # statuses, beside those of servers in trouble, that may be over soon


class UnsafeAddress(DeferError):
    """An address to which nothing is sent."""

    code = "config"


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """How a try ended."""

    is_sent: bool
    problem: str | None = None  # one line, without secrets
    may_work_later: bool = False
    retry_after: float | None = None  # seconds


class Webhook:
    """An address. It is a secret: who knows it may write there. `where` is what may be shown of it.

    Raises `UnsafeAddress` for what is no address of a server.
    """

    def __init__(self, url: str) -> None:
        check_address(url)
        self._url = url
        self.where = shown_address(url)
        self.secrets = secrets_of(url)

    @property
    def format(self) -> Format:
        """What it understands, as far as the address tells: others than Slack take Slack's messages too."""
        parts = urlsplit(self._url)
        is_slack = (parts.hostname or "").endswith(".slack.com") or parts.path.startswith("/services/")
        return "slack" if is_slack or parts.path.endswith("/slack") else "json"

    def send(self, body: str) -> Delivery:
        """Try once; blocks for some seconds. Redirects are not followed."""
        import httpx  # 100 ms

        logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs whole addresses
        try:
            self._check_host()
            # Redirects are not followed; no proxy is asked for what runs on this machine.
            client = httpx.Client(timeout=TIMEOUT, trust_env=not self._is_local())
            with (
                client,
                client.stream("POST", self._url, content=body.encode(), headers=_HEADERS) as response,
            ):
                return self._judged(response)
        except UnsafeAddress as error:
            return Delivery(is_sent=False, problem=error.message)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            reason = self._without_secrets(str(error) or type(error).__name__)
            return Delivery(is_sent=False, problem=f"{self.where}: {reason}", may_work_later=True)

    def _judged(self, response: httpx.Response) -> Delivery:
        status = response.status_code
        if response.is_success:
            return Delivery(is_sent=True)
        if response.is_redirect:
            problem = f"{self.where} answered {status}, a redirect, which is not followed"
            return Delivery(is_sent=False, problem=problem)
        said = b""
        for chunk in response.iter_raw(_REASON):
            said = chunk
            break
        reason = " ".join(self._without_secrets(said.decode("utf-8", "replace")).split())[:_REASON]
        return Delivery(
            is_sent=False,
            problem=f"{self.where} answered {status}" + (f": {reason}" if reason else ""),
            may_work_later=status >= 500 or status in _PASSING,
            retry_after=_seconds(response.headers.get("Retry-After", "")),
        )

    def _without_secrets(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def _check_host(self) -> None:
        """The name may lead where no server of anybody is meant to be asked. Raises `UnsafeAddress`."""
        parts = urlsplit(self._url)
        for *_, address in socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM):
            _refuse_unsafe(ipaddress.ip_address(str(address[0]).partition("%")[0]), self.where)

    def _is_local(self) -> bool:
        host = urlsplit(self._url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")


_HEADERS = {"Content-Type": "application/json; charset=utf-8", "User-Agent": f"defer/{__version__}"}


def check_address(url: str) -> None:
    """Raises `UnsafeAddress`, whose message does not show the address."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not host or any(ord(char) <= 32 for char in url):
        raise UnsafeAddress(
            "the address of notifications is not that of a web server",
            hint="it looks like https://hooks.slack.com/services/...",
        )
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return
    _refuse_unsafe(address, shown_address(url))


def _refuse_unsafe(address: ipaddress.IPv4Address | ipaddress.IPv6Address, where: str) -> None:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    address = mapped or address
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        raise UnsafeAddress(
            f"{where} is at {address}, where nothing is but a machine's own services: nothing is sent there"
        )


def shown_address(url: str) -> str:
    """The server alone."""
    parts = urlsplit(url)
    host = parts.hostname or "?"
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


def secrets_of(url: str) -> Collection[str]:
    """What of an address must not be shown, longest first."""
    parts = urlsplit(url)
    parts_of_it = (parts.path.strip("/"), parts.query, parts.password or "")
    return sorted({url, *(text for text in parts_of_it if len(text) >= _SECRET)}, key=len, reverse=True)


def _seconds(text: str) -> float | None:
    try:
        return max(0.0, float(text))
    except ValueError:
        return None
