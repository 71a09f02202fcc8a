"""What every page of the console is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from defer_client.backend import Backend
from defer_client.models import Call, Execution
from defer_emulator.operations import Operations
from defer_emulator.web.console.jobs import Jobs
from defer_emulator.web.console.keys import Keys
from defer_emulator.web.console.updates import Updates
from defer_emulator.web.security import Gate
from defer_emulator.web.settings import WebSettings

Start = Callable[[Call], Awaitable[Execution]]
"""Enqueues on behalf of a person, who may start a cron too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    backend: Backend
    operations: Operations
    settings: WebSettings
    start: Start
    gate: Gate
    keys: Keys
    updates: Updates
    jobs: Jobs
