"""What the emulator knows of one of the project's functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from defer_client.options import MaxConcurrencyAction
from defer_client.retry import NO_RETRY, RetryPolicy

FunctionKind = Literal["background", "cron"]

FunctionStatus = Literal["ready", "broken", "removed"]
"""`broken`: its file does not import now. `removed`: its file is gone. Executions of both wait."""

ParameterKind = Literal[
    "positional_only", "positional_or_keyword", "var_positional", "keyword_only", "var_keyword"
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """One parameter of a function, as its signature shows it."""

    name: str
    kind: ParameterKind
    required: bool
    annotation: str | None = None  # as written, such as "int | None"
    default: str | None = None  # its repr


ANY = (
    Parameter(name="args", kind="var_positional", required=False),
    Parameter(name="kwargs", kind="var_keyword", required=False),
)
"""The parameters of a function that cannot be looked at: whoever runs it judges the arguments."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionSpec:
    """A function of the project with its options, as importing its file showed them."""

    name: str
    module: str  # dotted, the name under which the application imports it
    file: str  # relative to the project's root, with forward slashes
    line: int
    kind: FunctionKind
    cron: str | None = None
    retry: RetryPolicy = NO_RETRY
    concurrency: int | None = None
    max_duration: float = 1800.0  # seconds of real time
    max_concurrency_action: MaxConcurrencyAction = "keep"
    parameters: tuple[Parameter, ...] = ()
    is_async: bool = True
    doc: str | None = None  # the first line of its docstring


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokenFunction:
    """A function that cannot run now, and what is known of it if it has never been imported."""

    reason: str  # one line, with file:line
    module: str = ""
    file: str = ""
    line: int = 1

    def unseen(self, name: str) -> FunctionSpec:
        """Stands for its options until they are known."""
        return FunctionSpec(
            name=name,
            module=self.module,
            file=self.file,
            line=self.line,
            kind="background",
            parameters=ANY,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredFunction:
    """A function as the project's file remembers it, with what was decided about it since."""

    id: str
    spec: FunctionSpec
    status: FunctionStatus
    problem: str | None  # why it is broken: one line, with file:line
    paused: bool
    cron_after: int | None  # µs on the emulated clock: minutes after it count
