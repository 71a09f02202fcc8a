"""What was probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterable

import click


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing."""
    import difflib

    near = difflib.get_close_matches(word.lower(), list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def explain(error: click.UsageError) -> str:
    """The error's message; of a choice, with the one that was meant."""
    text = error.format_message()
    if isinstance(error, click.BadParameter) and error.param is not None:
        wrong = re.match(r"'(.+?)' is not one of", error.message)
        if wrong and isinstance(error.param.type, click.Choice):
            choices = (str(getattr(one, "value", one)) for one in error.param.type.choices)
            text = text.rstrip(".") + nearest(wrong[1], choices)
    return text
