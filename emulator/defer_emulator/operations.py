"""What only the CLI and the console need, beside what a `Backend` offers applications."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

from defer_client.models import Execution, ExecutionFilters, Page, PageOf
from defer_emulator.domain.functions import RegisteredFunction


@dataclass(frozen=True, kw_only=True, slots=True)
class ClockStatus:
    mode: Literal["running", "frozen"]
    now: datetime  # the emulated time
    offset: timedelta  # emulated minus real time
    epoch: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """Filters that the CLI and the console add to the API's."""

    filters: ExecutionFilters = field(default_factory=ExecutionFilters)
    function_names: Sequence[str] = ()
    created_since: datetime | timedelta | None = None  # a duration: that long ago
    text: str | None = None  # in the function's name, the arguments, the result or the error


class Operations(Protocol):
    """Implemented by `LocalOperations` over the same store as `LocalBackend`. None of its
    methods suspends."""

    async def project_id(self) -> str: ...

    async def functions(self) -> list[RegisteredFunction]:
        """All that the project's file knows, by name."""

    async def find_function(self, name: str) -> RegisteredFunction:
        """By exact name, else from camelCase to snake_case. Raises `UnknownFunction` with "did you mean"."""

    async def search(self, page: Page, search: Search) -> PageOf[Execution]: ...

    async def resolve_id(self, text: str) -> str:
        """The id that a full id, an attempt's id, a unique prefix or suffix of four or more, `@last` or
        `@last-failed` means. Raises `ExecutionNotFound`, `AmbiguousId`."""

    async def children(self, execution_id: str, limit: int = 1_000) -> list[Execution]:
        """What it started, oldest first."""

    async def pause(self, name: str | None = None) -> None:
        """Of one function, or of everything. Raises `UnknownFunction`."""

    async def resume(self, name: str | None = None) -> None: ...

    async def clock(self) -> ClockStatus: ...
