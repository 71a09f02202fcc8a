"""Every error that this package raises. Each message says what happened and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from defer_client.models import Execution, Failure


class DeferError(Exception):
    """The root of all errors of this package.

    `hint` is the next step, a sentence or a command, or "".
    """

    code = "defer_error"
    hint = ""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        if hint:
            self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


# --- how functions are declared and called ---------------------------------------------------


class InvalidOption(DeferError, ValueError):
    """An option of a function or of a call has a wrong name, type or value."""

    code = "invalid_option"


class InvalidDuration(InvalidOption):
    """A text that is no duration."""

    code = "invalid_duration"


class InvalidMetadata(InvalidOption):
    """More than 25 pairs, or a key or value that is not 1 to 256 printable ASCII characters."""

    code = "invalid_metadata"


class NotSerializable(DeferError, TypeError):
    """An argument or a result is not JSON. `path` names the value, such as `user.created_at`."""

    code = "not_serializable"

    def __init__(self, message: str, *, path: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class InvalidArguments(DeferError, TypeError):
    """The arguments do not fit the function's signature."""

    code = "invalid_arguments"


class CronInvocationError(DeferError):
    """An application tried to start a cron."""

    code = "cron_invocation"


class UnknownFunction(DeferError):
    """No function of that name in the project."""

    code = "unknown_function"


# --- where calls go -------------------------------------------------------------------------


class NoBackendError(DeferError):
    """There is neither an emulator, an endpoint nor a project's file to send calls to."""

    code = "no_backend"


class BackendError(DeferError):
    """The backend could not be reached or did not understand."""

    code = "backend_error"


class StateFileError(BackendError):
    """The project's file cannot be used: not a database, a newer version, read-only, no space."""

    code = "state_file"


class Unauthorized(BackendError):
    """The endpoint refused the token."""

    code = "unauthorized"


class InvalidRequest(BackendError, ValueError):
    """The backend refused a request: a bad page, cursor or filter."""

    code = "bad_request"


# --- executions -----------------------------------------------------------------------------


class ExecutionNotFound(DeferError):
    """No execution with that id."""

    code = "not_found"


class AmbiguousId(DeferError):
    """More than one execution has an id that begins or ends so."""

    code = "ambiguous_id"


class Conflict(DeferError):
    """What was asked is impossible in the execution's present state."""

    code = "conflict"


class ExecutionNotCancellable(Conflict):
    """It is running (force aborts it), being aborted, or has finished."""


class ExecutionAbortingAlreadyInProgress(Conflict):
    """It is already being aborted."""

    code = "aborting"


class ExecutionNotReschedulable(Conflict):
    """Only an execution in state `created` can be rescheduled."""


class ResultNotAvailableYet(Conflict):
    """The execution has not finished."""

    code = "result_not_available_yet"


class ResultNotAvailable(Conflict):
    """The execution ended without a result: cancelled, aborted or discarded."""

    code = "result_not_available"


class DeadlockError(DeferError):
    """The wait could never end: all places of the awaited function are held by its own ancestors."""

    code = "deadlock"


class ResultTimeout(DeferError, TimeoutError):
    """The result did not come within `timeout`. The execution goes on."""

    code = "timed_out"


class InjectedFailure(DeferError):
    """A failure that somebody asked for: `defer run NAME --fail-attempt 1`."""

    code = "injected_failure"


class ExecutionEnded(DeferError):
    """The awaited execution ended without a value. `execution` says which one and how."""

    def __init__(self, message: str, *, execution: Execution, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.execution = execution

    def __reduce__(self) -> tuple[Any, ...]:  # an exception's own knows positional arguments only
        return _unpickled, (type(self), self.args, self.__dict__)


def _unpickled(kind: type[ExecutionEnded], args: tuple[Any, ...], state: dict[str, Any]) -> ExecutionEnded:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class ExecutionFailed(ExecutionEnded):
    """The awaited execution failed. `__cause__` is the original exception where it can be rebuilt.

    `name`, `message` and `stack` are those of the original exception.
    """

    code = "execution_failed"

    def __init__(self, message: str, *, execution: Execution, failure: Failure, hint: str = "") -> None:
        super().__init__(message, execution=execution, hint=hint)
        self.failure = failure
        self.name = failure.name
        self.stack = failure.stack

    def __str__(self) -> str:
        said = self.name if self.message == self.name else f"{self.name}: {self.message}"
        hint = f"\n  hint: {self.hint}" if self.hint else ""
        return f"{self.execution.function_name} failed: {said}{hint}"


class ExecutionCancelled(ExecutionEnded):
    code = "execution_cancelled"


class ExecutionAborted(ExecutionEnded):
    code = "execution_aborted"


class ExecutionDiscarded(ExecutionEnded):
    code = "execution_discarded"
