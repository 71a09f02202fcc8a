"""`defer`, `defer.cron` and what they make of a function."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import BuiltinFunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, ParamSpec, Protocol, TypeVar, overload

from defer_client.durations import parse_duration
from defer_client.errors import CronInvocationError, InvalidArguments, InvalidOption
from defer_client.options import (
    CallOptions,
    DurationOption,
    FunctionOptions,
    WhenOption,
    call_options,
    function_options,
)
from defer_client.pending import PendingCall, caller
from defer_client.selection import current_backend
from defer_client.serialization import check_json

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from defer_client.models import Arguments, Call, Execution, Json
    from defer_client.options import CallChanges, FunctionChanges

P = ParamSpec("P")
R = TypeVar("R")
T_co = TypeVar("T_co", covariant=True)
F = TypeVar("F", bound="DeferredFunction[..., Any]")

declared: dict[str, DeferredFunction[..., Any]] = {}
"""The deferred functions of this process by name; of two with one name, the latest."""


class DeferredFunction(Generic[P, T_co]):
    """A function whose calls are executions. Made by `defer`.

    `T_co` is what calling the original gives: a coroutine for `async def`.

    >>> @defer(concurrency=5)
    ... async def send_mail(address: str) -> None: ...
    >>> send_mail.name, send_mail.options.concurrency
    ('send_mail', 5)
    """

    kind: Literal["background", "cron"] = "background"
    cron_expression: str | None = None
    __name__: str

    def __init__(self, original: Callable[P, T_co], options: FunctionOptions, call: CallOptions) -> None:
        functools.update_wrapper(self, original, updated=())
        self.original = original
        self.options = options
        self.call_options = call
        self.name: str = original.__name__
        # So that frameworks which look whether to await a callback, do.
        if hasattr(inspect, "markcoroutinefunction"):
            inspect.markcoroutinefunction(self)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Execution]:
        """Enqueue an execution when awaited; the arguments are checked at once.

        Raises `InvalidArguments`, `NotSerializable`; awaiting it, what `Backend.enqueue` raises, and
        `NoBackendError`.
        """
        call = self._call(args, kwargs)
        return PendingCall(lambda: self._enqueue(call), self.name, caller())

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Execution:
        """The same for code without an event loop: returns when the execution is stored."""
        from defer_client.sync import run

        backend = current_backend(self._source)
        return run(backend.enqueue(self._call(args, kwargs)), immediate=backend.immediate)

    def local(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Run the body here, now: what the original function gives. Nothing is enqueued."""
        return self.original(*args, **kwargs)

    def with_options(self: F, **options: Unpack[CallChanges]) -> F:
        """The same function, whose calls have these options over the present ones. Metadata merges.

        Raises `InvalidOption`, `InvalidDuration`, `InvalidMetadata`.
        """
        self._require_invocable()
        return type(self)(self.original, self.options, call_options(self.call_options, **options))

    @property
    def signature(self) -> inspect.Signature:
        """The parameters of the original function."""
        return _signature(self.original)

    def __repr__(self) -> str:
        return f"<deferred function {self.name}>"

    # A deferred function is a constant of its module: copies are itself, pickles are its name.
    def __copy__(self: F) -> F:
        return self

    def __deepcopy__(self: F, memo: object) -> F:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _find, (self.__module__, self.original.__qualname__, self.call_options)

    @property
    def _is_coroutine(self) -> object:  # the mark that `asyncio.iscoroutinefunction` looks for below 3.12
        from asyncio import coroutines

        return getattr(coroutines, "_is_coroutine", None)

    @property
    def _source(self) -> str:
        return getattr(sys.modules.get(self.__module__), "__file__", None) or ""

    def _require_invocable(self) -> None:
        """Raises where applications must not start the function."""

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any], *, awaited: bool = False) -> Call:
        from defer_client.models import Call

        self._require_invocable()
        options = self.call_options
        return Call(
            function_name=self.name,
            arguments=_arguments(self, args, kwargs),
            delay=options.delay,
            discard_after=options.discard_after,
            metadata=options.metadata,
            awaited=awaited,
        )

    async def _enqueue(self, call: Call) -> Execution:
        return await current_backend(self._source).enqueue(call)

    async def _enqueue_and_wait(self, call: Call, timeout: float | None) -> Json:
        from defer_client.failures import value_of

        backend = current_backend(self._source)
        execution = await backend.enqueue(call)
        return value_of(await backend.wait(execution.id, timeout))


class CronFunction(DeferredFunction[[], T_co]):
    """A function that runs by its schedule. Made by `defer.cron`; applications cannot start it."""

    kind: Literal["background", "cron"] = "cron"

    def __init__(self, original: Callable[[], T_co], options: FunctionOptions, expression: str) -> None:
        super().__init__(original, options, CallOptions())
        self.cron_expression = expression

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._require_invocable()

    def enqueue(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._require_invocable()

    def __repr__(self) -> str:
        return f"<cron function {self.name}: {self.cron_expression}>"

    def _require_invocable(self) -> NoReturn:
        raise CronInvocationError(
            f"{self.name} is a cron: it runs by its schedule, an application cannot start it",
            hint=f"run it from the command line: defer run {self.name}",
        )


class _Decorator(Protocol):
    def __call__(self, function: Callable[P, R], /) -> DeferredFunction[P, R]: ...


class _CronDecorator(Protocol):
    def __call__(self, function: Callable[[], R], /) -> CronFunction[R]: ...


class _Defer:
    """The type of `defer`, which is both a function and the home of `defer.cron`."""

    @overload
    def __call__(
        self, function: Callable[P, R], /, **options: Unpack[FunctionChanges]
    ) -> DeferredFunction[P, R]: ...

    @overload
    def __call__(self, /, **options: Unpack[FunctionChanges]) -> _Decorator: ...

    def __call__(self, /, *functions: Any, **options: Any) -> Any:
        """Turn a function into a background function: its calls are executions.

        A decorator, bare or with options, or a plain call. Raises `InvalidOption`.

        - `retry`: False, True (13 retries), a number, or a `RetryPolicy`
        - `concurrency`: how many may run at once; default: no limit
        - `max_duration`: seconds, default 1800
        - `max_concurrency_action`: "keep" those beyond the limit waiting, or "cancel" them

        >>> @defer(retry=3)
        ... async def send_mail(address: str) -> None: ...
        """
        checked = function_options(**options)

        def decorate(function: Any) -> DeferredFunction[..., Any]:
            return _declare(DeferredFunction(_suitable(function, "defer"), checked, CallOptions()))

        return _apply(decorate, functions, "defer takes one function")

    @overload
    def cron(
        self, function: Callable[[], R], expression: str, /, **options: Unpack[FunctionChanges]
    ) -> CronFunction[R]: ...

    @overload
    def cron(self, expression: str, /, **options: Unpack[FunctionChanges]) -> _CronDecorator: ...

    def cron(self, /, *given: Any, **options: Any) -> Any:
        """Turn a function without parameters into a cron: five fields, in UTC.

        A decorator or a plain call; the options are those of `defer`. Raises `InvalidOption`.

        >>> @defer.cron("0 8 * * MON")
        ... async def weekly_report() -> None: ...
        """
        checked = function_options(**options)
        *functions, expression = given or (None,)
        if not isinstance(expression, str) or not expression.strip():
            raise InvalidOption(
                "defer.cron needs a cron expression",
                hint='write @defer.cron("0 8 * * MON") or defer.cron(fn, "0 8 * * MON")',
            )

        def decorate(function: Any) -> DeferredFunction[..., Any]:
            return _declare(CronFunction(_suitable(function, "defer.cron"), checked, expression))

        return _apply(decorate, functions, "defer.cron takes one function and an expression")


defer = _Defer()


def assign_options(function: F, /, **options: Unpack[CallChanges]) -> F:
    """The same function, whose calls have these options over the present ones.

    - `delay`: run later: a duration or a moment
    - `discard_after`: give up if not started by then: a duration or a moment
    - `metadata`: pairs of text to find executions by; they merge

    Raises `InvalidOption`, `CronInvocationError`.

    >>> later = assign_options(send_mail, delay="2h30m", metadata={"campaign": "spring"})  # doctest: +SKIP
    """
    return _deferred(function, "assign_options").with_options(**options)


def delay(function: F, delay: WhenOption, /) -> F:
    """`assign_options(function, delay=...)`."""
    return _deferred(function, "delay").with_options(delay=delay)


def add_metadata(function: F, metadata: Mapping[str, str], /) -> F:
    """`assign_options(function, metadata=...)`."""
    return _deferred(function, "add_metadata").with_options(metadata=metadata)


def discard_after(function: F, discard_after: WhenOption, /) -> F:
    """`assign_options(function, discard_after=...)`."""
    return _deferred(function, "discard_after").with_options(discard_after=discard_after)


@overload
def await_result(
    function: DeferredFunction[P, Coroutine[Any, Any, R]], /, timeout: DurationOption | None = None
) -> Callable[P, Coroutine[Any, Any, R]]: ...


@overload
def await_result(
    function: DeferredFunction[P, R], /, timeout: DurationOption | None = None
) -> Callable[P, Coroutine[Any, Any, R]]: ...


def await_result(function: Any, /, timeout: DurationOption | None = None) -> Any:
    """A function that enqueues, waits for the end, and returns the value or raises.

    `timeout` is in seconds or a duration. Its calls raise `ExecutionFailed`, `ExecutionCancelled`,
    `ExecutionAborted`, `ExecutionDiscarded`, `ResultTimeout` (the execution goes on), `DeadlockError`.

    >>> total = await await_result(add)(1, 2)  # doctest: +SKIP
    """
    deferred = _deferred(function, "await_result")
    deferred._require_invocable()
    seconds = None if timeout is None else parse_duration(timeout, "timeout").total_seconds()

    @functools.wraps(deferred.original)
    def call_and_wait(*args: Any, **kwargs: Any) -> Coroutine[Any, Any, Json]:
        call = deferred._call(args, kwargs, awaited=True)
        return PendingCall(lambda: deferred._enqueue_and_wait(call, seconds), deferred.name, caller())

    return call_and_wait


def _apply(decorate: Callable[[Any], Any], functions: Sequence[Any], expected: str) -> Any:
    """Decorate at once, or give the decorator where there is no function yet."""
    if len(functions) > 1:
        raise InvalidOption(f"{expected}, not {len(functions)}", hint="give options by name, such as retry=3")
    return decorate(functions[0]) if functions else decorate


def _declare(function: DeferredFunction[..., Any]) -> DeferredFunction[..., Any]:
    declared[function.name] = function
    return function


def _suitable(function: Any, decorator: str) -> Callable[..., Any]:
    """`function`, if it can be one. Raises `InvalidOption`."""
    name = getattr(function, "__name__", None)
    shown = repr(name) if isinstance(name, str) else f"{function!r:.80}"
    problem = hint = ""
    if isinstance(function, DeferredFunction):
        problem, hint = "is deferred already", "remove one of the two"
    elif isinstance(function, type):
        problem, hint = "is a class", "write an async def that uses it"
    elif isinstance(function, ModuleType):
        problem, hint = "is a module", f"import the function in it: from {name} import ..."
    elif not callable(function) or isinstance(function, BuiltinFunctionType):
        problem, hint = f"is no function of Python's, but of type {type(function).__name__}", ""
    elif not isinstance(name, str) or not name.isidentifier():
        problem, hint = "has no name", "an execution is found by its function's name: write an async def"
    elif inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        problem, hint = "yields", "a background function returns its result once, with return"
    if problem:
        raise InvalidOption(f"{decorator}: {shown} {problem}", hint=hint)
    return function  # type: ignore[no-any-return]


def _deferred(function: F, user: str) -> F:
    given: Any = function  # callers without a type checker pass anything
    if isinstance(given, DeferredFunction):
        return function
    name = getattr(given, "__name__", repr(given)[:80])
    if isinstance(given, ModuleType):
        hint = f"it is a module: from {name} import {name.rpartition('.')[2]}"
    elif isinstance(given, PendingCall):
        hint = f"pass the function itself, and the arguments to what comes back: {user}(...)(...)"
    else:
        hint = "decorate it with @defer"
    raise InvalidOption(f"{user} needs a deferred function, and {name} is none", hint=hint)


@functools.cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def _arguments(
    function: DeferredFunction[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Arguments:
    """The arguments as they were given, by position or by name, after both checks."""
    from defer_client.models import Arguments

    signature = function.signature
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise InvalidArguments(
            f"{function.name}: {error}", hint=f"its signature is {function.name}{signature}"
        ) from None
    names, variadic = _positional_names(function.original)
    names += tuple(f"{variadic}[{index}]" for index in range(len(args) - len(names)))
    return Arguments(
        positional=[check_json(value, name) for name, value in zip(names, args, strict=False)],
        keyword={name: check_json(value, name) for name, value in kwargs.items()},
    )


@functools.cache
def _positional_names(function: Callable[..., Any]) -> tuple[tuple[str, ...], str]:
    """The names of its positional parameters, and of the one that takes those beyond them."""
    parameters = _signature(function).parameters.values()
    names = (p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))
    return tuple(names), next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "")


def _find(module: str, qualname: str, options: CallOptions) -> DeferredFunction[..., Any]:
    """The function of that name: what a pickle of it stores."""
    from importlib import import_module

    found: Any = import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    deferred: DeferredFunction[..., Any] = _deferred(found, "unpickling")
    return (
        deferred if options == CallOptions() else type(deferred)(deferred.original, deferred.options, options)
    )
