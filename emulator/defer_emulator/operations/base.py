"""What every part of the operations over a project's file has."""

from __future__ import annotations

from collections.abc import Callable

from defer_emulator.store.store import Store


class LocalBase:
    """`wake` is called after every write, to tell the scheduler."""

    def __init__(self, store: Store, *, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake
