"""The options of a function and of a call: checked where they are written, not where they are used."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from defer_client.durations import parse_when
from defer_client.errors import InvalidMetadata, InvalidOption
from defer_client.retry import NO_RETRY, RetryPolicy

MaxConcurrencyAction = Literal["keep", "cancel"]

RetryOption = bool | int | Mapping[str, Any] | RetryPolicy
"""`False`, `True` (13 retries), a number of retries, or the fields of a policy."""

DurationOption = timedelta | float | str
"""A `timedelta`, seconds, or a text such as `"2h30m"`."""

WhenOption = timedelta | datetime | float | str
"""A duration from now (`timedelta`, seconds, `"2h30m"`) or a moment (`datetime`, ISO text)."""


if TYPE_CHECKING:  # only for checkers, which read them with Unpack

    class FunctionChanges(TypedDict, total=False):
        """The keywords of `defer` and `defer.cron`."""

        retry: RetryOption
        concurrency: int | None
        max_duration: float  # seconds
        max_concurrency_action: MaxConcurrencyAction

    class CallChanges(TypedDict, total=False):
        """The keywords of `assign_options` and `with_options`. None is the same as not given."""

        delay: WhenOption | None
        discard_after: WhenOption | None
        metadata: Mapping[str, str] | None


MAX_METADATA = 25  # pairs
MAX_METADATA_TEXT = 256  # characters


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionOptions:
    """How executions of a function run: what `@defer(...)` was given."""

    retry: RetryPolicy = NO_RETRY
    concurrency: int | None = None  # how many may run at once; None: no limit of its own
    max_duration: float = 1800.0  # seconds
    max_concurrency_action: MaxConcurrencyAction = "keep"


@dataclass(frozen=True, kw_only=True, slots=True)
class CallOptions:
    """How calls are made: what `assign_options(fn, ...)` was given."""

    delay: timedelta | datetime | None = None
    discard_after: timedelta | datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


def function_options(**given: Any) -> FunctionOptions:
    """Check the options of `defer` and `defer.cron`. Raises `InvalidOption`."""
    _refuse_unknown(given, (option.name for option in fields(FunctionOptions)), "an option of defer")
    if "retry" in given:
        given["retry"] = retry_policy(given["retry"])
    concurrency = given.get("concurrency")
    if concurrency is not None and (not _is_number(concurrency, int) or concurrency < 1):
        raise InvalidOption(f"concurrency must be an integer of 1 or more, or None, not {concurrency!r}")
    if "max_duration" in given:
        seconds = given["max_duration"]
        if not _is_number(seconds, (int, float)) or not 0 < seconds < math.inf:
            raise InvalidOption(
                f"max_duration must be a number of seconds above 0, not {seconds!r}",
                hint="30 minutes are max_duration=1800",
            )
        given["max_duration"] = float(seconds)
    action = given.get("max_concurrency_action", "keep")
    if action not in ("keep", "cancel"):
        raise InvalidOption(f'max_concurrency_action must be "keep" or "cancel", not {action!r}')
    return FunctionOptions(**given)


def retry_policy(given: object) -> RetryPolicy:
    """The policy that a `retry` option means. Raises `InvalidOption`.

    >>> retry_policy(True).max_attempts, retry_policy(5).max_attempts, retry_policy(False).max_attempts
    (13, 5, 0)
    """
    try:
        if isinstance(given, RetryPolicy):
            policy = given
        elif isinstance(given, bool):
            policy = RetryPolicy() if given else NO_RETRY
        elif isinstance(given, int):
            policy = RetryPolicy(max_attempts=given)
        elif isinstance(given, Mapping):
            _refuse_unknown(given, (option.name for option in fields(RetryPolicy)), "a field of retry")
            policy = RetryPolicy(**given)
        else:
            raise InvalidOption(
                f"retry must be False, True, a number of retries or a RetryPolicy, not {given!r}"
            )
    except ValueError as error:
        if isinstance(error, InvalidOption):
            raise
        raise InvalidOption(str(error)) from None
    if not (
        math.isfinite(policy.initial_interval + policy.multiplier) and math.isfinite(policy.max_interval)
    ):
        raise InvalidOption("retry: intervals and multiplier must be finite numbers")
    return policy


def call_options(base: CallOptions, **given: Any) -> CallOptions:
    """`base` with the given options laid over it; metadata merges key by key. None means "not given".

    Raises `InvalidOption`, `InvalidDuration`, `InvalidMetadata`.
    """
    _refuse_unknown(given, (option.name for option in fields(CallOptions)), "an option of a call")
    changes: dict[str, Any] = {
        name: parse_when(given[name], name)
        for name in ("delay", "discard_after")
        if given.get(name) is not None
    }
    if given.get("metadata") is not None:
        added = given["metadata"]
        if not isinstance(added, Mapping):
            raise InvalidMetadata(f'metadata must be a dict such as {{"user": "42"}}, not {added!r:.80}')
        changes["metadata"] = check_metadata({**base.metadata, **added})
    return replace(base, **changes)


def check_metadata(metadata: Mapping[Any, Any]) -> dict[str, str]:
    """At most 25 pairs of 1 to 256 printable ASCII characters. Raises `InvalidMetadata`."""
    if len(metadata) > MAX_METADATA:
        raise InvalidMetadata(f"metadata has {len(metadata)} pairs: at most {MAX_METADATA} are allowed")
    for key, value in metadata.items():
        _check_metadata_text(key, f"metadata key {key!r:.80}")
        _check_metadata_text(value, f"metadata[{key!r:.80}]")
    return dict(metadata)


def _check_metadata_text(text: object, name: str) -> None:
    if not isinstance(text, str):
        raise InvalidMetadata(
            f"{name} must be text, not {type(text).__name__}", hint=f"use str({text!r:.40})"
        )
    if not 1 <= len(text) <= MAX_METADATA_TEXT:
        raise InvalidMetadata(f"{name} must have 1 to {MAX_METADATA_TEXT} characters, not {len(text)}")
    for character in text:
        if not 32 <= ord(character) <= 127:
            raise InvalidMetadata(f"{name} must be printable ASCII characters only, not {character!r}")


def _is_number(value: object, kinds: Any) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _refuse_unknown(given: Iterable[object], known: Iterable[str], what: str) -> None:
    names = list(known)
    for name in given:
        if name not in names:
            from difflib import get_close_matches

            close = get_close_matches(str(name), names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"the names are {', '.join(names)}"
            raise InvalidOption(f"{name!r} is not {what}", hint=hint)
