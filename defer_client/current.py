"""Which execution the running code belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class CurrentExecution:
    """The execution that runs now."""

    id: str
    attempt: int  # counted from 1
    function: str


_current: ContextVar[CurrentExecution | None] = ContextVar("defer_current_execution", default=None)
_alone: CurrentExecution | None = None  # that of the whole process: new threads begin without a context


def current_execution() -> CurrentExecution | None:
    """The execution that this code runs in; None in an application.

    >>> current_execution() is None
    True
    """
    return _current.get() or _alone


@contextmanager
def executing(execution: CurrentExecution, *, alone: bool = False) -> Iterator[None]:
    """What runs in the block, and tasks started in it, belongs to `execution`. For runners.

    `alone`: nothing else runs in this process meanwhile, so that all of its threads do.
    """
    global _alone
    token = _current.set(execution)
    _alone = execution if alone else _alone
    try:
        yield
    finally:
        _current.reset(token)
        _alone = None if alone else _alone
