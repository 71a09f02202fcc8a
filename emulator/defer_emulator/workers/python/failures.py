"""What an attempt's exception says of it."""

from __future__ import annotations

from dataclasses import replace

from defer_client.errors import NotSerializable
from defer_client.failures import failure_of
from defer_client.models import ErrorCode, Failure


def failure_of_attempt(error: BaseException) -> Failure:
    """How the end of an attempt by an exception is stored and sent."""
    failure = failure_of(error)
    if isinstance(error, MemoryError):
        return Failure(
            name="OOMError",
            message=str(error) or "the process could not get more memory",
            stack=failure.stack,
            code=ErrorCode.OUT_OF_MEMORY,
        )
    if isinstance(error, NotSerializable) and error.path.startswith("result"):
        return replace(failure, stack="")
    return failure
