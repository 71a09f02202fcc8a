"""The limits that the pool enforces: what it says of an attempt that it ended, or that ended itself."""

from __future__ import annotations

import signal

from defer_client.models import ErrorCode, Failure

MEMORY_INTERVAL = 0.1  # seconds between looks at the memory of running attempts
_MIB = 1024 * 1024


def timed_out(max_duration: float) -> Failure:
    return _failure(
        "TimeoutError", f"it ran longer than its max_duration of {max_duration:g} s", ErrorCode.TIMEOUT
    )


def out_of_memory(used: int, limit: int) -> Failure:
    """Both in bytes."""
    said = f"it used {used / _MIB:,.0f} MiB of memory; memory_limit is {limit / _MIB:,.0f} MiB"
    return _failure("OOMError", said, ErrorCode.OUT_OF_MEMORY)


def died(status: int) -> Failure:
    """`status` as `os.waitstatus_to_exitcode` gives it."""
    return _failure("ProcessDied", f"its process ended: {how(status)}", ErrorCode.USER)


def how(status: int) -> str:
    """
    >>> how(3), how(-9)
    ('exit code 3', 'killed by SIGKILL')
    """
    if status >= 0:
        return f"exit code {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def _failure(name: str, message: str, code: ErrorCode) -> Failure:
    return Failure(name=name, message=message, stack="", code=code)
