"""What is different between two JSON values, and between two logs."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from defer_client.models import Json

LONGEST_LOG = 2_000  # lines that are compared: the time grows with their square
AROUND = 2  # lines that are shown around a change


class Missing:
    """Stands for what one of the two does not have."""


MISSING = Missing()


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    path: str  # "user.tags[2]"; "" for the whole value
    a: Json | Missing
    b: Json | Missing


def changes(a: Json | Missing, b: Json | Missing) -> list[Change]:
    """Where two values differ, in the order of the first.

    >>> changes({"user": {"tags": ["a"]}}, {"user": {"tags": ["b"]}})
    [Change(path='user.tags[0]', a='a', b='b')]
    """
    found: list[Change] = []
    waiting: list[tuple[str, Json | Missing, Json | Missing]] = [("", a, b)]
    while waiting:  # not recursive: a value may be deep
        path, one, other = waiting.pop()
        if type(one) is not type(other) or not isinstance(one, dict | list):
            if type(one) is not type(other) or one != other:  # true is not 1
                found.append(Change(path=path, a=one, b=other))
        else:
            waiting.extend(reversed(list(_parts(path, one, other))))
    return found


def _parts(
    path: str, a: Json | Missing, b: Json | Missing
) -> Iterator[tuple[str, Json | Missing, Json | Missing]]:
    if isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys((*a, *b)):
            yield f"{path}.{key}" if path else key, a.get(key, MISSING), b.get(key, MISSING)
    elif isinstance(a, list) and isinstance(b, list):
        for place in range(max(len(a), len(b))):
            one, other = (value[place] if place < len(value) else MISSING for value in (a, b))
            yield f"{path}[{place}]", one, other


def log_changes(a: Sequence[str], b: Sequence[str]) -> list[str]:
    """Lines of a unified diff without its head; of long logs, of their ends."""
    one, other = a[-LONGEST_LOG:], b[-LONGEST_LOG:]
    return list(difflib.unified_diff(one, other, lineterm="", n=AROUND))[2:]
