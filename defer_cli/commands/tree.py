"""`defer tree`: an execution and everything it started."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import typer

from defer_cli.parameters import ExecutionId
from defer_cli.session import Session
from defer_cli.views import describe, took
from defer_client.models import Execution
from defer_client.wire import execution_to_json

MOST = 10_000  # executions in one tree


@dataclass(slots=True)
class Node:
    execution: Execution
    children: list[Node] = field(default_factory=list)


def tree(
    ctx: typer.Context,
    execution_id: ExecutionId,
) -> None:
    """Show an execution and everything it started, level by level.

    defer tree @last
    """
    session: Session = ctx.obj
    found = session.resolve(execution_id).partition(".")[0]
    top = grow(session, session.call(session.backend.get_execution(found)))
    output = session.output
    if output.format == "json":
        output.value(_to_json(top))
    elif output.format == "jsonl":
        output.rows(execution_to_json(node.execution) for _, node in _walk(top))
    else:
        now = session.now()
        for prefix, node in _walk(top):
            line = f"{prefix}{describe(output, node.execution)}  {took(node.execution, now)}"
            output.line(line.rstrip())


def grow(session: Session, execution: Execution) -> Node:
    """The tree below an execution, breadth first, so that a wide one is cut at its lowest level."""
    top = Node(execution)
    waiting, count = [top], 1
    while waiting:
        node = waiting.pop(0)
        for child in session.children(node.execution.id):
            if count == MOST:
                session.output.note(f"only the first {MOST:,} executions are shown")
                return top
            count += 1
            node.children.append(Node(child))
        waiting.extend(node.children)
    return top


def _walk(top: Node) -> Iterator[tuple[str, Node]]:
    """Each node with the branches to draw before it."""
    waiting = [("", "", top)]
    while waiting:
        branch, below, node = waiting.pop()
        yield branch, node
        last = len(node.children) - 1
        waiting.extend(
            (below + ("└─ " if place == last else "├─ "), below + ("   " if place == last else "│  "), child)
            for place, child in reversed(list(enumerate(node.children)))
        )


def _to_json(top: Node) -> dict[str, Any]:
    """Rows that hold their children. Not recursive: a chain may be long."""
    made = {id(node): {**execution_to_json(node.execution), "children": []} for _, node in _walk(top)}
    for _, node in _walk(top):
        made[id(node)]["children"] = [made[id(child)] for child in node.children]
    return made[id(top)]
