"""`defer tree`: an execution and everything it started."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import typer

from defer_cli.output import Output
from defer_cli.parameters import ExecutionId
from defer_cli.session import Session
from defer_cli.text import STATE_STYLES, cut, paint, relative, width
from defer_cli.views import counted, error_of, failed_first, took
from defer_client.models import Execution, State
from defer_client.wire import execution_to_json
from defer_emulator.domain.ids import short_id

MOST = 10_000  # executions in one tree
STATE_WIDTH = 9  # columns
SHOWN = 10  # children of one execution, unless all are asked for


@dataclass(slots=True)
class Node:
    execution: Execution
    children: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Branch:
    """A line of the drawing: an execution, or those that have no line of their own."""

    drawn: str  # what stands before it
    node: Node | None
    hidden: Sequence[Execution] = ()


def tree(
    ctx: typer.Context,
    execution_id: ExecutionId,
    depth: Annotated[
        int | None, typer.Option("--depth", metavar="N", min=0, help="Only so many levels below it.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", "-a", help=f"Every child; else {SHOWN} of each, failed ones first.")
    ] = False,
) -> None:
    """Show an execution and everything it started, level by level.

    defer tree @last
      defer tree 1f2e3d4c --all
      defer tree 1f2e3d4c --depth 1
    """
    session: Session = ctx.obj
    found = session.resolve(execution_id).partition(".")[0]
    top = grow(session, session.call(session.backend.get_execution(found)), depth)
    output = session.output
    if output.format == "json":
        output.value(_to_json(top))
    elif output.format == "jsonl":
        output.rows(execution_to_json(branch.node.execution) for branch in _walk(top) if branch.node)
    else:
        _draw(output, list(_walk(top, None if everything else SHOWN)), session.now())


def grow(session: Session, execution: Execution, depth: int | None = None) -> Node:
    """The tree below an execution, breadth first, so that a wide one is cut at its lowest level."""
    top = Node(execution)
    level, count = [top], 1
    while level and (depth is None or depth > 0):
        depth = None if depth is None else depth - 1
        for node in level:
            for child in session.children(node.execution.id, MOST):
                if count == MOST:
                    session.output.note(f"only the first {MOST:,} executions are shown")
                    return top
                count += 1
                node.children.append(Node(child))
        level = [child for node in level for child in node.children]
    return top


def _walk(top: Node, most: int | None = None) -> Iterator[Branch]:
    """Each node in the order of a drawing; of more than `most` children those of interest."""
    waiting = [("", "", Branch("", top))]
    while waiting:
        before, below, branch = waiting.pop()
        yield Branch(before, branch.node, branch.hidden)
        if branch.node is None:
            continue
        children = _chosen(branch.node.children, most)
        last = len(children) - 1
        waiting.extend(
            (below + ("└─ " if place == last else "├─ "), below + ("   " if place == last else "│  "), child)
            for place, child in reversed(list(enumerate(children)))
        )


def _chosen(children: Sequence[Node], most: int | None) -> list[Branch]:
    if most is None or len(children) <= most + 1:  # a line for a single one would save nothing
        return [Branch("", child) for child in children]
    places = {node.execution.id: place for place, node in enumerate(children)}
    kept = failed_first([node.execution for node in children])
    shown = sorted(places[execution.id] for execution in kept[:most])
    return [*(Branch("", children[place]) for place in shown), Branch("", None, kept[most:])]


def _draw(output: Output, branches: Sequence[Branch], now: datetime) -> None:
    """Names may be cut on a narrow terminal; what stands behind them is in columns."""
    names = [_name(branch) for branch in branches]
    widest = max(width(name) for name in names)
    columns = output.width or 10_000
    widest = max(20, min(widest, columns - 24))
    room = columns - widest - STATE_WIDTH - 4
    for branch, name in zip(branches, names, strict=True):
        if branch.node is None:
            output.line(cut(name, columns), "dim")
            continue
        execution = branch.node.execution
        head = cut(name, widest)
        colour = output.colours(output.out)
        parts = (
            _coloured(head, branch.drawn, colour=colour) + " " * (widest - width(head)),
            output.style(f"{execution.state.value:{STATE_WIDTH}}", STATE_STYLES[execution.state]),
            cut(_rest(execution, now, brief=room < 34), max(room, 0)),
        )
        output.line("  ".join(parts).rstrip())


def _name(branch: Branch) -> str:
    if branch.node is None:
        return f"{branch.drawn}… {len(branch.hidden):,} more: {counted(branch.hidden)}"
    return f"{branch.drawn}{short_id(branch.node.execution.id)}  {branch.node.execution.function_name}"


def _coloured(name: str, drawn: str, *, colour: bool) -> str:
    if not colour:
        return name
    identity, space, function = name[len(drawn) :].partition("  ")
    return paint(name[: len(drawn)], "dim") + paint(identity, "cyan") + space + paint(function, "bold")


def _rest(execution: Execution, now: datetime, *, brief: bool) -> str:
    if execution.state is State.CREATED and execution.scheduled_at > now:
        due = relative(execution.scheduled_at, now)
        return due if brief else f"delayed until {_clock(execution.scheduled_at, now)}, {due}"
    tries = f"  attempt {execution.attempt}" if execution.attempt > 1 else ""
    return f"{took(execution, now)}{tries}  {error_of(execution)}".strip()


def _clock(value: datetime, now: datetime) -> str:
    return f"{value:%H:%M:%S}" if value.date() == now.date() else f"{value:%Y-%m-%d %H:%M}"


def _to_json(top: Node) -> dict[str, Any]:
    """Rows that hold their children. Not recursive: a chain may be long."""
    nodes = [branch.node for branch in _walk(top) if branch.node]
    made = {id(node): {**execution_to_json(node.execution), "children": []} for node in nodes}
    for node in nodes:
        made[id(node)]["children"] = [made[id(child)] for child in node.children]
    return made[id(top)]
