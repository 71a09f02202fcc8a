"""A workflow: an execution with all that it started, as a graph and as a waterfall."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup
from starlette.responses import Response

from defer_client.errors import ExecutionNotFound
from defer_client.models import Execution, State
from defer_emulator.domain.ids import parse_id, short_id
from defer_emulator.web.console.charts import Axis, Span, crowd, spans
from defer_emulator.web.console.execution import told
from defer_emulator.web.console.graph import drawn
from defer_emulator.web.console.nodes import Node, flat, grown
from defer_emulator.web.console.rendering import render
from defer_emulator.web.console.request import PageRequest, address
from defer_emulator.web.console.responses import go_to
from defer_emulator.web.console.timeline import axis_of, clock_text, spans_of

MOST = 1_000  # executions that are looked at
ROWS = 80
BOXES = 60
MARGIN = 0.06  # of the axis, for what is delayed beyond it


Timed = Mapping[str, Sequence[Span]]
"""What happened to each execution, by its id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    node: Node
    svg: Markup
    toggle: str | None  # the same page with this group opened, or closed
    members: str | None  # the list of a group


async def show(request: PageRequest) -> Response:
    """The whole workflow that an execution belongs to, from its first one on."""
    given = request.params["id"]
    full = await request.site.operations.resolve_id(given)
    reference = parse_id(full)
    assert reference is not None
    if given != reference.id:
        return go_to(request, f"/executions/{reference.id}/workflow")
    above = await request.site.operations.ancestors(reference.id)
    root = above[0] if above else await request.site.backend.get_execution(reference.id)
    tree = await request.site.operations.tree(root.id, MOST)
    now = await request.site.backend.now()
    opened = set(request.all("open"))
    top = grown(tree, root, current=reference.id, opened=opened)
    nodes = flat(top)
    timed = {one.id: spans_of(one, now) for one in tree.executions}
    axis = _axis(tree.executions, timed, now)
    counts = Counter(one.state for one in tree.executions)
    return await render(
        request,
        "workflow.html",
        title=f"Workflow {root.function_name} {short_id(root.id)}",
        root=root,
        current=reference.id,
        tree=tree,
        counts=[(state, counts[state]) for state in State if counts[state]],
        rows=[_row(request, node, timed, axis, now, opened) for node in nodes[:ROWS]],
        more=len(nodes) - ROWS,
        graph=drawn(top, BOXES, current=reference.id, toggled=lambda key: _toggled(request, key, opened)),
        axis=axis,
        left=clock_text(axis.start, axis),
        right=clock_text(axis.end, axis),
        length=(axis.end - axis.start).total_seconds(),
    )


async def cancel(request: PageRequest) -> Response:
    """All of it that has not ended; what runs only with `force`."""
    execution_id = request.params["id"]
    if parse_id(execution_id) is None:
        raise ExecutionNotFound(f"no execution has the id {execution_id[:60]!r}")
    force = bool(request.posted("force"))
    ended = request.site.operations.cancel_tree(execution_id, force=force)
    return await told(request, ended, "All of it that had not ended is cancelled.")


def _axis(executions: Sequence[Execution], timed: Timed, now: datetime) -> Axis:
    """What has happened. What is delayed only begins here, and the rest is told in words: two hours of it
    would leave no room for anything else."""
    found = [span for its in timed.values() for span in its]
    happened = [span for span in found if span.kind != "delayed"]
    if not happened:
        return axis_of(found, now)
    axis = axis_of(happened, now)
    is_delayed = any(one.state is State.CREATED and one.scheduled_at > now for one in executions)
    margin = (axis.end - axis.start) * MARGIN if is_delayed else timedelta()
    return Axis(start=axis.start, end=axis.end + margin)


def _row(request: PageRequest, node: Node, timed: Timed, axis: Axis, now: datetime, opened: set[str]) -> Row:
    found = [span for one in node.executions for span in timed[one.id]]
    if node.is_group:
        label = f"{len(node.executions)} × {node.function} {node.state}"
        happened = [span for span in found if span.kind != "delayed"]
        svg = crowd(happened, axis, label) if happened else spans(found, axis, label)
    else:
        found += [Span(kind="waiting", start=start, end=end) for start, end in _waits(node, now)]
        svg = spans(found, axis, f"{node.function} {node.state}")
    return Row(
        node=node,
        svg=svg,
        toggle=_toggled(request, node.key, opened) if node.is_group or node.opens else None,
        members=_members(node) if node.is_group else None,
    )


def _waits(node: Node, now: datetime) -> list[tuple[datetime, datetime]]:
    """When it waited for others: from the call of an awaited child to its end, joined where they overlap."""
    run = node.executions[0]
    if run.started_at is None:
        return []
    until = run.finished_at or now
    ends = sorted(
        (max(one.created_at, run.started_at), min(one.finished_at or now, until))
        for child in node.children
        for one in child.executions
        if one.id in child.awaited
    )
    joined: list[tuple[datetime, datetime]] = []
    for start, end in ends:
        if end <= start:
            continue
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _members(node: Node) -> str:
    """The list of its executions, where they have one parent."""
    parents = {one.executed_by for one in node.executions}
    pairs = [("function", node.function), ("state", node.state.value)]
    if len(parents) == 1 and (parent := next(iter(parents))):
        pairs.append(("executed_by", parent))
    return address("/executions", pairs)


def _toggled(request: PageRequest, key: str, opened: Sequence[str] | set[str]) -> str:
    keys = [one for one in request.all("open") if one != key]
    return request.url_with(open=keys if key in opened else [*keys, key])
