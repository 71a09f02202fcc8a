"""Durations and moments as people write them: `"2h30m"`, `90`, `"2026-01-31T08:00:00Z"`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from defer_client.errors import InvalidDuration, InvalidRequest

MAX_DURATION = timedelta(days=365_250)  # 1,000 years: later than that no calendar here can go

_UNITS: dict[str, int] = {}  # name → nanoseconds
for _names, _nanoseconds in (
    ("ns nsec nsecs nanosecond nanoseconds", 1),
    ("us µs μs usec usecs microsecond microseconds", 10**3),
    ("ms msec msecs millisecond milliseconds", 10**6),
    ("s sec secs second seconds", 10**9),
    ("m min mins minute minutes", 60 * 10**9),
    ("h hr hrs hour hours", 3_600 * 10**9),
    ("d day days", 86_400 * 10**9),
    ("w wk wks week weeks", 7 * 86_400 * 10**9),
    ("mo mos month months", 2_630_016 * 10**9),  # 30.44 days
    ("y yr yrs year years", 31_557_600 * 10**9),  # 365.25 days
):
    _UNITS.update(dict.fromkeys(_names.split(), _nanoseconds))

# Compiled (and kept by `re`) on first use: compiling costs more than importing this module.
_TERM = r"(?P<whole>[0-9]*)(?:\.(?P<part>[0-9]*))?\s*(?P<unit>[^\W\d_]*)[\s,]*"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_LONGEST_TEXT = 200

_EXAMPLES = 'write it as "500ms", "2h30m", "1 day" or "1.5 weeks", or as a number of seconds'


def parse_duration(value: object, name: str = "duration") -> timedelta:
    """A duration from a `timedelta`, a number of seconds or a text. `name` is what messages call it.

    A text is one or more numbers with a unit each; a number alone is seconds. A month is 30.44 days, a
    year 365.25. Raises `InvalidDuration`, also for what is negative or longer than 1,000 years.

    >>> parse_duration("2h30m")
    datetime.timedelta(seconds=9000)
    """
    if isinstance(value, timedelta):
        duration = value
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        duration = _from_seconds(value, name)
    elif isinstance(value, str):
        duration = _from_text(value, name)
    else:
        raise InvalidDuration(
            f"{name} must be a timedelta, a number of seconds or a text, not {type(value).__name__}",
            hint=_EXAMPLES,
        )
    if duration < timedelta(0):
        raise InvalidDuration(f"{name} must not be negative: {value!r}")
    if duration > MAX_DURATION:
        raise _too_long(value, name)
    return duration


def parse_when(value: object, name: str = "time") -> timedelta | datetime:
    """A duration from now, or a moment: an aware `datetime`, a naive one (UTC) or an ISO text.

    Moments come back in UTC. Raises `InvalidDuration`.

    >>> parse_when("2026-01-31T08:00:00+01:00")
    datetime.datetime(2026, 1, 31, 7, 0, tzinfo=datetime.timezone.utc)
    """
    if isinstance(value, str) and re.match(_DATE, value.strip()):
        from defer_client.wire import time_from_json

        try:
            return time_from_json(value, name)
        except InvalidRequest as error:
            raise InvalidDuration(error.message) from None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            return value.replace(tzinfo=timezone.utc)
        try:
            return value.astimezone(timezone.utc)
        except OverflowError:
            raise InvalidDuration(f"{name} is out of range: {value!r}") from None
    return parse_duration(value, name)


def _from_seconds(value: float, name: str) -> timedelta:
    try:
        return timedelta(seconds=value)
    except ValueError:  # not a number
        raise InvalidDuration(f"{name} must be a number of seconds, not {value!r}") from None
    except OverflowError:
        raise _too_long(value, name) from None


def _from_text(text: str, name: str) -> timedelta:
    rest = text.strip()
    if not rest or len(rest) > _LONGEST_TEXT:
        raise InvalidDuration(f"{name}: {text[:40]!r} is not a duration", hint=_EXAMPLES)
    if rest.startswith("-"):
        raise InvalidDuration(f"{name} must not be negative: {text!r}")
    nanoseconds = 0
    term_at = re.compile(_TERM).match
    position = 0
    while position < len(rest):
        term = term_at(rest, position)
        if term is None or not (term["whole"] or term["part"]):
            raise InvalidDuration(f"{name}: {text!r} is not a duration", hint=_EXAMPLES)
        nanoseconds += _of_term(term, text, name)
        position = term.end()
    try:
        return timedelta(microseconds=_divide(nanoseconds, 1_000))
    except OverflowError:
        raise _too_long(text, name) from None


def _of_term(term: re.Match[str], text: str, name: str) -> int:
    unit = term["unit"]
    if not unit and term.group().strip() != text.strip():
        raise InvalidDuration(f"{name}: a number without a unit in {text!r}", hint=_EXAMPLES)
    scale = _UNITS.get((unit or "s") if unit != "M" else "month") or _UNITS.get(unit.lower())
    if scale is None:
        raise InvalidDuration(f"{name}: unknown unit {unit!r} in {text!r}", hint=_unit_hint(unit))
    part = term["part"] or ""
    return _divide(int(term["whole"] + part or "0") * scale, 10 ** len(part))


def _divide(number: int, by: int) -> int:
    """Rounded half up. Integers, because a float has not the digits for years in microseconds."""
    return (2 * number + by) // (2 * by)


def _unit_hint(unit: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(unit.lower(), _UNITS, n=1)
    units = "the units are ns, us, ms, s, m, h, d, w, month and year, also in full"
    return f'did you mean "{close[0]}"? {units}' if close else units


def _too_long(value: object, name: str) -> InvalidDuration:
    return InvalidDuration(f"{name} is longer than 1,000 years: {str(value)[:40]}")
