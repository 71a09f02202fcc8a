"""Names of functions as people type them, made into names of files and functions."""

from __future__ import annotations

import keyword
import re

from click import UsageError

IGNORED = re.compile(r"^_|^test_|_test$|^conftest$")
"""Files that discovery passes over: a function of such a name would never be found."""


def function_name(typed: str) -> str:
    """`sendWelcomeEmail`, `Send-Welcome-Email` → `send_welcome_email`. Raises `UsageError` for no name.

    >>> function_name("importHTTPLogs")
    'import_http_logs'
    """
    if "/" in typed or "\\" in typed or typed.endswith(".py"):
        raise UsageError(f"{typed!r} is a path; give the function's name, and its folder with --dir")
    name = snake_case(typed)
    if not name or not name.isascii() or not name.isidentifier():
        raise UsageError(
            f"{typed!r} is no name for a function: use letters, digits and underscores, a letter first"
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise UsageError(f"{name!r} is a word of the Python language; add another, such as {name}_task")
    if IGNORED.search(name):
        raise UsageError(
            f"{name}.py would be ignored: names must not begin with _ or test_, nor end with _test"
        )
    return name


def snake_case(typed: str) -> str:
    """Words in any style, in the style of Python's names."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", typed.strip())
    words = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", words)
    return re.sub(r"[\s\-.]+", "_", words).lower()
