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
    if not isinstance(error, click.BadParameter) or error.param is None:
        return text
    if not isinstance(error.param.type, click.Choice):
        return text
    choices = [str(getattr(one, "value", one)) for one in error.param.type.choices]
    if isinstance(error.param, click.Argument):  # what it is called there repeats the choices
        text = text.replace(error.param.get_error_hint(error.ctx), f"'{error.param.human_readable_name}'")
    if isinstance(error, click.MissingParameter):
        return f"{text.partition('. Choose from')[0]}: take one of {', '.join(choices)}"
    wrong = re.match(r"'(.+?)' is not one of", error.message)
    return text.rstrip(".") + (nearest(wrong[1], choices) if wrong else "")
