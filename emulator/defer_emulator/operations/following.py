"""Keeps the statistics of an emulator up to date, beside its event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from defer_client.errors import StateFileError

if TYPE_CHECKING:
    from defer_emulator.store.statistics import StatisticsReader

START_AFTER = 1.0  # seconds
AT_ONCE = 0.01  # seconds of reading without a pause
PAUSE = 0.02  # seconds, while there is more to read
INTERVAL = 5.0  # seconds between two looks; who asks gets what has been written until then


async def keep_up(make: Callable[[], StatisticsReader]) -> None:
    """Read on and on. A file that cannot be read is tried again. Never returns."""
    await asyncio.sleep(START_AFTER)
    reader = make()
    while True:
        pause = INTERVAL
        with contextlib.suppress(StateFileError):
            if await asyncio.to_thread(reader.catch_up, AT_ONCE):
                await asyncio.to_thread(reader.keep)
            else:
                pause = PAUSE
        await asyncio.sleep(pause)
