"""Which errors are the same: those with one name, one place, and messages alike but for what varies."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from defer_client.models import Failure

_MESSAGE = 500  # characters that are looked at
_STACK = 20_000
_FOREIGN = re.compile(r"/(?:site-packages|dist-packages|node_modules)/")
_FRAME = re.compile(
    r'^ +File "(?P<file>[^"\n]+)", line (?P<line>\d+)(?:, in (?P<function>.+))?$', re.MULTILINE
)

# In this order: what comes first may contain what comes later.
_VARYING = [
    (re.compile(pattern, re.IGNORECASE), name)
    for pattern, name in (
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>"),
        (r"[\w.+-]+@[\w-]+\.[\w.-]+", "<address>"),
        (r"(?<=://)[^\s'\"<>]+", "<url>"),
        (r"\b0x[0-9a-f]+\b", "<hex>"),
        (r"\b(?=[a-f]*[0-9])[0-9a-f]{8,}\b", "<hex>"),
        (r"\d+(?:[.,:]\d+)*", "<number>"),
        (r"(?:<number>[^\w<>]{0,3}){3,}", "<numbers> "),
    )
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    file: str  # relative to the project's root, where it lies below that
    line: int
    function: str
    is_own: bool = False  # the project's own code

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}"


def fingerprint(failure: Failure, root: str) -> str:
    """12 hexadecimal digits, the same for the same error in whatever process and on whatever line.

    >>> from defer_client.models import ErrorCode
    >>> def missing(user: int) -> Failure:
    ...     return Failure(name="KeyError", message=f"no user {user}", stack="", code=ErrorCode.USER)
    >>> fingerprint(missing(7), "/app") == fingerprint(missing(8), "/app")
    True
    """
    frame = innermost_frame(failure.stack, root)
    place = "" if frame is None else f"{frame.file}\0{frame.function}"
    text = "\0".join((failure.name, failure.code.value, normalised(failure.message), place))
    return hashlib.sha1(text.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()[:12]


def normalised(message: str) -> str:
    """A message without ids, numbers and addresses.

    >>> normalised("user 17 (ada@example.com) has 3 items")
    'user <number> (<address>) has <number> items'
    """
    text = message[:_MESSAGE]
    for pattern, name in _VARYING:
        text = pattern.sub(name, text)
    return " ".join(text.split())


def innermost_frame(stack: str, root: str) -> Frame | None:
    """Where in the project's own code a traceback ends; else its last frame; None if it has none."""
    last: Frame | None = None
    own: Frame | None = None
    for last in frames_of(stack, root):
        own = last if last.is_own else own
    return own or last


def frames_of(stack: str, root: str) -> Iterator[Frame]:
    """The places of a traceback, as it names them; of a long one the first and the last."""
    prefix = root.rstrip("/") + "/"
    # A message as long as that comes after its places.
    looked_at = stack if len(stack) <= 2 * _STACK else f"{stack[:_STACK]}\n{stack[-_STACK:]}"
    for found in _FRAME.finditer(looked_at):
        file = found["file"]
        is_own = file.startswith(prefix) and not _FOREIGN.search(file)
        yield Frame(
            file=file[len(prefix) :] if is_own else file,
            line=int(found["line"]),
            function=found["function"] or "<module>",
            is_own=is_own,
        )
