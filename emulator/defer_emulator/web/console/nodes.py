"""The tree of a workflow as a person can read it: siblings that are alike are one node, until opened."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha1

from defer_client.models import Execution, State
from defer_emulator.domain.insight import Tree

FEW = 6  # children that are shown one by one
EACH = 40  # of an opened group
DEEPEST = 30  # levels


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One execution, or several with the same function, state and place."""

    key: str  # names a group in the address of the page
    function: str
    state: State
    executions: Sequence[Execution]
    depth: int
    children: Sequence[Node]
    awaited: Collection[str]  # ids of those for which their parents wait, or waited
    opens: bool = False  # the first of an opened group, which it can close
    deeper: int = 0  # executions below that are not shown

    @property
    def is_group(self) -> bool:
        return len(self.executions) > 1

    @property
    def is_awaited(self) -> bool:
        return self.executions[0].id in self.awaited


def grown(tree: Tree, root: Execution, *, current: str, opened: Collection[str]) -> Node:
    """The node of the root. `current` is never part of a group; `opened` are keys of groups."""
    by_parent: dict[str, list[Execution]] = {}
    for execution in tree.executions:
        if execution.executed_by and execution.id != root.id:
            by_parent.setdefault(execution.executed_by, []).append(execution)
    return _Growing(by_parent, tree.awaited, current, opened).node([root], 0, root.id[-8:])


def flat(top: Node) -> list[Node]:
    """All nodes, each before those below it."""
    found = [top]
    for child in top.children:
        found += flat(child)
    return found


class _Growing:
    def __init__(
        self,
        by_parent: Mapping[str, Sequence[Execution]],
        awaited: Collection[str],
        current: str,
        opened: Collection[str],
    ) -> None:
        self._by_parent = by_parent
        self._awaited = awaited
        self._current = current
        self._opened = opened

    def node(self, members: Sequence[Execution], depth: int, key: str, *, opens: bool = False) -> Node:
        below = [child for one in members for child in self._by_parent.get(one.id, ())]
        is_deepest = depth >= DEEPEST
        return Node(
            key=key,
            function=members[0].function_name,
            state=members[0].state,
            executions=members,
            depth=depth,
            children=() if is_deepest else self._children(below, depth + 1, key),
            awaited=self._awaited,
            opens=opens,
            deeper=len(below) if is_deepest else 0,
        )

    def _children(self, below: Sequence[Execution], depth: int, parent: str) -> list[Node]:
        if len(below) <= FEW:
            return [self.node([one], depth, one.id[-8:]) for one in below]
        groups: dict[tuple[str, str], list[Execution]] = {}
        for one in below:
            alone = one.id if one.id == self._current else ""
            groups.setdefault((f"{one.function_name}:{one.state}", alone), []).append(one)
        return [
            node
            for (alike, _), members in groups.items()
            for node in self._group(members, depth, _key(parent, alike))
        ]

    def _group(self, members: Sequence[Execution], depth: int, key: str) -> list[Node]:
        if len(members) == 1:
            return [self.node(members, depth, members[0].id[-8:])]
        if key not in self._opened:
            return [self.node(members, depth, key)]
        first, *others = members[:EACH]
        nodes = [self.node([first], depth, key, opens=True)]
        nodes += [self.node([one], depth, one.id[-8:]) for one in others]
        rest = members[EACH:]
        return [*nodes, self.node(rest, depth, _key(key, "rest"))] if rest else nodes


def _key(parent: str, text: str) -> str:
    return sha1(f"{parent}/{text}".encode("utf-8", "replace"), usedforsecurity=False).hexdigest()[:8]
