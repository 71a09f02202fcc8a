"""Running a captured execution again in a test, among recorded outcomes of what it started.

`defer capture` writes tests that use it.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, TypeVar, cast

from defer_client.backend import Backend
from defer_client.current import current_execution
from defer_client.failures import rebuild
from defer_client.functions import DeferredFunction, declared
from defer_client.models import (
    Arguments,
    Call,
    ErrorCode,
    Execution,
    ExecutionFilters,
    Failure,
    Json,
    Page,
    State,
)
from defer_client.selection import current_backend
from defer_client.sync import run
from defer_emulator.testing.emulator import Emulator
from defer_emulator.testing.records import Record, shown_call

T = TypeVar("T")

_LONGEST = 10_000  # instants that the clock is moved to, in search of the end


class NotRecorded(Exception):
    """The function started something that the captured execution had not started."""


@dataclass(frozen=True, slots=True)
class Child:
    """An execution that the captured one had started, and how that one ended."""

    function: str
    positional: Sequence[Json] = ()
    keyword: Mapping[str, Json] = field(default_factory=dict)
    result: Json = None
    error: Mapping[str, Json] | None = None  # name, message, module, arguments: of the exception
    id: str = ""  # that it had, where a value contains it


def replay(
    emulator: Emulator,
    function: str,
    positional: Sequence[Json] = (),
    keyword: Mapping[str, Json] | None = None,
    *,
    children: Iterable[Child] = (),
    id: str = "",
) -> Json:
    """Run `function` in the emulator; what it starts ends as in `children`, without running any code. Crons
    do nothing meanwhile.

    Returns what it returned, with the ids of the captured execution (`id`) and of its children in place of
    the new ones, or raises what it raised. `AssertionError` when it did not end, or has not started all that
    it had started.
    """
    stage = _Stage(function, children)
    with stage.set():
        call = Call(
            function_name=function, arguments=Arguments(positional=positional, keyword=dict(keyword or {}))
        )
        backend: Any = current_backend()  # which, for crons, can do more than applications may
        execution: Execution = run(backend.enqueue(call, allow_cron=True), immediate=True)
        stage.begin(execution.id, id)
        record = _run_to_the_end(emulator, execution.id)
    if record.state is State.SUCCEED:
        left = stage.not_started()
        if left:
            calls = ", ".join(shown_call(one.function, _arguments(one)) for one in left)
            raise AssertionError(f"it had started {calls}, and does not any more\n{emulator.history()}")
        return stage.as_recorded(record.result)
    if stage.error is not None:
        raise stage.error
    raise AssertionError(f"{record!r}\n{emulator.history()}")


def _run_to_the_end(emulator: Emulator, execution_id: str) -> Record:
    emulator.run_until_idle()
    for _ in range(_LONGEST):
        record = next(one for one in emulator.executions() if one.id == execution_id)
        now = emulator.now
        if record.state.is_final:
            return record
        emulator.advance_to_next()
        if emulator.now == now:
            break
    return record


class _Stage:
    """All functions of the process, with other bodies for a while."""

    def __init__(self, function: str, children: Iterable[Child]) -> None:
        if function not in declared:
            raise AssertionError(f"there is no function {function} in this project any more")
        self.root = ""  # the id of what is replayed
        self.error: BaseException | None = None  # that its code has raised
        self.left = list(children)
        self._taken: dict[str, Child | None] = {}  # by the id of the execution that stands for it
        self._ids: dict[str, str] = {}  # that were recorded, by those of now

    def begin(self, execution_id: str, recorded_id: str) -> None:
        """This execution is the one that is replayed."""
        self.root = execution_id
        self._remember(execution_id, recorded_id)

    def as_recorded(self, value: T) -> T:
        """The same with the ids that were recorded."""
        text = json.dumps(value)
        for new, recorded in self._ids.items():
            text = text.replace(new, recorded)
        return cast("T", json.loads(text))

    def _remember(self, new: str, recorded: str) -> None:
        if recorded:
            self._ids[new] = recorded

    @contextmanager
    def set(self) -> Iterator[None]:
        bodies = {function: function.original for function in tuple(declared.values())}
        for function, body in bodies.items():
            function.original = self._body_of(function, body)
        try:
            yield
        finally:
            for function, body in bodies.items():
                function.original = body

    def _body_of(self, function: DeferredFunction[..., Any], body: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(body):

            @functools.wraps(body)
            async def replayed(*args: Any, **kwargs: Any) -> Any:
                if not self._is_root():
                    return self._recorded()
                with self._watched():
                    return await body(*args, **kwargs)

            return replayed

        @functools.wraps(body)
        def replayed_at_once(*args: Any, **kwargs: Any) -> Any:
            if not self._is_root():
                return self._recorded()
            with self._watched():
                return body(*args, **kwargs)

        return replayed_at_once

    def _is_root(self) -> bool:
        execution = current_execution()
        return execution is None or execution.id == self.root

    @contextmanager
    def _watched(self) -> Iterator[None]:
        self.error = None
        try:
            yield
        except Exception as error:
            self.error = error
            raise

    def not_started(self) -> list[Child]:
        """What was recorded, and is not among what the function has started."""
        self._assign()
        return self.left

    def _recorded(self) -> Json:
        """What became of the child that this execution stands for."""
        current = current_execution()
        assert current is not None
        if current.id not in self._taken:
            self._assign()
        if current.id not in self._taken:
            return None  # a cron whose minute has come
        child = self._taken[current.id]
        if child is None:
            arguments = run(current_backend().get_execution_arguments(current.id), immediate=True)
            call = shown_call(current.function, arguments)
            raise NotRecorded(f"{call} was not started by the captured execution: add it to `children`")
        if child.error is not None:
            raise _error_of(child.error)
        return child.result

    def _assign(self) -> None:
        """A child to each execution that is new, in the order in which they were started."""
        backend = current_backend()
        for one in reversed(list(takewhile(lambda one: one.id not in self._taken, self._started(backend)))):
            arguments = run(backend.get_execution_arguments(one.id), immediate=True)
            child = self._taken[one.id] = self._take(one.function_name, arguments)
            self._remember(one.id, child.id if child else "")

    def _started(self, backend: Backend) -> Iterator[Execution]:
        """All that the function has started, the newest first."""
        filters, page = ExecutionFilters(executed_by=self.root), Page(first=100)
        while True:
            listed = run(backend.list_executions(page, filters), immediate=True)
            yield from listed.data
            if not listed.page_info.has_next_page:
                return
            page = Page(first=100, after=listed.page_info.end_cursor)

    def _take(self, name: str, arguments: Arguments) -> Child | None:
        """The child that was called so, else the next one of that function."""
        same = [one for one in self.left if one.function == name]
        call = self.as_recorded([list(arguments.positional), dict(arguments.keyword)])
        alike = [one for one in same if [list(one.positional), dict(one.keyword)] == call]
        for child in (alike or same)[:1]:
            self.left.remove(child)
            return child
        return None


def _arguments(child: Child) -> Arguments:
    return Arguments(positional=child.positional, keyword=child.keyword)


def _error_of(error: Mapping[str, Json]) -> Exception:
    """As it was, where its class can be imported; else one of that name."""
    name, message = str(error["name"]), str(error["message"])
    failure = Failure(
        name=name,
        message=message,
        stack="",
        code=ErrorCode.USER,
        module=error.get("module"),
        arguments=error.get("arguments"),
    )
    kind: type[Exception] = type(name, (Exception,), {})
    return rebuild(failure) or kind(message)
