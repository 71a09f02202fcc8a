"""Names of functions as people type them, made into names of files and functions."""

from __future__ import annotations

import builtins
import keyword
import re
import sys

from click import UsageError

LONGEST = 100  # characters; a file's name may have 255 bytes
OURS = frozenset({"defer", "defer_client", "defer_cli", "defer_emulator"})


def function_name(typed: str) -> str:
    """`sendWelcomeEmail`, `Send-Welcome-Email` → `send_welcome_email`. Raises `UsageError` for no name.

    >>> function_name("importHTTPLogs")
    'import_http_logs'
    """
    if "/" in typed or "\\" in typed or typed.endswith(".py"):
        raise UsageError(f"{typed!r} is a path; give the function's name, and its folder with --dir")
    from defer_emulator.project.finder import is_function_file

    name = _identifier(typed, snake_case(typed), "a function")
    taken = _taken(name)
    if taken:
        raise UsageError(f"{name!r} is {taken}, which the function would hide; call it {name}_task, or so")
    if not is_function_file(f"{name}.py"):
        raise UsageError(
            f"{name}.py would be ignored: names must not begin with _ or test_, nor end with _test"
        )
    return name


def folder_name(typed: str) -> str:
    """A folder inside `defer/`, which is imported by its name. Raises `UsageError`."""
    from defer_emulator.project.finder import IGNORED_FOLDERS

    name = _identifier(typed, typed, "a folder")
    if name in IGNORED_FOLDERS:
        raise UsageError(f"functions in a folder named {name} are ignored")
    return name


def _identifier(typed: str, name: str, what: str) -> str:
    if name[:1].isdigit():
        raise UsageError(f"{typed!r} begins with a digit, and {what} cannot: put a word first")
    if not name or not name.isascii() or not name.isidentifier():
        raise UsageError(
            f"{typed!r} is no name for {what}: use letters, digits and underscores, a letter first"
        )
    if len(name) > LONGEST:
        raise UsageError(f"{typed!r} has {len(name)} characters: {what} may have {LONGEST}")
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise UsageError(f"{name!r} is a word of the Python language; add another, such as {name}_task")
    return name


def _taken(name: str) -> str:
    """What has that name wherever Python runs; "" for nothing."""
    if name in OURS:
        return "a package of this tool"
    if hasattr(builtins, name):
        return "built into Python"
    if name in sys.stdlib_module_names:
        return "a module of Python's standard library"
    return ""


def snake_case(typed: str) -> str:
    """Words in any style, in the style of Python's names."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", typed.strip())
    words = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", words)
    return re.sub(r"[\s\-.]+", "_", words).lower()
