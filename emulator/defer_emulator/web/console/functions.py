"""The functions of the project, and each of them on a page with a form that runs it."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup
from starlette.responses import Response

from defer_client.errors import DeferError, ExecutionNotFound
from defer_client.models import Page
from defer_emulator.domain.functions import FunctionSpec, RegisteredFunction
from defer_emulator.domain.insight import FunctionStatistics, Statistics
from defer_emulator.domain.signature import signature_text
from defer_emulator.domain.texts import duration
from defer_emulator.operations import Search
from defer_emulator.web.console.activity import RANGES, activity_chart, activity_spark, range_of
from defer_emulator.web.console.findings import findings_shown
from defer_emulator.web.console.notices import Notice
from defer_emulator.web.console.rendering import render
from defer_emulator.web.console.request import PageRequest, address, part_of
from defer_emulator.web.console.responses import go_back, go_to
from defer_emulator.web.console.run_form import (
    RunForm,
    WrongForm,
    empty_form,
    form_again,
    form_with,
    read_call,
)
from defer_emulator.web.errors import Refused, full_message

SHOWN = 50  # functions on a page
LATEST = 10  # executions on a function's page
RECENT = 6  # arguments to start from
DEFAULT_MAX_DURATION = FunctionSpec.__dataclass_fields__["max_duration"].default


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What the list shows of a function."""

    statistics: FunctionStatistics | None
    spark: Markup | None
    findings: int


async def show(request: PageRequest) -> Response:
    operations = request.site.operations
    statistics = await operations.statistics(buckets=24)
    found = findings_shown(request.site) or ()
    functions = sorted(await operations.functions(), key=lambda one: (one.status == "removed", one.spec.name))
    part = part_of(functions, request, SHOWN)
    rows = {
        function.spec.name: Row(
            statistics=statistics.functions.get(function.spec.name),
            spark=_spark(statistics, function.spec.name),
            findings=sum(one.diagnostic.file == function.spec.file for one in found),
        )
        for function in part.rows
    }
    return await render(request, "functions.html", title="Functions", part=part, rows=rows)


def _spark(statistics: Statistics, name: str) -> Markup | None:
    one = statistics.functions.get(name)
    if one is None or not one.activity.counts:
        return None
    return activity_spark(one.activity)


async def show_one(request: PageRequest) -> Response:
    function = await _function(request)
    form = await _form(request, function.spec)
    return await _page(request, function, form)


async def run(request: PageRequest) -> Response:
    """Enqueue what the form asks for; a wrong form comes back with what is wrong."""
    function = await _function(request)
    try:
        call = read_call(function.spec, request.form)
        execution = await request.site.start(call)
    except WrongForm as wrong:
        return await _page(
            request, function, form_again(function.spec, request.form, wrong.errors), status=422
        )
    except DeferError as error:
        form = form_again(function.spec, request.form, {"": full_message(error)})
        return await _page(request, function, form, status=422)
    if request.posted("stay"):
        link = f"/executions/{execution.id}"
        return go_back(request, Notice(text=f"{function.spec.name} is enqueued.", link=link))
    return go_to(request, f"/executions/{execution.id}")


async def pause(request: PageRequest) -> Response:
    function = await _function(request)
    await request.site.operations.pause(function.spec.name)
    return go_back(request, Notice(text=f"{function.spec.name} is paused: nothing new of it starts."))


async def resume(request: PageRequest) -> Response:
    function = await _function(request)
    await request.site.operations.resume(function.spec.name)
    return go_back(request, Notice(text=f"{function.spec.name} runs again."))


async def _function(request: PageRequest) -> RegisteredFunction:
    """The one that the path names, removed ones too: their executions remain. Raises `Refused` (404)."""
    name = request.params["name"]
    for function in await request.site.operations.functions():
        if function.spec.name == name:
            return function
    raise Refused(
        404, "not_found", f"the project has no function {name[:100]!r}: /functions lists what there is"
    )


async def _form(request: PageRequest, spec: FunctionSpec) -> RunForm:
    """Empty, or with the arguments of the execution that `from` names."""
    source = request.get("from")
    if not source:
        return empty_form(spec)
    try:
        execution = await request.site.backend.get_execution(source)
        arguments = await request.site.backend.get_execution_arguments(source)
    except ExecutionNotFound:
        return empty_form(spec)
    return form_with(spec, arguments, execution.metadata)


async def _page(
    request: PageRequest, function: RegisteredFunction, form: RunForm, *, status: int = 200
) -> Response:
    operations, name = request.site.operations, function.spec.name
    shown = range_of(request.get("range"))
    statistics = await operations.statistics(window=shown.window, buckets=shown.buckets)
    own = statistics.functions.get(name)
    link = address("/executions", [("function", name)])
    found = findings_shown(request.site, function.spec.file)
    return await render(
        request,
        "function.html",
        title=name,
        status=status,
        function=function,
        signature=signature_text(function.spec),
        limits=limits(function.spec),
        ranges=RANGES,
        shown=shown,
        statistics=own,
        chart=None if own is None else activity_chart(own.activity, statistics.bucket_width),
        executions_link=link,
        form=form,
        used=[] if function.spec.kind == "cron" else await operations.used_arguments(name, RECENT),
        executions=(await operations.search(Page(first=LATEST), Search(function_names=[name]))).data,
        findings=found or (),
        path=address(f"/functions/{name}"),
    )


def limits(spec: FunctionSpec) -> list[str]:
    """What differs from the defaults, in words: `13 retries`, `up to 10m`."""
    parts = []
    if spec.max_concurrency_action == "cancel" and spec.concurrency is not None:
        parts.append("beyond that cancelled")
    if spec.retry.max_attempts:
        parts.append(f"{spec.retry.max_attempts} {'retry' if spec.retry.max_attempts == 1 else 'retries'}")
    if spec.max_duration != DEFAULT_MAX_DURATION:
        parts.append(f"up to {duration(spec.max_duration)}")
    return parts
