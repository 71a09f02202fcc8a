"""`defer check --fix`: shows what would change, asks, writes it, and never loses a file."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from defer_cli.asking import agreed
from defer_cli.output import Output
from defer_cli.session import Session
from defer_cli.text import one_line
from defer_cli.views import hanging
from defer_client.errors import Conflict
from defer_emulator.project.edits import Change, difference, is_taken
from defer_emulator.project.fixes import Plan
from defer_emulator.project.sources import read_bytes

COLOURS = {"+": "green", "-": "red", "@": "cyan", "d": "bold", "r": "bold"}
"""Of the lines of a diff, by their first character."""


class FileChanged(Conflict):
    """A file is not what it was when the changes were planned."""


def offer(session: Session, plan: Plan, *, dry_run: bool, yes: bool) -> bool:
    """Show the changes and make them, if the person agrees: whether they were made.

    Raises `UsageError` where nobody can be asked, `FileChanged`, `OSError`.
    """
    output = session.output
    _show(output, session.root, plan)
    if not plan.changes:
        return False
    what = f"{_number(len(plan.fixes), 'fix')} in {_number(len(plan.changes), 'file')}"
    if dry_run:
        output.note(f"would make {what}")
        return False
    if not (yes or agreed(session, f"make {what}?", instead="add --yes, or only look with --dry-run")):
        output.note("nothing was changed")
        return False
    write(session.root, plan.changes)
    output.note(f"made {what}")
    return True


def _number(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "es" if what.endswith("x") else "s")


def _show(output: Output, root: Path, plan: Plan) -> None:
    """The diff: it is the result where text is wanted, else a note."""
    out = output.line if output.is_text else output.note
    for change in plan.changes:
        for line in difference(root, change):
            style = "" if line.startswith(("+++", "---")) else COLOURS.get(line[:1], "")
            out(one_line(line.rstrip("\r")) if output.is_terminal() else line, style)
    output.flush()
    notes = [(made.finding, f"{made.finding.code}: {made.note}") for made in plan.fixes if made.note]
    notes += [(finding, f"{finding.code} is left to you: {reason}") for finding, reason in plan.left]
    for finding, note in notes:
        for line in hanging(one_line(f"{finding.place}: {note}"), output.width, 2):
            output.note(line)


def write(root: Path, changes: Sequence[Change]) -> None:
    """Make the changes. All new contents are on the disk before the first file is replaced.

    Raises `FileChanged`, with nothing done, when a file has changed meanwhile or a name is taken; `OSError`.
    """
    drafts: dict[Path, Path] = {}
    try:
        for change in changes:
            _require_unchanged(root, change)
            if change.content != change.raw:
                drafts[change.path] = _draft(change)
        for change in changes:
            if change.path in drafts:
                drafts.pop(change.path).replace(change.path)
        for change in changes:
            if change.target != change.path:
                change.path.rename(change.target)
    finally:
        for draft in drafts.values():
            with contextlib.suppress(OSError):
                draft.unlink()


def _require_unchanged(root: Path, change: Change) -> None:
    name = change.path.relative_to(root).as_posix()
    if not change.path.is_file() or read_bytes(change.path) != change.raw:
        raise FileChanged(f"{name} has changed meanwhile: nothing was written", hint="run it again")
    target = change.target
    if target != change.path and is_taken(target, change.path):
        raise FileChanged(
            f"{target.relative_to(root).as_posix()} exists by now: nothing was written", hint="run it again"
        )


def _draft(change: Change) -> Path:
    """The new content beside the file, with its permissions."""
    handle, name = tempfile.mkstemp(prefix=f".{change.path.name}.", dir=change.path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(change.content)
        file.flush()
        os.fsync(file.fileno())
    draft = Path(name)
    draft.chmod(change.path.stat().st_mode & 0o7777)
    return draft
