"""One execution: why it is where it is, its attempts, what it got, returned and printed, its relatives."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass

from starlette.responses import Response

from defer_client.errors import Conflict, DeferError, ExecutionNotFound
from defer_client.models import Arguments, Execution, ExecutionFilters, Failure, Page, State
from defer_emulator.domain.functions import FunctionSpec, Parameter, RegisteredFunction
from defer_emulator.domain.ids import parse_id, short_id
from defer_emulator.domain.insight import LogSearch
from defer_emulator.web.console.acts import read_when
from defer_emulator.web.console.copying import snippets
from defer_emulator.web.console.cutting import Cut, cut_json, cut_text, shared, tags_of
from defer_emulator.web.console.logs import STREAMS, blocks_of
from defer_emulator.web.console.notices import Notice
from defer_emulator.web.console.rendering import render
from defer_emulator.web.console.request import PageRequest, address
from defer_emulator.web.console.responses import go_back, go_to
from defer_emulator.web.console.run_form import RunForm, WrongForm, form_again, form_with, read_arguments
from defer_emulator.web.console.stacks import own_frames
from defer_emulator.web.console.timeline import attempts_drawn
from defer_emulator.web.errors import bad_request, full_message

ATTEMPTS = 12
LINES = 100
CHILDREN = 6  # that are shown one by one
GROUPS = 30  # of more
RERUNS = 8
ROOM_OF_ARGUMENTS, ROOM_OF_RESULT, ROOM_OF_STACK, ROOM_OF_MESSAGE = 16_000, 16_000, 10_000, 5_000
ROOM_OF_METADATA, LONGEST_TAG = 8_000, 256
ROOM_OF_LOGS = 30_000  # all of it in characters of markup

ANY_PARAMETERS = (
    Parameter(name="args", kind="var_positional", required=False),
    Parameter(name="kwargs", kind="var_keyword", required=False),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Error:
    """What went wrong, in a size that fits."""

    failure: Failure
    message: Cut
    stack: Cut


async def show(request: PageRequest) -> Response:
    execution = await _found(request)
    if isinstance(execution, Response):
        return execution
    operations, backend = request.site.operations, request.site.backend
    function = await function_of(request, execution)
    spec = None if function is None else function.spec
    arguments = await backend.get_execution_arguments(execution.id)
    attempts = await backend.list_execution_attempts(execution.id, Page(first=ATTEMPTS), ExecutionFilters())
    groups = await operations.children_by_state(execution.id)
    started = sum(group.count for group in groups)
    failure = attempts.data[0].error if attempts.data else None
    return await render(
        request,
        "execution.html",
        title=f"{execution.function_name} {short_id(execution.id)}",
        execution=execution,
        function=function,
        why=await operations.why(execution.id),
        faults=await operations.faults(execution.id),
        attempts=attempts,
        timeline=attempts_drawn(execution, attempts.data, await backend.now()),
        arguments=list(_labelled(arguments, spec)),
        result=await _result(request, execution),
        error=None if failure is None else _error(failure),
        frames=[] if failure is None else own_frames(failure, request.site.settings.root),
        tags=tags_of(execution.metadata, ROOM_OF_METADATA, longest=LONGEST_TAG),
        logs=await _logs(request, execution),
        parent=await _maybe(request, execution.executed_by),
        original=await _maybe(request, execution.rerun_of),
        reruns=await operations.reruns(execution.id, RERUNS),
        started=started,
        children=await operations.children(execution.id) if 0 < started <= CHILDREN else (),
        groups=groups[:GROUPS],
        snippets=snippets(
            execution, arguments, spec, url=_own_url(request), has_token=bool(request.site.settings.token)
        ),
    )


async def edit(request: PageRequest) -> Response:
    """The form with its arguments, to run it again with others."""
    execution = await _found(request)
    if isinstance(execution, Response):
        return execution
    spec = await _editable(request, execution)
    arguments = await request.site.backend.get_execution_arguments(execution.id)
    return await _edit_page(request, execution, form_with(spec, arguments))


async def rerun_edited(request: PageRequest) -> Response:
    execution = await _named(request)
    spec = await _editable(request, execution)
    try:
        arguments = read_arguments(spec, request.form)
        made = await request.site.operations.rerun_with(execution.id, arguments)
    except WrongForm as wrong:
        form = form_again(spec, request.form, wrong.errors)
    except DeferError as error:
        form = form_again(spec, request.form, {"": full_message(error)})
    else:
        return go_to(request, f"/executions/{made.id}", Notice(text="It runs again with these arguments."))
    return await _edit_page(request, execution, form, status=422)


async def _edit_page(
    request: PageRequest, execution: Execution, form: RunForm, *, status: int = 200
) -> Response:
    title = f"Run {execution.function_name} again"
    return await render(request, "edit.html", title=title, status=status, execution=execution, form=form)


# --- acts -----------------------------------------------------------------------------------------


async def cancel(request: PageRequest) -> Response:
    return await _end(request, force=False)


async def abort(request: PageRequest) -> Response:
    return await _end(request, force=True)


async def _end(request: PageRequest, *, force: bool) -> Response:
    execution = await _named(request)
    if request.posted("tree"):
        ended: Awaitable[object] = request.site.operations.cancel_tree(execution.id, force=force)
    else:
        ended = request.site.backend.cancel_execution(execution.id, force=force)
    return await told(request, ended, "It is being aborted." if force else "It is cancelled.")


async def rerun(request: PageRequest) -> Response:
    execution = await _named(request)
    made = await request.site.backend.rerun_execution(execution.id)
    return go_to(request, f"/executions/{made.id}", Notice(text="It runs again, as this new execution."))


async def reschedule(request: PageRequest) -> Response:
    execution = await _named(request)
    try:
        when = read_when(request.posted("when"))
    except DeferError as error:
        return go_back(request, Notice(text=full_message(error), kind="failed"))
    moved = request.site.backend.reschedule_execution(execution.id, when)
    return await told(request, moved, "It is due now." if when is None else "It has another time.")


async def told(request: PageRequest, act: Awaitable[object], text: str) -> Response:
    """Do it, and go back to the page with what has become of it."""
    try:
        await act
    except Conflict as error:
        return go_back(request, Notice(text=full_message(error), kind="failed"))
    return go_back(request, Notice(text=text))


# --- what is shown --------------------------------------------------------------------------------


async def _found(request: PageRequest) -> Execution | Response:
    """The execution that the path names; other ways to name it lead to its own address.

    Raises `ExecutionNotFound`, `AmbiguousId`.
    """
    given = request.params["id"]
    full = await request.site.operations.resolve_id(given)
    reference = parse_id(full)
    assert reference is not None
    if given != reference.id:
        rest = request.path[len("/executions/") + len(given) :]
        pairs = [(name, value) for name, values in request.query.items() for value in values]
        pairs += [("attempt", str(reference.attempt))] if reference.attempt else []
        return go_to(request, address(f"/executions/{reference.id}{rest}", pairs))
    return await request.site.backend.get_execution(reference.id)


async def _named(request: PageRequest) -> Execution:
    """The same for acts. Raises `ExecutionNotFound`."""
    return await request.site.backend.get_execution(request.params["id"].partition(".")[0])


async def function_of(request: PageRequest, execution: Execution) -> RegisteredFunction | None:
    functions = await request.site.operations.functions()
    return next((one for one in functions if one.spec.name == execution.function_name), None)


async def _editable(request: PageRequest, execution: Execution) -> FunctionSpec:
    """Its function; where nobody knows its parameters, one that takes anything."""
    function = await function_of(request, execution)
    if function is not None and function.status == "ready":
        return function.spec
    name = execution.function_name
    return FunctionSpec(name=name, module="", file="", line=1, kind="background", parameters=ANY_PARAMETERS)


async def _maybe(request: PageRequest, execution_id: str | None) -> Execution | None:
    try:
        return None if execution_id is None else await request.site.backend.get_execution(execution_id)
    except ExecutionNotFound:
        return None


def _labelled(arguments: Arguments, spec: FunctionSpec | None) -> list[tuple[str, Cut]]:
    """Each argument with the name of its parameter."""
    names = [one.name for one in (spec.parameters if spec else ()) if "positional" in one.kind]
    labels = [
        names[place] if place < len(names) else f"[{place}]" for place in range(len(arguments.positional))
    ]
    labels += arguments.keyword
    values = [*arguments.positional, *arguments.keyword.values()]
    return list(zip(labels, shared(ROOM_OF_ARGUMENTS, values), strict=True))


async def _result(request: PageRequest, execution: Execution) -> Cut | None:
    if execution.state is not State.SUCCEED:
        return None
    return cut_json(await request.site.backend.get_execution_result(execution.id), ROOM_OF_RESULT)


def _error(failure: Failure) -> Error:
    return Error(
        failure=failure,
        message=cut_text(failure.message, ROOM_OF_MESSAGE),
        stack=cut_text(failure.stack, ROOM_OF_STACK),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Logs:
    blocks: Sequence[object]
    cursor: str | None
    is_first: bool
    is_filtered: bool
    streams: Sequence[str]
    attempt: str


async def _logs(request: PageRequest, execution: Execution) -> Logs:
    attempt = request.get("attempt")
    if attempt and not (attempt.isascii() and attempt.isdigit() and len(attempt) < 9):
        raise bad_request("attempt must be a number")
    search = LogSearch(
        execution_id=execution.id,
        text=request.get("text") or None,
        stream=next((one for one in STREAMS if one == request.get("stream")), None),
        attempt=int(attempt) if attempt else None,
    )
    page = await request.site.operations.search_logs(
        search, cursor=request.get("cursor") or None, limit=LINES
    )
    return Logs(
        blocks=blocks_of(page.lines, ROOM_OF_LOGS)[::-1],
        cursor=page.cursor,
        is_first=not request.get("cursor"),
        is_filtered=any(request.get(name) for name in ("text", "stream", "attempt")),
        streams=STREAMS,
        attempt=attempt,
    )


def _own_url(request: PageRequest) -> str:
    host = request.headers.get(b"host", b"localhost").decode("latin-1")
    return f"http://{host}"
