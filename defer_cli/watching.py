"""Who shows an emulator that runs in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from defer_cli import dev_output
from defer_cli.dev_output import Level
from defer_cli.session import Session
from defer_emulator.dev import DevView


@contextmanager
def watching(session: Session, level: Level) -> Iterator[DevView]:
    """A view in the format that was asked for; with keys, where a person sits at a terminal. The terminal is
    as it was when the block ends, however it ends."""
    if not session.output.is_text:
        from defer_cli.dev_json import JsonDevView

        yield JsonDevView(session.output)
        return
    from defer_cli.keyboard import has_keyboard

    view = dev_output.DevView(session.output, _later, time.monotonic, level)
    if not has_keyboard():
        yield view
        return
    from defer_cli.dev_keys import KeyedView

    keyed = KeyedView(session, view)
    try:
        yield keyed
    finally:
        keyed.close()


def _later(seconds: float, call: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(seconds, call)
