"""Exceptions ↔ `Failure`, and what an outcome means for the one who waited for it."""

from __future__ import annotations

import sys

from defer_client.errors import (
    DeferError,
    ExecutionAborted,
    ExecutionCancelled,
    ExecutionDiscarded,
    ExecutionFailed,
)
from defer_client.models import ErrorCode, Failure, Json, Outcome, State
from defer_client.serialization import check_json

_ENDED = {
    State.CANCELLED: (ExecutionCancelled, "was cancelled before it ran"),
    State.ABORTED: (ExecutionAborted, "was aborted while it ran"),
    State.DISCARDED: (ExecutionDiscarded, "was discarded: it did not start before its discard_after"),
}

_LONGEST_ARGUMENTS = 16_384  # characters: a parser's error carries the whole text


def failure_of(error: BaseException, code: ErrorCode = ErrorCode.USER) -> Failure:
    """How an exception is stored and sent. Never raises, whatever the exception does."""
    kind = type(error)
    return Failure(
        name=kind.__name__,
        message=_storable(_message_of(error)),
        stack=_storable(_stack_of(error)),
        code=code,
        module=kind.__module__ if "." not in kind.__qualname__ else None,
        arguments=_arguments_of(error),
    )


def value_of(outcome: Outcome) -> Json:
    """The value that the awaited function returned.

    Raises `ExecutionFailed`, `ExecutionCancelled`, `ExecutionAborted` or `ExecutionDiscarded`.
    """
    execution = outcome.execution
    if execution.state is State.SUCCEED:
        return outcome.result
    if execution.state in _ENDED:
        kind, what = _ENDED[execution.state]
        raise kind(f"{execution.function_name} ({execution.id}) {what}", execution=execution)
    failure = outcome.failure or Failure(
        name="ExecutionFailed", message="no reason was recorded", stack="", code=ErrorCode.INTERNAL
    )
    raise ExecutionFailed(
        failure.message, execution=execution, failure=failure, hint=f"defer show {execution.id}"
    ) from rebuild(failure)


def rebuild(failure: Failure) -> Exception | None:
    """The original exception, where its class can be imported and says the same again; else None."""
    if failure.module is None or failure.arguments is None:
        return None
    try:
        kind = getattr(_module(failure.module), failure.name, None)
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            return None
        error = kind(*failure.arguments)
        return error if _message_of(error) == failure.message else None
    except (Exception, SystemExit):  # the import of its module and its constructor are anybody's code
        return None


def _module(name: str) -> object:
    if name not in sys.modules:
        import importlib

        importlib.import_module(name)
    return sys.modules.get(name)


def _message_of(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"the function called sys.exit({'' if error.code is None else repr(error.code)})"
    try:
        text = error.message if isinstance(error, DeferError) else str(error)
    except Exception as broken:
        text = f"<str() of it raised {type(broken).__name__}>"
    return text or type(error).__name__


def _storable(text: str) -> str:
    """Without lone surrogates, which neither JSON's readers nor a database take."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _arguments_of(error: BaseException) -> list[Json] | None:
    try:
        # Of `OSError` and the like, this is more than `args`.
        made_by, made_of = tuple(error.__reduce__())[:2]
        enough = made_by is type(error) and len(repr(made_of)) <= _LONGEST_ARGUMENTS
        arguments: list[Json] = check_json(made_of if enough else error.args, "args")
    except Exception:  # it is not JSON; `__reduce__` and `__repr__` are anybody's code
        return None
    return arguments


def _stack_of(error: BaseException) -> str:
    import traceback

    try:
        return "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except Exception as broken:
        return f"<formatting the traceback raised {type(broken).__name__}>"
