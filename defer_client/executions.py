"""What an application asks about executions, and does with them. The same names block in `sync`."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from defer_client.durations import parse_when
from defer_client.errors import InvalidRequest
from defer_client.models import (
    Arguments,
    Attempt,
    Execution,
    ExecutionFilters,
    Json,
    LogLine,
    Page,
    PageOf,
)
from defer_client.options import WhenOption
from defer_client.selection import current_backend

K = TypeVar("K", Page, ExecutionFilters)


async def get_execution(execution_id: str) -> Execution:
    """Where an execution stands. Never its result. Raises `ExecutionNotFound`."""
    return await current_backend().get_execution(_checked(execution_id))


async def get_execution_result(execution_id: str) -> Json:
    """What a succeeded execution returned; `{"name", "message", "stack", "code"}` of a failed one.

    Raises `ExecutionNotFound`, `ResultNotAvailableYet`, `ResultNotAvailable`.
    """
    return await current_backend().get_execution_result(_checked(execution_id))


async def get_execution_arguments(execution_id: str) -> Arguments:
    """What the function was called with. Raises `ExecutionNotFound`."""
    return await current_backend().get_execution_arguments(_checked(execution_id))


async def get_execution_logs(execution_id: str) -> list[LogLine]:
    """What it printed, oldest first; of one attempt when an attempt's id is given.

    Raises `ExecutionNotFound`.
    """
    return await current_backend().get_execution_logs(_checked(execution_id))


async def list_executions(
    page: Page | None = None, filters: ExecutionFilters | None = None
) -> PageOf[Execution]:
    """A page of executions, newest first; the first 20 where no page is given.

    Raises `InvalidRequest` for an unknown cursor.

    >>> failed = ExecutionFilters(states=[State.FAILED])  # doctest: +SKIP
    >>> page = await list_executions(Page(first=50), failed)  # doctest: +SKIP
    >>> following = Page(first=50, after=page.page_info.end_cursor)  # doctest: +SKIP
    """
    return await current_backend().list_executions(
        _made(Page, page, "page"), _made(ExecutionFilters, filters, "filters")
    )


async def list_execution_attempts(
    execution_id: str, page: Page | None = None, filters: ExecutionFilters | None = None
) -> PageOf[Attempt]:
    """The runs of an execution, newest first. Raises `ExecutionNotFound`, `InvalidRequest`."""
    return await current_backend().list_execution_attempts(
        _checked(execution_id), _made(Page, page, "page"), _made(ExecutionFilters, filters, "filters")
    )


async def cancel_execution(execution_id: str, force: bool = False) -> Execution:
    """Cancel one that has not started; with `force`, abort one that runs.

    Raises `ExecutionNotFound`, `ExecutionNotCancellable`, `ExecutionAbortingAlreadyInProgress`.
    """
    if not isinstance(force, bool):  # "no" would abort
        raise InvalidRequest(f"force must be True or False, not {force!r:.80}")
    return await current_backend().cancel_execution(_checked(execution_id), force=force)


async def reschedule_execution(execution_id: str, when: WhenOption | None = None) -> Execution:
    """Move the due time of one that has not started: a duration from now, a moment, or None for now.

    Raises `ExecutionNotFound`, `ExecutionNotReschedulable`, `InvalidDuration`.
    """
    moment = None if when is None else parse_when(when, "when")
    return await current_backend().reschedule_execution(_checked(execution_id), moment)


async def rerun_execution(execution_id: str) -> Execution:
    """A new execution with the same function, arguments, metadata and parent, due now.

    Raises `ExecutionNotFound`.
    """
    return await current_backend().rerun_execution(_checked(execution_id))


async def now() -> datetime:
    """The time by the emulator's clock, which `defer clock` can move. In UTC."""
    return await current_backend().now()


def _checked(execution_id: object) -> str:
    if isinstance(execution_id, str):
        return execution_id
    hint = "pass its id: execution.id" if isinstance(execution_id, Execution) else ""
    raise InvalidRequest(f"execution_id must be text, not {type(execution_id).__name__}", hint=hint)


def _made(kind: type[K], given: K | None, name: str) -> K:
    if given is None:
        return kind()
    if isinstance(given, kind):
        return given
    raise InvalidRequest(f"{name} must be of type {kind.__name__}, not {type(given).__name__}")
