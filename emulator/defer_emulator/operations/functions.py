"""The functions of a project, and their pause."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from defer_client.errors import UnknownFunction
from defer_emulator.operations.base import LocalBase

if TYPE_CHECKING:
    from defer_emulator.domain.functions import FunctionSpec, RegisteredFunction


class FunctionOperations(Protocol):
    async def functions(self) -> list[RegisteredFunction]:
        """All that the project's file knows, by name."""

    async def find_function(self, name: str) -> RegisteredFunction:
        """By exact name, else from camelCase to snake_case. Raises `UnknownFunction` with "did you mean"."""

    async def remember(self, spec: FunctionSpec) -> None:
        """Take in a function of the project that no emulator has loaded yet, so that it can be paused."""

    async def pause(self, name: str | None = None) -> None:
        """Of one function, or of everything. Raises `UnknownFunction`."""

    async def resume(self, name: str | None = None) -> None: ...

    async def is_paused(self) -> bool:
        """Whether everything is."""


class LocalFunctions(LocalBase):
    async def functions(self) -> list[RegisteredFunction]:
        """All that the project's file knows, by name. While everything is paused, each of them is."""
        return self._store.functions()

    async def find_function(self, name: str) -> RegisteredFunction:
        """By exact name, else from camelCase to snake_case. Raises `UnknownFunction` with "did you mean"."""
        exact = self._store.function(name)
        if exact is not None and exact.status != "removed":
            return exact
        present = {one.spec.name: one for one in self._store.functions() if one.status != "removed"}
        snake_case = _snake_case(name)
        if snake_case in present:
            return present[snake_case]
        import difflib

        close = difflib.get_close_matches(snake_case, present, n=1)
        raise UnknownFunction(
            f"there is no function {name[:80]!r} in this project",
            hint=f"did you mean {close[0]}?" if close else "`defer functions` lists what there is",
        )

    async def remember(self, spec: FunctionSpec) -> None:
        """Take in a function of the project that no emulator has loaded yet, so that it can be paused."""
        with self._store.write() as tx:
            tx.remember(spec)

    async def pause(self, name: str | None = None) -> None:
        """Of one function, or of everything. Raises `UnknownFunction`."""
        await self._set_paused(name, True)

    async def resume(self, name: str | None = None) -> None:
        """Of one function, or of everything that was not paused by its own name. Raises `UnknownFunction`."""
        await self._set_paused(name, False)

    async def _set_paused(self, name: str | None, paused: bool) -> None:
        known = None if name is None else (await self.find_function(name)).spec.name
        with self._store.write() as tx:
            tx.pause(known, paused=paused)
        self._wake()

    async def is_paused(self) -> bool:
        return self._store.is_paused()


def _snake_case(name: str) -> str:
    """`sendHTMLMail` → `send_html_mail`: the name that the same function has in Python."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", words).lower()
