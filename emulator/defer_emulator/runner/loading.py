"""What a pool is told to load, and what it says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from defer_client.retry import RetryPolicy
from defer_emulator.domain.functions import FunctionSpec, Parameter
from defer_emulator.runner.frames import Described, Load


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolOptions:
    """How worker processes are made, for the whole life of a pool."""

    root: Path  # the project's; executions run there
    python: str  # the interpreter
    client: str = ""  # the version of defer_client that it must have installed; "": not looked at
    project: str  # marks its processes in their environment, see `leftovers`: the project's id, or its root
    emulator_id: str  # of this emulator's life; anything unique
    worker_start: Literal["fork", "spawn"] = "fork"
    memory_limit: int | None = None  # bytes that an execution's processes may use together
    max_workers: int = 1_000
    warm: int = 2  # idle workers that are kept
    import_timeout: float = 30.0  # seconds for each file


@dataclass(frozen=True, kw_only=True, slots=True)
class ModuleFile:
    """A file of the project that holds a function."""

    module: str  # dotted, the name under which the application imports it
    file: str  # relative to the root, with forward slashes
    function: str  # the function's name, which is the file's


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadRequest:
    """The code to run from now on."""

    modules: Sequence[ModuleFile]
    import_paths: Sequence[str]  # absolute; `sys.path` starts with them, in this order
    env: Mapping[str, str] = field(default_factory=dict)  # of the project's `.env`
    setup: str | None = None  # "module:function", called before the imports
    after_fork: str | None = None  # "module:function", called in each forked worker


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportProblem:
    """Why the function of a file cannot run now."""

    function: str
    source: str  # its file, relative to the root
    file: str  # of the last place in the project's code that led to the error; relative
    line: int
    message: str
    traceback: str  # of the project's code; may be ""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadResult:
    """What a load showed."""

    generation: int  # counted from 1
    functions: Sequence[FunctionSpec]
    problems: Sequence[ImportProblem]
    modules: Sequence[Path]  # the project's files that were imported, absolute
    unforkable: str | None  # why workers are started afresh instead of being forked
    output: Sequence[str]  # lines that the imports printed
    python: str = ""  # the version of the interpreter

    @property
    def forkable(self) -> bool:
        return self.unforkable is None


def load_frame(root: Path, request: LoadRequest, modules: Sequence[ModuleFile]) -> Load:
    """The frame that asks for `modules` of a request."""
    paths = [*request.import_paths]
    if str(root) not in paths:
        paths.append(str(root))
    return Load(
        root=str(root),
        import_paths=paths,
        env=dict(request.env),
        setup=request.setup,
        after_fork=request.after_fork,
        modules=[[module.module, module.file, module.function] for module in modules],
    )


def load_result(
    generation: int, described: Described, more: Sequence[ImportProblem], output: Sequence[str]
) -> LoadResult:
    """What a generation said, as values; `more` are the files that it could not even report."""
    return LoadResult(
        generation=generation,
        functions=[function_spec(data) for data in described.functions],
        problems=[*(ImportProblem(**data) for data in described.problems), *more],
        modules=[Path(file) for file in described.modules],
        unforkable=described.unforkable,
        output=output,
        python=described.python,
    )


def function_spec(data: Mapping[str, Any]) -> FunctionSpec:
    """From what a worker says of a function."""
    return FunctionSpec(
        **{
            **data,
            "retry": RetryPolicy(**data["retry"]),
            "parameters": tuple(Parameter(**parameter) for parameter in data["parameters"]),
        }
    )
