from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from defer_emulator.clock import ManualClock
from defer_emulator.store.store import Store
from tests.unit.store.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clock = ManualClock()
    store = Store.open(tmp_path, clock=clock)
    yield World(store, clock)
    store.close()
