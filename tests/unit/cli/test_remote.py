"""Short ids of a server that only lists executions."""

from __future__ import annotations

import pytest

from defer_cli.remote import resolve
from defer_client.errors import ExecutionNotFound
from defer_client.models import State
from defer_client.sync import run
from tests.unit.store.world import World


def test_the_latest_may_be_asked_for_an_attempt(world: World) -> None:
    failed = world.enqueue()
    world.run(failed, state=State.FAILED)
    latest = world.enqueue()

    def found(text: str) -> str:
        return run(resolve(world.backend, text))

    assert (found("@last"), found("@last.2")) == (latest.id, f"{latest.id}.2")
    assert (found("@last-failed"), found("@last-failed.1")) == (failed.id, f"{failed.id}.1")
    assert found(f"{failed.id[-8:]}.1") == f"{failed.id}.1"
    with pytest.raises(ExecutionNotFound):
        found("@latest")
