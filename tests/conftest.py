"""What all tests have in common."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.slack import Slack, slack_server

# How long an example takes says how busy the machine is, and nothing of the code.
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")


@pytest.fixture
def slack() -> Iterator[Slack]:
    """A server on this machine that plays Slack."""
    with slack_server() as server:
        yield server
