"""Taking parameters out of a function's `def`."""

from __future__ import annotations

import ast
import tokenize
from itertools import accumulate, pairwise

from defer_emulator.project.edits import Edit
from defer_emulator.project.parser import FunctionNode, parameters_of
from defer_emulator.project.sources import Module, whole_lines

OPENING, CLOSING = frozenset("([{"), frozenset(")]}")

SEES_ALL = frozenset({"locals", "vars", "eval", "exec", "dir"})
"""Functions that may look at a parameter without naming it."""


def unused_parameters(node: FunctionNode) -> set[str]:
    """The names of the parameters that the body does not mention."""
    mentioned: set[str] = set()
    for statement in node.body:
        for inner in ast.walk(statement):
            if isinstance(inner, ast.Name):
                mentioned.add(inner.id)
            elif isinstance(inner, ast.Global | ast.Nonlocal):
                mentioned.update(inner.names)
    if mentioned & SEES_ALL:
        return set()
    return {given.arg for given in parameters_of(node.args)} - mentioned


def without_parameters(code: Module, node: FunctionNode, names: set[str]) -> Edit | None:
    """The edit that takes them out and leaves the rest as it is; None where a comment would get lost."""
    begin = code.offset(node.lineno, node.col_offset)
    found = _parts(code.text[begin:], node.name)
    if found is None:
        return None
    start, parts = found
    end = begin + start + sum(len(text) + 1 for text, _ in parts) - 1
    needless = set(names)
    if all(given.arg in names for given in node.args.posonlyargs):
        needless.add("/")
    if all(given.arg in names for given in node.args.kwonlyargs):
        needless.add("*")
    elif node.args.vararg and node.args.vararg.arg in names:
        parts = [
            (text.partition("*")[0] + "*", "*") if word == node.args.vararg.arg else (text, word)
            for text, word in parts
        ]
    kept = [text for text, word in parts if word not in needless]
    if not any(text.strip() for text in kept):
        return Edit(start=begin + start, end=end, text="")
    first, last = parts[0][0], parts[-1][0]
    if kept[0] is not first:
        kept[0] = first[: len(first) - len(first.lstrip())] + kept[0].lstrip()
    if kept[-1] is not last:
        kept[-1] = kept[-1].rstrip() + last[len(last.rstrip()) :]
    return Edit(start=begin + start, end=end, text=",".join(kept))


def _parts(text: str, name: str) -> tuple[int, list[tuple[str, str]]] | None:
    """What stands between the parentheses of the `def` that a text begins with, cut at its commas: where
    that begins, and each part with the parameter, `*` or `/` that it is; "" after a last comma.

    None where there are comments, or where it cannot be told.
    """
    lines = whole_lines(text)
    starts = list(accumulate(map(len, lines), initial=0))
    cuts: list[int] = []
    words: list[str] = [""]
    depth, is_named = 0, False
    try:
        for token in tokenize.generate_tokens(iter(lines).__next__):
            at = starts[token.start[0] - 1] + token.start[1]
            if token.type == tokenize.COMMENT:
                return None
            depth += (token.string in OPENING) - (token.string in CLOSING)
            if not is_named:
                is_named = token.string == name and token.type == tokenize.NAME
            elif not cuts and depth == 1 and token.string == "(":
                cuts.append(at)
            elif cuts and depth == 0:
                cuts.append(at)
                break
            elif cuts and depth == 1 and token.string == ",":
                cuts.append(at)
                words.append("")
            elif cuts and words[-1] in ("", "*", "**") and token.type in (tokenize.NAME, tokenize.OP):
                words[-1] = token.string
    except (tokenize.TokenError, SyntaxError):
        return None
    if len(cuts) != len(words) + 1:
        return None
    parts = [text[before + 1 : after] for before, after in pairwise(cuts)]
    return cuts[0] + 1, list(zip(parts, words, strict=True))
