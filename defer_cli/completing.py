"""What the shell may offer after `defer`: commands, options, and the project's own names and ids."""

from __future__ import annotations

from click.shell_completion import get_completion_class, shell_complete

from defer_cli.registry import root_command
from defer_cli.session import Session
from defer_client.models import Page
from defer_emulator.domain.ids import short_id
from defer_emulator.operations import Search

RECENT = 30  # executions that are offered


def complete(session: Session, instruction: str) -> int:
    """Answer a shell. Nothing may go wrong visibly: there is a half-typed line on the screen."""
    try:
        return shell_complete(root_command(), {"obj": session}, "defer", "_DEFER_COMPLETE", instruction)
    except Exception:
        return 1


def script(shell: str) -> str:
    """What a shell has to run once: `bash`, `zsh` or `fish`."""
    kind = get_completion_class(shell)
    assert kind is not None, shell
    return kind(root_command(), {}, "defer", "_DEFER_COMPLETE").source()


def function_names(session: Session, incomplete: str) -> list[tuple[str, str]]:
    """Each with a word about it. Nothing of the project is imported."""
    from defer_emulator.project.finder import find_project

    files = find_project(session.root, session.config).files
    return [(file.function, file.relative) for file in files if file.function.startswith(incomplete)]


def execution_ids(session: Session, incomplete: str) -> list[tuple[str, str]]:
    """The latest, in their short form."""
    if incomplete.startswith("@"):
        return [(name, "") for name in ("@last", "@last-failed") if name.startswith(incomplete)]
    found = session.search(Page(first=RECENT), Search()).data
    return [
        (short_id(execution.id), f"{execution.function_name} {execution.state.value}")
        for execution in found
        if short_id(execution.id).startswith(incomplete)
    ]
