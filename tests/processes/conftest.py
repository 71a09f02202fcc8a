"""Forked and spawned workers must be alike: tests of what runs in them run with both."""

from __future__ import annotations

import pytest

from tests.processes import pools


@pytest.fixture(params=["fork", "spawn"])
def both_starts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests that use it run once with forked and once with spawned workers."""
    monkeypatch.setattr(pools, "worker_start", request.param)
