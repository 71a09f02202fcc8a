"""Texts within a size: what a function got or returned may be of any."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import escape

from defer_client.models import Json
from defer_emulator.web.console.request import address

PRETTY = 60_000  # characters of JSON beyond which it is not laid out


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    text: str
    cut: int  # characters that are not shown


def cut_text(text: str, room: int) -> Cut:
    """As much of it as takes up to `room` characters of markup.

    >>> cut_text("<<<<", 8)
    Cut(text='<<', cut=2)
    """
    shown = text[:room]
    while (size := len(escape(shown))) > room:
        shown = shown[: min(len(shown) - 1, len(shown) * room // size)]
    return Cut(text=shown, cut=len(text) - len(shown))


def cut_json(value: Json, room: int) -> Cut:
    """The same of a value, laid out where it is not too long."""
    compact = json.dumps(value, ensure_ascii=False)
    if len(compact) <= PRETTY and isinstance(value, dict | list) and len(compact) > 80:
        return cut_text(json.dumps(value, ensure_ascii=False, indent=2), room)
    return cut_text(compact, room)


def shared(room: int, values: Sequence[Json]) -> Iterator[Cut]:
    """Several values in one room: each may take what is left, and a little always."""
    for value in values:
        found = cut_json(value, max(room, 80))
        room -= len(escape(found.text))
        yield found


@dataclass(frozen=True, kw_only=True, slots=True)
class Tag:
    """A pair of metadata."""

    text: str
    title: str  # all of it, where the text is not
    href: str  # the list of those that have it too; "" where there is no room for it


def tags_of(pairs: Mapping[str, str], room: int, *, longest: int) -> list[Tag]:
    """The first pairs, as far as there is room for their markup; keys and values have up to `longest`
    characters."""
    found = []
    for key, value in pairs.items():
        text = f"{_ended(key, longest)}={_ended(value, longest)}"
        whole = f"{key}={value}"
        href = address("/executions", [("metadata", f"{key}:{value}")])
        tag = Tag(text=text, title="" if text == whole else whole, href=href)
        if _size(tag) > room:
            tag = Tag(text=text, title="", href="")
        room -= _size(tag)
        if room < 0:
            break
        found.append(tag)
    return found


def _size(tag: Tag) -> int:
    return sum(len(escape(part)) for part in (tag.text, tag.title, tag.href)) + 60


def _ended(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
