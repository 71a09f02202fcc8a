"""What every part of the operations over a project's file has."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from defer_emulator.store.store import Store

if TYPE_CHECKING:
    from defer_emulator.operations.live import Live
    from defer_emulator.operations.notifier import NotifierOptions
    from defer_emulator.store.statistics import StatisticsReader


class LocalBase:
    """`wake` is called after every write, to tell the scheduler. An emulator has more: `live` says what
    happens in it; `reader` gives what keeps up with its statistics and has a connection of its own, so that
    what takes long is read in other threads; `notifier` says how messages look, and whether they are sent.
    Without them, the file is read where and when it is asked for. They are asked for on first use.
    """

    def __init__(
        self,
        store: Store,
        *,
        wake: Callable[[], None],
        live: Live | None = None,
        reader: Callable[[], StatisticsReader] | None = None,
        notifier: Callable[[], NotifierOptions] | None = None,
    ) -> None:
        self._store = store
        self._wake = wake
        self._live = live
        self._reader = reader
        self._notifier = notifier
