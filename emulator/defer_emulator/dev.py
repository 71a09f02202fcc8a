"""What `defer dev` asks of the application, and what the application tells whoever shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from defer_emulator.domain.functions import RegisteredFunction
    from defer_emulator.notify.events import Event
    from defer_emulator.operations import ClockStatus
    from defer_emulator.project.diagnostics import Diagnostic


@dataclass(frozen=True, kw_only=True, slots=True)
class DevInfo:
    """An emulator that is ready."""

    root: Path
    url: str  # of the HTTP API and the console
    pid: int
    version: str
    functions: Sequence[RegisteredFunction]
    diagnostics: Sequence[Diagnostic] = ()
    clock: ClockStatus | None = None
    token: str | None = None  # what HTTP requests must carry
    python: str = ""  # which one runs the functions, and why
    notes: Sequence[str] = ()  # what a person should know: another port, spawn in place of fork


class DevView(Protocol):
    """Who shows a running emulator. All methods are called in the event loop's thread, and return at once."""

    def started(self, info: DevInfo) -> None: ...

    def event(self, event: Event) -> None: ...

    def diagnostics(self, found: Sequence[Diagnostic]) -> None:
        """What `defer check` finds now, after a save."""

    def stopping(self, running: int) -> None:
        """It drains: so many executions still run. Called again when their number changes."""

    def stopped(self) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class DevOptions:
    """The options of `defer dev`. None leaves it to the configuration."""

    view: DevView
    host: str | None = None
    port: int | None = None  # an explicit one that is taken is an error
    token: str | None = None
    allowed_hosts: Sequence[str] = ()
    open_console: bool = False
    only: Sequence[str] = ()  # run only these functions; others queue
    debug: Sequence[str] = ()  # executions of these wait for a debugger
    debug_port: int | None = None  # of the first of them; an explicit one that is taken is an error
    send_notifications: bool = False  # else they are kept in the outbox
    python: str | None = None  # the interpreter of the workers, see `choose_python`
