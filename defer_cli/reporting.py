"""A bug of ours, written down for whoever has to find it, without what is nobody's business."""

from __future__ import annotations

import os
import platform
import re
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from defer_client import __version__

SECRET_NAMES = re.compile(r"TOKEN|SECRET|PASSW|KEY|CREDENTIAL|AUTH|DSN|COOKIE|WEBHOOK", re.IGNORECASE)
WITH_PASSWORD = re.compile(r"(?<=://)[^/@\s]+(?=@)")  # of a URL
SHORTEST = 4  # characters of a word that is looked for elsewhere in the text: shorter ones are everywhere
HIDDEN = "…"


def write_report(
    error: Exception, given: Sequence[str], command: str, environment: Mapping[str, str]
) -> Path:
    """A new file, which only this user can read. `given` are the words of the command line.

    Values of options, arguments of functions, and what looks like a secret in the environment are left out.
    """
    trace = "".join(traceback.format_exception(error))
    words = " ".join(_shown(word, command) for word in given)
    text = (
        f"defer {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
        f"arguments: {words}\n\n{_without(trace, _private(given, command, environment), environment)}"
    )
    handle, name = tempfile.mkstemp(prefix="defer-report-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    return Path(name)


def summary(error: Exception, given: Sequence[str], command: str, environment: Mapping[str, str]) -> str:
    """`ZeroDivisionError: division by zero`, in one line, and without secrets."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return _without(" ".join(text.split()), _private(given, command, environment), environment)


def _shown(word: str, command: str) -> str:
    """The command and the names of options say what was done; the rest are values."""
    if word.startswith("--"):
        name, equals, _ = word.partition("=")
        return name + equals + (HIDDEN if equals else "")
    return word if word in ("-", command) or (word.startswith("-") and len(word) == 2) else HIDDEN


def _private(given: Sequence[str], command: str, environment: Mapping[str, str]) -> Iterator[str]:
    for word in given:
        value = word.partition("=")[2] if word.startswith("--") else word
        if _shown(word, command).endswith(HIDDEN):
            yield value
    yield from (value for name, value in environment.items() if SECRET_NAMES.search(name))


def _without(text: str, private: Iterator[str], environment: Mapping[str, str]) -> str:
    for value in sorted({value for value in private if len(value) >= SHORTEST}, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", HIDDEN, text)
    home = environment.get("HOME", "")
    if len(home) > 1:
        text = text.replace(home, "~")
    return WITH_PASSWORD.sub(HIDDEN, text)
