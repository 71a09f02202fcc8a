"""What may be an argument or a result: JSON, checked before it leaves the process."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from defer_client.errors import NotSerializable

if TYPE_CHECKING:
    from defer_client.models import Arguments, Json

MAX_DEPTH = 200  # lists and dicts inside each other; readers in other processes recurse too
_LONGEST_PATH = 200  # characters, in messages
_MAX_INTEGER_BITS = 14_000  # Python itself refuses to read or write more than 4,300 digits

_HINTS = {
    "datetime": "pass value.isoformat() and read it back with datetime.fromisoformat",
    "date": "pass value.isoformat() and read it back with date.fromisoformat",
    "time": "pass value.isoformat()",
    "timedelta": "pass value.total_seconds()",
    "Decimal": "pass str(value)",
    "UUID": "pass str(value)",
    "set": "pass sorted(value) or list(value)",
    "frozenset": "pass sorted(value) or list(value)",
    "bytes": 'pass base64 text, or the path of a file; value.decode("ascii") where it is text',
    "coroutine": "await it first",
}


def check_json(value: object, path: str) -> Json:
    """A copy of `value` in plain JSON types: tuples become lists, subclasses their base.

    `path` names the value in messages, such as `user`. Raises `NotSerializable` with the path of the
    first value that is not JSON.

    >>> check_json({"tags": ("a", "b")}, "user")
    {'tags': ['a', 'b']}
    """
    try:
        return _plain(value, ())
    except _Refused as refused:
        full = path + "".join(reversed(refused.steps))
        shown = full if len(full) <= _LONGEST_PATH else f"{full[:_LONGEST_PATH]}…"
        raise NotSerializable(f"{shown}: {refused.reason}", path=full, hint=refused.hint) from None


def check_arguments(arguments: Arguments) -> Arguments:
    """A copy of a call's arguments in plain JSON types. Raises `NotSerializable`."""
    from defer_client.models import Arguments

    return Arguments(
        positional=[
            check_json(value, f"argument {place}") for place, value in enumerate(arguments.positional, 1)
        ],
        keyword={name: check_json(value, name) for name, value in arguments.keyword.items()},
    )


class _Refused(Exception):
    """Collects the path on its way out, so that good values pay nothing for it."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.steps: list[str] = []  # from the inside out


def _plain(value: object, around: tuple[int, ...]) -> Json:
    """`around` holds the ids of the lists and dicts that contain `value`."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        if value.bit_length() > _MAX_INTEGER_BITS:
            raise _Refused("int has too many digits for JSON", "pass it as text: hex(value)")
        return int.__int__(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _Refused(f"{float.__repr__(value)} is not JSON serializable", "pass None or a text")
        return float.__float__(value)
    if isinstance(value, (list, tuple, dict)):
        return _container(value, around)
    kind = type(value).__name__
    raise _Refused(f"{kind} is not JSON serializable", _hint(value, kind))


def _container(
    value: list[object] | tuple[object, ...] | dict[object, object], around: tuple[int, ...]
) -> Json:
    if id(value) in around:
        raise _Refused(f"{type(value).__name__} contains itself, which is not JSON serializable")
    if len(around) >= MAX_DEPTH:
        raise _Refused(f"nested more than {MAX_DEPTH} levels deep, which is not JSON serializable")
    around = (*around, id(value))
    place: str | int | None = None
    try:
        if isinstance(value, dict):
            plain = {}
            for key, item in value.items():
                place = None
                place = _key(key)
                plain[place] = _plain(item, around)
            return plain
        items: list[Json] = []
        for place, item in enumerate(value):  # noqa: B007 (read below)
            items.append(_plain(item, around))
        return items
    except _Refused as refused:
        refused.steps.append(_step(place))
        raise


def _step(place: str | int | None) -> str:
    """How a path goes on; nothing where a dict's key itself is wrong."""
    if place is None:
        return ""
    return f".{place}" if isinstance(place, str) and place.isidentifier() else f"[{place!r}]"


def _key(key: object) -> str:
    if isinstance(key, str):
        return _text(key)
    raise _Refused(
        f"dict with a key of type {type(key).__name__} is not JSON serializable",
        f"keys must be text: str({key!r:.40})",
    )


def _text(value: str) -> str:
    plain = str.__str__(value)
    if not plain.isascii():
        try:
            plain.encode()
        except UnicodeEncodeError as error:
            raise _Refused(
                f"str with a lone surrogate ({plain[error.start]!r}) is not JSON serializable",
                "it is no valid Unicode text; a file name can be passed as os.fsencode(name).hex()",
            ) from None
    return plain


def _hint(value: object, kind: str) -> str:
    if kind in _HINTS:
        return _HINTS[kind]
    if hasattr(value, "__dataclass_fields__"):
        return "pass dataclasses.asdict(value)"
    if hasattr(value, "model_dump"):
        return 'pass value.model_dump(mode="json")'
    return "pass an id, or text, numbers, lists and dicts"
