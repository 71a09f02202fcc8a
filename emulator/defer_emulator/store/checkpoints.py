"""Copies the log of the file back into it, in a thread. A commit that does it keeps its process waiting, and
every other writer too: 15 ms for each 4,000 pages."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import suppress

from defer_emulator.store.database import connect
from defer_emulator.store.store import Store

INTERVAL = 0.2  # seconds between looks at whether anything was written


async def keep_checkpointing(store: Store) -> None:
    """Until it is cancelled. By a connection of its own, which lets nobody else in while it works."""
    database = store.database
    assert database.path is not None
    connection = await asyncio.to_thread(connect, database.path)
    database.is_checkpointed = True
    database.close()  # it is opened anew by who needs it next
    seen = -1
    try:
        while True:
            await asyncio.sleep(INTERVAL)
            version = connection.execute("PRAGMA data_version").fetchone()[0]
            if version != seen:
                seen = version
                await asyncio.to_thread(_checkpoint, connection)
    finally:
        database.is_checkpointed = False
        connection.close()


def _checkpoint(connection: sqlite3.Connection) -> None:
    """As much as is possible without waiting for anybody, and anybody for us."""
    with suppress(sqlite3.Error):  # a commit does it, sooner or later, and says what is wrong
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
