"""The words after `defer run NAME`, turned into the arguments of the function."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

from defer_client.errors import InvalidArguments
from defer_client.models import Arguments, Json
from defer_emulator.domain.functions import Parameter


def _one_type(name: str) -> re.Pattern[str]:
    """Annotations that mean one type, or it or None."""
    return re.compile(
        rf"""^["']? \s* (?:typing\.)? (?: {name} | Optional\[\s*{name}\s*\] | {name}\s*\|\s*None
        | None\s*\|\s*{name} | Union\[\s*{name}\s*,\s*None\s*\] ) \s* ["']?$""",
        re.VERBOSE,
    )


_TEXT, _SWITCH = _one_type("str"), _one_type("bool")


OWN_OPTIONS = (
    *("json", "wait", "timeout", "delay", "metadata", "discard-after", "output", "project", "help"),
    *("fail-attempt", "kill-at", "slow", "deliver-twice", "debug"),
)


def option_name(parameter: str) -> str:
    """`user_id` → `--user-id`."""
    return f"--{parameter.replace('_', '-')}"


def takes_text(parameter: Parameter | None) -> bool:
    """Whether a word is given to this parameter as it stands: its annotation is `str`, or `str` or None.

    >>> takes_text(Parameter(name="a", kind="keyword_only", required=True, annotation="str | None"))
    True
    """
    return parameter is not None and bool(_TEXT.match(parameter.annotation or ""))


def read_word(word: str, parameter: Parameter | None) -> Json:
    """A word as a value: text for a parameter that takes text, else JSON, else text.

    >>> read_word("7", None), read_word("seven", None)
    (7, 'seven')
    """
    if takes_text(parameter):
        return word
    try:
        return json.loads(word, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return word


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def read_arguments(before: Sequence[str], after: Sequence[str], parameters: Sequence[Parameter]) -> Arguments:
    """The arguments that the words mean. `after` are those that stood behind `--`: there, only an option
    that names a parameter is one, everything else is a value. Raises `InvalidArguments`."""
    reader = _Reader(parameters)
    reader.read(before, strict=True)
    reader.read(after, strict=False)
    return Arguments(positional=reader.positional, keyword=reader.keyword)


class _Reader:
    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.positional: list[Json] = []
        self.keyword: dict[str, Json] = {}
        self._by_place = [p for p in parameters if p.kind in ("positional_only", "positional_or_keyword")]
        self._by_name = {p.name: p for p in parameters if p.kind in ("positional_or_keyword", "keyword_only")}
        self._rest = next((p for p in parameters if p.kind == "var_positional"), None)
        self._rest_by_name = next((p for p in parameters if p.kind == "var_keyword"), None)

    def read(self, words: Sequence[str], *, strict: bool) -> None:
        queue = list(words)
        while queue:
            word = queue.pop(0)
            name = self._option_name(word, strict)
            if name is None:
                self._add_positional(word)
            else:
                self._add_keyword(name, word, queue)

    def _option_name(self, word: str, strict: bool) -> str | None:
        """The parameter that `--some-name` or `--some-name=value` means; None for a value."""
        if not word.startswith("--") or word == "--":
            if strict and re.match(r"-[A-Za-z]", word):
                raise InvalidArguments(
                    f"there is no option {word}", hint=f"to pass it as a value, put it after --: -- {word}"
                )
            return None
        name = word[2:].partition("=")[0].replace("-", "_")
        if name in self._by_name or self._negated(word):
            return name
        if strict and self._rest_by_name and name.isidentifier():
            return name
        if strict:
            self._unknown(word[2:].partition("=")[0])
        return None

    def _negated(self, word: str) -> str | None:
        """The switch that `--no-some-name` turns off."""
        name = word.removeprefix("--no-").replace("-", "_")
        is_one = word.startswith("--no-") and is_switch(self._by_name.get(name))
        return name if is_one and f"no_{name}" not in self._by_name else None

    def _unknown(self, option: str) -> NoReturn:
        known = [name.replace("_", "-") for name in self._by_name]
        known += [f"no-{name}" for name in known if is_switch(self._by_name[name.replace("-", "_")])]
        near = difflib.get_close_matches(option.replace("_", "-"), [*known, *OWN_OPTIONS], n=1)
        takes = (
            ", ".join(f"--{name}" for name in known if not name.startswith("no-")) or "no named parameters"
        )
        raise InvalidArguments(
            f"the function has no parameter {option.replace('-', '_')!r}",
            hint=f"did you mean --{near[0]}?" if near else f"it takes {takes}; values go after --",
        )

    def _add_positional(self, word: str) -> None:
        place = len(self.positional)
        parameter = self._by_place[place] if place < len(self._by_place) else self._rest
        self.positional.append(read_word(word, parameter))

    def _add_keyword(self, name: str, word: str, queue: list[str]) -> None:
        switched_off = self._negated(word)
        name = switched_off or name
        parameter = self._by_name.get(name, self._rest_by_name)
        if name in self.keyword:
            raise InvalidArguments(f"{name} was given twice")
        if switched_off:
            self.keyword[name] = False
            return
        _, equals, value = word.partition("=")
        if not equals:
            if is_switch(parameter) and (not queue or queue[0].lower() not in ("true", "false")):
                self.keyword[name] = True
                return
            if not queue:
                raise InvalidArguments(f"{word} needs a value")
            value = queue.pop(0)
        if is_switch(parameter) and value.lower() in ("true", "false"):
            value = value.lower()
        self.keyword[name] = read_word(value, parameter)


def is_switch(parameter: Parameter | None) -> bool:
    """Whether a parameter is given as `--name` and `--no-name`: its annotation is `bool`, or `bool` or None,
    or it has none and a boolean as default."""
    if parameter is None:
        return False
    if parameter.annotation is None:
        return parameter.default in ("True", "False")
    return bool(_SWITCH.match(parameter.annotation))


def parse_json(text: str, name: str, hint: str = "") -> Any:
    """A JSON value; `name` is what the text is called. Raises `InvalidArguments`."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise InvalidArguments(f"{name}: nested too deeply") from None
    except ValueError as error:
        raise InvalidArguments(f"{name}: not JSON: {error}", hint=hint) from None


def is_source(before: Sequence[str], after: Sequence[str], folder: Path) -> bool:
    """Whether the only word stands for all arguments: `-` for stdin, or `@file` where there is that file.
    Behind `--` it would be a value."""
    if after or len(before) != 1:
        return False
    (word,) = before
    return word == "-" or (word.startswith("@") and (folder / word[1:]).is_file())


def read_json(source: str, stdin: TextIO | None, folder: Path) -> Arguments:
    """What `--json` gives: a text, `@file` or `-`; an array (positional) or an object (by name).

    Raises `InvalidArguments`.
    """
    try:
        if source == "-":
            text = "" if stdin is None else stdin.read()
        elif source.startswith("@"):
            text = (folder / source[1:]).read_text(encoding="utf-8")
        else:
            text = source
    except OSError as error:
        raise InvalidArguments(f"--json: {source[1:]} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InvalidArguments(f"--json: not UTF-8: {error}") from None
    value = parse_json(text, "--json", hint="""give an array or an object: --json '{"user_id": 7}'""")
    if isinstance(value, list):
        return Arguments(positional=value)
    if isinstance(value, dict):
        return Arguments(keyword=value)
    raise InvalidArguments(
        "--json takes an array (positional arguments) or an object (arguments by name)",
        hint=f"for one argument, write --json '[{text.strip()[:40]}]'",
    )
