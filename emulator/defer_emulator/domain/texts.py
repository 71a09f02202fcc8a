"""How times look in messages for people."""

from __future__ import annotations

from datetime import datetime, timezone

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def duration(seconds: float) -> str:
    """A span with at most two units: `350ms`, `1.2s`, `3m 20s`, `2d 4h`."""
    if seconds < 0:
        return "-" + duration(-seconds)
    if seconds < 0.9995:
        milliseconds = seconds * 1_000
        return f"{milliseconds:.0f}ms" if milliseconds >= 9.95 or seconds == 0 else f"{milliseconds:.1f}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    rest = round(seconds)
    parts: list[str] = []
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count}{unit}")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if not part.startswith("0"))


def moment(value: datetime) -> str:
    """`2026-01-31 08:00:00 UTC`."""
    return value.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def size(count: int) -> str:
    """Bytes: `512 B`, `1.2 MB`.

    >>> size(512), size(1_234_567)
    ('512 B', '1.2 MB')
    """
    amount, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while amount >= 999.5 and len(units) > 1:
        amount /= 1_000
        units.pop(0)
    return f"{amount:.0f} B" if units[0] == "B" else f"{amount:.1f} {units[0]}"
