"""Ids of executions and of their attempts."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from defer_client.errors import ExecutionNotFound

try:
    from _sha1 import sha1  # type: ignore[import-not-found]
except ImportError:  # an interpreter that was built without it
    from hashlib import sha1

SHORT_ID = 8  # characters of the short form: the last of the id

_TAILS = 16**SHORT_ID
_SCATTER = 0x9E3779B1  # odd, so multiplication by it can be undone
_GATHER = pow(_SCATTER, -1, _TAILS)

_ID = re.compile(
    r"(?P<id>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(?:\.(?P<attempt>[1-9][0-9]{0,8}))?",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """What an id names: an execution, or one of its attempts."""

    id: str
    attempt: int | None = None


def parse_id(text: str) -> Reference | None:
    """What `text` names; None for anything but a whole id.

    >>> parse_id("0191D1A0-0000-7000-8000-000000000000.2")
    Reference(id='0191d1a0-0000-7000-8000-000000000000', attempt=2)
    """
    found = _ID.fullmatch(text)
    if found is None:
        return None
    attempt = found["attempt"]
    return Reference(id=found["id"].lower(), attempt=None if attempt is None else int(attempt))


def attempt_id(execution_id: str, attempt: int) -> str:
    return f"{execution_id}.{attempt}"


def function_id(project_id: str, name: str) -> str:
    """The id of the function of that name: stable within a project.

    >>> function_id("0191d1a0-0000-7000-8000-000000000000", "send_mail") == function_id(
    ...     "0191d1a0-0000-7000-8000-000000000000", "send_mail")
    True
    """
    # `uuid.uuid5` would load OpenSSL for its one hash: 3 ms of each `defer list`.
    digest = sha1(uuid.UUID(project_id).bytes + name.encode(), usedforsecurity=False).digest()
    return str(uuid.UUID(bytes=digest[:16], version=5))


def unknown_id(execution_id: str, hint: str = "") -> ExecutionNotFound:
    return ExecutionNotFound(
        f"no execution has the id {execution_id[:60]!r}", hint=hint or "`defer list` shows the ids there are"
    )


def short_id(execution_id: str) -> str:
    """The form for people: the last eight characters, with the attempt where there is one.

    >>> short_id("0191d1a0-0000-7000-8000-00001234abcd.2")
    '1234abcd.2'
    """
    head, dot, attempt = execution_id.partition(".")
    return head[-SHORT_ID:] + dot + attempt


def tail(sequence: int) -> str:
    """The last eight characters of the id of the execution with that number in the order of creation.

    No two of a project are alike, and neighbours do not look alike.

    >>> tail(1), tail(2)
    ('9e3779b1', '3c6ef362')
    """
    return f"{sequence * _SCATTER % _TAILS:08x}"


def sequences_of(digits: str) -> tuple[int, int]:
    """Which sequences have ids that end with `digits`, hexadecimal: the first, and the step to the others.

    >>> sequences_of("9e3779b1")
    (1, 4294967296)
    >>> first, step = sequences_of("79b1")
    >>> tail(first + 7 * step)[-4:]
    '79b1'
    """
    known = digits[-SHORT_ID:]
    step = 16 ** len(known)  # the low digits of a product depend on the low digits of its factors only
    return int(known, 16) * _GATHER % step, step


class IdSource:
    """Makes UUIDv7 ids that grow within one process, whatever the machine's clock does.

    `real` gives µs since the epoch, `random` that many random bytes. The 12 bits after the
    milliseconds hold their fraction, so ids of one millisecond are ordered too.
    """

    def __init__(self, real: Callable[[], int], random: Callable[[int], bytes]) -> None:
        self._real = real
        self._random = random
        self._last = 0
        self._lock = Lock()

    def new(self, sequence: int) -> str:
        """The id of the execution with that number in the order of creation."""
        milliseconds, rest = divmod(self._real(), 1_000)
        with self._lock:
            self._last = now = max(self._last + 1, milliseconds << 12 | rest * 4_096 // 1_000)
        chance = 1 << 31 | int.from_bytes(self._random(4), "big") >> 2
        time, middle = f"{now >> 12:012x}", f"{chance:08x}"
        return f"{time[:8]}-{time[8:]}-7{now & 0xFFF:03x}-{middle[:4]}-{middle[4:]}{tail(sequence)}"
