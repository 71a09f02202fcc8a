"""What a person asked to go wrong with one execution, to see what their code makes of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from defer_client.models import Failure
from defer_emulator.domain.texts import duration

LABEL = "injected"
"""Begins whatever the history shows of a fault."""

_LONGEST = 200  # characters of a value in the report
_SHOWN = 5  # executions in the report


@dataclass(frozen=True, kw_only=True, slots=True)
class Faults:
    """Those of one execution. They belong to it alone: a rerun has none."""

    fail_attempts: tuple[int, ...] = ()  # these attempts raise, in place of the function
    kill_at: float | None = None  # seconds after the first attempt's start at which its process is killed
    slow: float = 0.0  # seconds that each attempt waits before the function's code
    deliver_twice: bool = False  # the code runs a second time after its success

    def __bool__(self) -> bool:
        return self != Faults()

    def described(self) -> str:
        """As the options of `defer run`.

        >>> Faults(fail_attempts=(1,), kill_at=2.0).described()
        '--fail-attempt 1 --kill-at 2s'
        """
        words = [f"--fail-attempt {number}" for number in self.fail_attempts]
        words += [] if self.kill_at is None else [f"--kill-at {duration(self.kill_at)}"]
        words += [f"--slow {duration(self.slow)}"] if self.slow else []
        words += ["--deliver-twice"] if self.deliver_twice else []
        return " ".join(words)

    def failure_of(self, attempt: int) -> str:
        """What an attempt raises; "" where it runs its function."""
        option = f"--fail-attempt {attempt}"
        return f"{LABEL}: attempt {attempt} fails ({option})" if attempt in self.fail_attempts else ""


def faults_to_text(faults: Faults) -> str:
    """As the project's file keeps them."""
    return json.dumps(asdict(faults))


def faults_from_text(text: str) -> Faults:
    data = json.loads(text)
    return Faults(**{**data, "fail_attempts": tuple(data["fail_attempts"])})


@dataclass(kw_only=True, slots=True)
class Delivery:
    """One of the two times that the same execution's code ran."""

    result: str | None = None  # JSON, when it returned
    failure: Failure | None = None  # else
    calls: list[str] = field(default_factory=list)  # executions that it enqueued: `send_mail(7)`


def difference(first: Delivery, second: Delivery) -> list[str]:
    """What an at-least-once system would have done twice, and what differed: lines for the log."""
    return [f"{LABEL}: {_results(first, second)}", f"{LABEL}: {_calls(first.calls, second.calls)}"]


def _results(first: Delivery, second: Delivery) -> str:
    if second.failure is not None:
        said = f"{second.failure.name}: {second.failure.message}"
        return f"the second delivery failed, the first had returned {_cut(first.result or '')}: {_cut(said)}"
    if _value(first) == _value(second):
        return f"both deliveries returned {_cut(first.result or '')}"
    return f"the results differ: first {_cut(first.result or '')}, then {_cut(second.result or '')}"


def _calls(first: Sequence[str], second: Sequence[str]) -> str:
    if not first and not second:
        return "neither delivery enqueued an execution"
    if not second:
        return f"the second delivery enqueued nothing, the first {_listed(first)}"
    if Counter(first) == Counter(second):
        return f"the second delivery enqueued the same again: {_listed(second)}"
    return f"the executions enqueued differ: first {_listed(first)}, then {_listed(second)}"


def _value(delivery: Delivery) -> object:
    return json.loads(delivery.result or "null")


def _listed(calls: Sequence[str]) -> str:
    if not calls:
        return "none"
    more = f" and {len(calls) - _SHOWN} more" if len(calls) > _SHOWN else ""
    return ", ".join(_cut(call) for call in calls[:_SHOWN]) + more


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
