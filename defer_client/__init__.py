"""Background functions: `from defer_client import defer`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from defer_client._version import __version__
from defer_client.current import CurrentExecution, current_execution
from defer_client.errors import (
    AmbiguousId,
    BackendError,
    Conflict,
    CronInvocationError,
    DeadlockError,
    DeferError,
    ExecutionAborted,
    ExecutionAbortingAlreadyInProgress,
    ExecutionCancelled,
    ExecutionDiscarded,
    ExecutionEnded,
    ExecutionFailed,
    ExecutionNotCancellable,
    ExecutionNotFound,
    ExecutionNotReschedulable,
    InvalidArguments,
    InvalidDuration,
    InvalidMetadata,
    InvalidOption,
    InvalidRequest,
    NoBackendError,
    NotSerializable,
    ResultNotAvailable,
    ResultNotAvailableYet,
    ResultTimeout,
    StateFileError,
    Unauthorized,
    UnknownFunction,
)
from defer_client.functions import (
    CronFunction,
    DeferredFunction,
    add_metadata,
    assign_options,
    await_result,
    defer,
    delay,
    discard_after,
)
from defer_client.retry import RetryPolicy
from defer_client.selection import defer_enabled

if TYPE_CHECKING:
    from defer_client.executions import (
        cancel_execution,
        get_execution,
        get_execution_arguments,
        get_execution_logs,
        get_execution_result,
        list_execution_attempts,
        list_executions,
        now,
        rerun_execution,
        reschedule_execution,
    )
    from defer_client.models import (
        Arguments,
        Attempt,
        Call,
        ErrorCode,
        Execution,
        ExecutionFilters,
        Failure,
        Interval,
        LogLine,
        Outcome,
        Page,
        PageInfo,
        PageOf,
        State,
    )

__all__ = [
    "AmbiguousId",
    "Arguments",
    "Attempt",
    "BackendError",
    "Call",
    "Conflict",
    "CronFunction",
    "CronInvocationError",
    "CurrentExecution",
    "DeadlockError",
    "DeferError",
    "DeferredFunction",
    "ErrorCode",
    "Execution",
    "ExecutionAborted",
    "ExecutionAbortingAlreadyInProgress",
    "ExecutionCancelled",
    "ExecutionDiscarded",
    "ExecutionEnded",
    "ExecutionFailed",
    "ExecutionFilters",
    "ExecutionNotCancellable",
    "ExecutionNotFound",
    "ExecutionNotReschedulable",
    "Failure",
    "Interval",
    "InvalidArguments",
    "InvalidDuration",
    "InvalidMetadata",
    "InvalidOption",
    "InvalidRequest",
    "LogLine",
    "NoBackendError",
    "NotSerializable",
    "Outcome",
    "Page",
    "PageInfo",
    "PageOf",
    "ResultNotAvailable",
    "ResultNotAvailableYet",
    "ResultTimeout",
    "RetryPolicy",
    "State",
    "StateFileError",
    "Unauthorized",
    "UnknownFunction",
    "__version__",
    "add_metadata",
    "assign_options",
    "await_result",
    "cancel_execution",
    "current_execution",
    "defer",
    "defer_enabled",
    "delay",
    "discard_after",
    "get_execution",
    "get_execution_arguments",
    "get_execution_logs",
    "get_execution_result",
    "list_execution_attempts",
    "list_executions",
    "now",
    "rerun_execution",
    "reschedule_execution",
]


def __getattr__(name: str) -> Any:
    """The values that travel, and what asks for them, on first use: they are half the cost of the import."""
    if name in __all__:
        for module in ("models", "executions"):
            found = getattr(import_module(f"defer_client.{module}"), name, None)
            if found is not None:
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
