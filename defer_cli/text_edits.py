"""Settings put into files that people wrote: lines are inserted, and all others stay as they are.

Each function returns the new text, or the same text where the setting is there already. `EditRefused` is
raised for a text in which the place cannot be found with certainty: the person has to do it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from defer_emulator.config import ConfigError, parse_toml

Value = str | list[str]


class EditRefused(Exception):
    """The file is written in a way that is not understood."""


# --- TOML -------------------------------------------------------------------------------------


def toml_item(text: str, table: str, key: str, item: str) -> str:
    """With `item` in the array `key` of a table such as "tool.pyright".

    >>> toml_item('[tool.pyright]  # types', "tool.pyright", "extraPaths", "src")
    '[tool.pyright]  # types\\nextraPaths = ["src"]\\n'
    """
    found = _get(_parse(text), table)
    present = found.get(key)
    if present is None:
        return toml_value(text, table, key, [item])
    if isinstance(present, str):  # pytest takes words, too
        changed: Value = f"{item} {present}"
    elif isinstance(present, list) and all(isinstance(one, str) for one in present):
        changed = [item, *present]
    else:
        raise EditRefused
    if item in (present.split() if isinstance(present, str) else present):
        return text
    start, end = _section(text, table)
    match = re.compile(rf"^[ \t]*[\"']?{re.escape(key)}[\"']?[ \t]*=[ \t]*([\[\"'])", re.MULTILINE)
    place = match.search(text, start, end)
    if place is None:
        raise EditRefused
    return _verified(text, _insert_item(text, place.end(), item, place[1] == "["), table, key, changed)


def _insert_item(text: str, position: int, item: str, is_array: bool) -> str:
    if not is_array:
        return f"{text[:position]}{item} {text[position:]}"
    rest = text[position:]
    line, end, following = rest.partition("\n")
    if end and not line.partition("#")[0].strip():  # one item a line
        indent = re.match(r"[ \t]*", following)
        assert indent is not None
        new = f'{indent[0] or "    "}"{item}",{_end_of_line(text)}'
        return f"{text[:position]}{line}{end}{new}{following}"
    comma = "" if line.lstrip().startswith("]") else ", "
    return f'{text[:position]}"{item}"{comma}{rest}'


def toml_value(text: str, table: str, key: str, value: Value, comment: str = "") -> str:
    """With `key = value`, where the table has no such key yet. The table is made if it is missing."""
    data = _parse(text)
    if key in _get(data, table):
        return text
    line = f"{key} = {json.dumps(value)}{f'  # {comment}' if comment else ''}"
    return _verified(text, _insert_line(text, data, table, line), table, key, value)


def toml_comment(text: str, table: str, comment: str) -> str:
    """With a table that holds only a comment, where there is no such table yet."""
    data = _parse(text)
    if _has(data, table):
        return text
    return _verified(text, _insert_line(text, data, table, f"# {comment}"), table, None, "")


def _insert_line(text: str, data: dict[str, Any], table: str, line: str) -> str:
    end = _end_of_line(text)
    if not table:  # keys without a table stand before all others
        lead = re.match(r"\ufeff?(?:[ \t]*#[^\n]*\n)*", text)
        assert lead is not None
        return f"{text[: lead.end()]}{line}{end}{text[lead.end() :]}"
    if _has(data, table) and _header(table).search(text):
        start, _ = _section(text, table)
        gap = "" if text[:start].endswith("\n") else end
        return f"{text[:start]}{gap}{line}{end}{text[start:]}"
    if text and not text.endswith("\n"):
        text += end
    return f"{text}{end if text.strip() else ''}[{table}]{end}{line}{end}"


def _verified(before: str, after: str, table: str, key: str | None, value: Value) -> str:
    """`after`, if it says what `before` does and the new value, and nothing else."""
    expected = _parse(before)
    inner = expected
    for part in table.split(".") if table else ():
        inner = inner.setdefault(part, {})
    if key is not None:
        inner[key] = value
    if _parse(after) != expected:
        raise EditRefused
    return after


def _parse(text: str) -> dict[str, Any]:
    try:
        return parse_toml(Path(), text.encode("utf-8", "surrogatepass"))
    except ConfigError:
        raise EditRefused from None


def _get(data: dict[str, Any], table: str) -> dict[str, Any]:
    for part in table.split(".") if table else ():
        inner = data.get(part, {})
        if not isinstance(inner, dict):
            raise EditRefused
        data = inner
    return data


def _has(data: dict[str, Any], table: str) -> bool:
    above, _, name = table.rpartition(".")
    return name in _get(data, above)


def _header(table: str) -> re.Pattern[str]:
    parts = [rf"[\"']?{re.escape(part)}[\"']?" for part in table.split(".")]
    name = r"[ \t]*\.[ \t]*".join(parts)
    return re.compile(rf"^\ufeff?[ \t]*\[[ \t]*{name}[ \t]*\][^\n]*(?:\n|\Z)", re.MULTILINE)


def _section(text: str, table: str) -> tuple[int, int]:
    """Where the lines of a table begin and end."""
    header = _header(table).search(text) if table else None
    if table and header is None:
        raise EditRefused
    start = header.end() if header else 0
    following = re.compile(r"^[ \t]*\[", re.MULTILINE).search(text, start)
    return start, following.start() if following else len(text)


def _end_of_line(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


# --- INI and JSON -----------------------------------------------------------------------------


def ini_item(text: str, section: str, key: str, item: str) -> str:
    """With `item` among the words of `key` in a section."""
    end = _end_of_line(text)
    header = re.compile(rf"^\[{re.escape(section)}\][^\n]*(?:\n|\Z)", re.MULTILINE).search(text)
    if header is None:
        gap = "" if not text or text.endswith("\n") else end
        return f"{text}{gap}{end if text.strip() else ''}[{section}]{end}{key} = {item}{end}"
    following = re.compile(r"^\[", re.MULTILINE).search(text, header.end())
    limit = following.start() if following else len(text)
    entry = re.compile(rf"^{re.escape(key)}[ \t]*[=:]([^\r\n]*(?:\r?\n[ \t]+[^\r\n]*)*)", re.MULTILINE)
    present = entry.search(text, header.end(), limit)
    if present is None:
        gap = "" if header[0].endswith("\n") else end
        return f"{text[: header.end()]}{gap}{key} = {item}{end}{text[header.end() :]}"
    if item in present[1].split():
        return text
    return f"{text[: present.start(1)]} {item}{text[present.start(1) :]}"


def json_item(text: str, key: str, item: str) -> str:
    """With `item` in the array `key` of the object that the file is. Comments are allowed."""
    data = _parse_json(text)
    present = data.get(key, [])
    if not isinstance(present, list):
        raise EditRefused
    if item in present:
        return text
    if key in data:
        match = re.search(rf'"{re.escape(key)}"\s*:\s*\[', text)
        if match is None:
            raise EditRefused
        changed = f'{text[: match.end()]}"{item}"{", " if present else ""}{text[match.end() :]}'
    else:
        changed = _insert_member(text, f'"{key}": ["{item}"]', is_first=not data)
    if _parse_json(changed) != {**data, key: [item, *present]}:
        raise EditRefused
    return changed


def _insert_member(text: str, member: str, *, is_first: bool) -> str:
    end, brace = _end_of_line(text), text.index("{") + 1
    rest = text[brace:]
    if is_first:
        return f"{text[:brace]}{end}    {member}{end}{rest.lstrip()}"
    indent = re.match(r"[ \t]*\r?\n([ \t]*)", rest)
    return f"{text[:brace]}{end}{indent[1]}{member},{rest}" if indent else f"{text[:brace]}{member}, {rest}"


_STRING_OR_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/|,(?=\s*[}\]])', re.DOTALL)


def _parse_json(text: str) -> dict[str, Any]:
    """Without its comments and the commas before a closing bracket, which editors allow."""
    plain = _STRING_OR_COMMENT.sub(lambda match: match[1] or "", text.removeprefix("\ufeff"))
    try:
        data = json.loads(plain)
    except ValueError:
        raise EditRefused from None
    if not isinstance(data, dict):
        raise EditRefused
    return data
