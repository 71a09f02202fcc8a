"""A function that does nothing, for seeing whether workers run functions at all."""

from __future__ import annotations

from defer_client import defer


@defer
def probe() -> bool:
    return True
