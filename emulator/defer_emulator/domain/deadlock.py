"""Waits that can never end."""

from __future__ import annotations

from collections.abc import Sequence


def find_cycle(ancestors: Sequence[str], function: str, concurrency: int) -> list[str] | None:
    """The functions that would wait for each other if the youngest ancestor awaited `function`.

    `ancestors` names the functions of the running executions that wait for one another, the one that
    is about to wait first. The wait cannot end when they hold all places of `function`: the answer
    leads from the holder of one of its places down to `function` itself. None: no such cycle.

    >>> find_cycle(["child", "parent"], "parent", 1)
    ['parent', 'child', 'parent']
    """
    if ancestors.count(function) < concurrency:
        return None
    nearest = ancestors.index(function)
    return [*reversed(ancestors[: nearest + 1]), function]
