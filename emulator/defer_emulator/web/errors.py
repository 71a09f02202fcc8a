"""What the API answers when it cannot do what was asked: always `{"error", "message"}`."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any, Literal

from starlette.responses import Response

from defer_client import errors

ErrorName = Literal[
    "bad_request", "unauthorized", "forbidden", "not_found", "conflict", "too_large", "internal"
]

ERROR_HEADER = "Defer-Error"
"""Names the class of `defer_client.errors`, so that our own client can raise the same error."""

_encode = json.JSONEncoder(separators=(",", ":")).encode
_log = logging.getLogger("defer_emulator.web")


class Refused(Exception):
    """A request that gets an error answer."""

    def __init__(
        self, status: int, error: ErrorName, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.message = message
        self.headers = headers


def bad_request(message: str) -> Refused:
    return Refused(400, "bad_request", message)


def json_bytes(value: Any) -> bytes:
    """JSON in ASCII, so that any text that a function returned or printed survives: lone surrogates too."""
    return _encode(value).encode("ascii")


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json_bytes(value), status, headers, "application/json")


def error_response(error: Exception) -> Response:
    """The answer to any exception. What nobody expected is logged, and only named in the answer."""
    if isinstance(error, Refused):
        return _answer(error.status, error.error, error.message, error.headers)
    if isinstance(error, errors.DeferError):
        status, name = _status(error)
        return _answer(status, name, full_message(error), {ERROR_HEADER: type(error).__name__})
    if isinstance(error, RecursionError):
        return _answer(400, "bad_request", "the body is nested too deeply", None)
    _log.error("an API request failed", exc_info=error)
    message = f"the emulator failed to answer ({type(error).__name__}): its terminal shows the details"
    return _answer(500, "internal", message, None)


def _answer(status: int, error: ErrorName, message: str, headers: Mapping[str, str] | None) -> Response:
    return json_response({"error": error, "message": message}, status, headers)


def _status(error: errors.DeferError) -> tuple[int, ErrorName]:
    match error:
        case errors.ExecutionNotFound() | errors.AmbiguousId():
            return 404, "not_found"
        case errors.ExecutionAbortingAlreadyInProgress():
            return 202, "conflict"
        case errors.Conflict() | errors.DeadlockError():
            return 409, "conflict"
        case errors.InvalidRequest():
            return 400, "bad_request"
        case errors.BackendError() | errors.NoBackendError():
            return 500, "internal"
        case _:
            return 400, "bad_request"


def full_message(error: errors.DeferError) -> str:
    """The message with the hint as a second sentence."""
    if not error.hint:
        return error.message
    return f"{error.message.rstrip('.')}. {error.hint[:1].upper()}{error.hint[1:]}"
