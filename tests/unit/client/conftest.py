from __future__ import annotations

from collections.abc import Iterator

import pytest

from defer_client.selection import use_backend
from tests.unit.client.fakes import FakeBackend


@pytest.fixture
def backend() -> Iterator[FakeBackend]:
    fake = FakeBackend()
    with use_backend(fake):
        yield fake
