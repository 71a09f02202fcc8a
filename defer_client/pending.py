"""The coroutine that a call of a deferred function returns."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable, Coroutine, Generator
from types import FrameType
from typing import Any, TypeVar
from weakref import WeakSet

T_co = TypeVar("T_co", covariant=True)

Place = tuple[str, int]
"""A file and a line."""


class PendingCall(Coroutine[Any, Any, T_co]):
    """A call that is made when it is awaited.

    One that is thrown away before that would be work lost in silence, so it says on stderr where it was
    written. Python's own warning would name neither the function nor, by default, the line.
    """

    __slots__ = ("__weakref__", "_coroutine", "_function_name", "_place", "_start")

    def __init__(
        self, start: Callable[[], Coroutine[Any, Any, T_co]], function_name: str, place: Place
    ) -> None:
        self._coroutine: Coroutine[Any, Any, T_co] | None = None
        self._start = start
        self._function_name = function_name
        self._place = place
        _waiting.add(self)

    def send(self, value: Any, /) -> Any:
        return self._begun().send(value)

    def throw(self, *error: Any) -> Any:
        return self._begun().throw(*error)

    def close(self) -> None:
        self._begun().close()

    def __await__(self) -> Generator[Any, None, T_co]:
        return self._begun().__await__()

    def _begun(self) -> Coroutine[Any, Any, T_co]:
        if self._coroutine is None:
            self._coroutine = self._start()
            _waiting.discard(self)
        return self._coroutine

    def _complain(self) -> None:
        if sys.stderr is not None:
            sys.stderr.write(
                f"error: {self._function_name}() was called but never awaited, so nothing was enqueued: "
                f"add await at {shown(self._place)}\n"
            )

    def __repr__(self) -> str:
        state = "not awaited yet" if self._coroutine is None else "awaited"
        return f"<call of {self._function_name} at {shown(self._place)}, {state}>"

    def __del__(self) -> None:
        if self._coroutine is None:
            self._complain()


_waiting: WeakSet[PendingCall[Any]] = WeakSet()


@atexit.register
def _complain_at_exit() -> None:
    """Of those that something still refers to, such as a script's global: they are not deleted at exit."""
    for call in list(_waiting):
        call.close()
        call._complain()


def caller() -> Place:
    """Where the code outside of this package stands."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("defer_client."):
        frame = frame.f_back
    return ("<unknown>", 0) if frame is None else (frame.f_code.co_filename, frame.f_lineno)


def shown(place: Place) -> str:
    """`app.py:12`; relative where it lies below the working directory."""
    import os.path

    file, line = place
    try:
        relative = os.path.relpath(file)
    except (OSError, ValueError):  # the working directory is gone; another drive
        relative = file
    return f"{file if relative.startswith('..') or file.startswith('<') else relative}:{line}"
