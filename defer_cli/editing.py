"""Arguments as JSON in a person's editor."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from click import UsageError

from defer_cli.arguments import parse_json
from defer_cli.asking import agreed, can_ask
from defer_cli.output import to_json
from defer_cli.session import Session
from defer_client.errors import DeferError, InvalidArguments
from defer_client.models import Arguments, Json
from defer_emulator.domain.functions import Parameter

PARTS = {"positional", "keyword"}  # the shape of arguments that are neither all by place nor all by name
FALLBACKS = ("editor", "vi", "nano")


class EditFailed(DeferError):
    """The editor could not be started, or ended with an error."""

    code = "edit_failed"


def edit_arguments(
    session: Session,
    arguments: Arguments,
    parameters: Sequence[Parameter],
    check: Callable[[Arguments], None],
) -> Arguments:
    """The arguments as the person leaves them; equal ones where nothing was changed.

    `check` raises `InvalidArguments` for those that do not fit; a person can then edit them again.
    Raises `UsageError` without an editor, `EditFailed`, `InvalidArguments`.
    """
    command = find_editor(session)
    shape = shaped(arguments, parameters)
    in_parts = isinstance(shape, dict) and shape.keys() == PARTS
    before = text = to_json(shape, indent=2) + "\n"
    while True:
        text = _edit(command, text)
        if text == before:
            return arguments
        try:
            found = read_shape(text, in_parts=in_parts)
            check(found)
        except InvalidArguments as error:
            if not can_ask(session) or not agreed(session, f"{error.message}\nedit it again?", instead=""):
                raise
        else:
            return arguments if found == read_shape(before, in_parts=in_parts) else found


def find_editor(session: Session) -> list[str]:
    """The words of $VISUAL or $EDITOR, else a usual editor where a person sits. Raises `UsageError`."""
    environment = session.environment
    chosen = environment.get("VISUAL", "").strip() or environment.get("EDITOR", "").strip()
    if not chosen and can_ask(session):
        chosen = next((name for name in FALLBACKS if shutil.which(name)), "")
    if not chosen:
        raise UsageError('no editor is known: name one, such as EDITOR=nano or VISUAL="code --wait"')
    try:
        return shlex.split(chosen)
    except ValueError as error:
        raise UsageError(f"$VISUAL or $EDITOR cannot be understood: {chosen}: {error}") from None


def shaped(arguments: Arguments, parameters: Sequence[Parameter]) -> Json:
    """By name if all can be, else an array if all have a place, else both parts."""
    by_place = [parameter for parameter in parameters if parameter.kind.startswith("positional")]
    named = by_place[: len(arguments.positional)]
    if len(named) == len(arguments.positional) and all(one.kind != "positional_only" for one in named):
        by_name = {one.name: value for one, value in zip(named, arguments.positional, strict=True)}
        return {**by_name, **arguments.keyword}
    if not arguments.keyword:
        return list(arguments.positional)
    return {"positional": list(arguments.positional), "keyword": dict(arguments.keyword)}


def read_shape(text: str, *, in_parts: bool) -> Arguments:
    """The reverse of `shaped`. Raises `InvalidArguments`."""
    value: Any = parse_json(text, "the arguments")
    if in_parts and isinstance(value, dict) and value.keys() <= PARTS:
        positional, keyword = value.get("positional", []), value.get("keyword", {})
        if isinstance(positional, list) and isinstance(keyword, dict):
            return Arguments(positional=positional, keyword=keyword)
    elif isinstance(value, list):
        return Arguments(positional=value)
    elif isinstance(value, dict):
        return Arguments(keyword=value)
    raise InvalidArguments("the arguments must be an array (by place) or an object (by name)")


def _edit(command: Sequence[str], text: str) -> str:
    """What the person leaves of a text. Only they can read the file, and it is gone afterwards."""
    handle, name = tempfile.mkstemp(prefix="defer-arguments-", suffix=".json")
    file = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as draft:
            draft.write(text)
        code = subprocess.run([*command, name], check=False).returncode
        if code != 0:
            raise EditFailed(f"{command[0]} ended with code {code}: nothing was done")
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise EditFailed(
            f"{command[0]} cannot be used as an editor: {error.strerror}",
            hint="name another with $EDITOR or $VISUAL",
        ) from None
    except UnicodeDecodeError:
        raise EditFailed("what the editor has left is not UTF-8: nothing was done") from None
    finally:
        file.unlink(missing_ok=True)
