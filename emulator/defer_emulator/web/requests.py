"""One request: the headers that matter, and its body within a limit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from starlette.types import Receive, Scope

from defer_emulator.web.errors import Refused, bad_request

MAX_BODY = 8 * 1024 * 1024  # bytes
MAX_DRAINED = 64 * 1024 * 1024
"""So much of a body that is too large is read and thrown away: a client that is still sending would
see a broken connection instead of the answer."""

# The headers that are read, and the fields of `Headers` that they fill.
_FIELDS = {
    b"host": "host",
    b"origin": "origin",
    b"authorization": "authorization",
    b"content-length": "content_length",
    b"expect": "expect",
    b"defer-execution-token": "execution_token",
    b"defer-clock": "clock",
}


class ClientGone(Exception):
    """The client closed the connection."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Headers:
    """Each None when it is missing."""

    host: str | None = None
    origin: str | None = None
    authorization: str | None = None
    content_length: str | None = None
    expect: str | None = None
    execution_token: str | None = None  # Defer-Execution-Token: which execution asks
    clock: str | None = None  # Defer-Clock: "emulated" when absolute times are on the emulator's clock


def read_headers(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Raises `Refused` (400) for one that is given twice."""
    found: dict[str, str] = {}
    for name, value in raw:
        if (key := _FIELDS.get(name)) is not None:
            if key in found:
                raise bad_request(f"the header {name.decode('latin-1')} is given more than once")
            found[key] = value.decode("latin-1")
    return Headers(**found)


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A request that was let in."""

    scope: Scope
    receive: Receive
    headers: Headers = field(default_factory=Headers)
    id: str = ""  # of the execution that the path names
    parent: str | None = None  # id of the execution that sent it

    @property
    def query(self) -> bytes:
        query: bytes = self.scope["query_string"]
        return query

    async def body(self) -> bytes:
        """Raises `Refused` (413), `ClientGone`."""
        length = self.headers.content_length or ""
        announced = int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0
        hopeless = announced > MAX_DRAINED or (announced > MAX_BODY and self.headers.expect is not None)
        chunks: list[bytes] = []
        size, more = 0, not hopeless
        while more and size <= MAX_DRAINED:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk = message.get("body", b"")
            size += len(chunk)
            if size <= MAX_BODY:
                chunks.append(chunk)
            more = message.get("more_body", False)
        if max(size, announced) > MAX_BODY:
            raise Refused(
                413,
                "too_large",
                f"the body is larger than {MAX_BODY // 2**20} MiB: pass a reference to large data instead",
                {"Connection": "close"},
            )
        return b"".join(chunks)

    async def gone(self) -> None:
        """Wait until the client has gone. Only after the body was read: nothing else can arrive then."""
        await self.receive()
