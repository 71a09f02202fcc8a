"""What the shell may offer after `defer`: commands, options, and the project's own names and ids.

A shell waits for each answer while somebody types, so that the usual ones import neither the commands nor
the library that reads their options.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from defer_cli.catalog import COMMANDS
from defer_cli.shells import Candidate, Line, answer, read_line

if TYPE_CHECKING:
    from defer_cli.session import Session

RECENT = 30  # executions that are offered
SHORTEST = 4  # characters of a beginning by which an id is looked for


def complete(session: Session, instruction: str) -> int:
    """Answer a shell, such as for `bash_complete`. Nothing may go wrong visibly: there is a half-typed line
    on the screen."""
    shell = instruction.partition("_")[0]
    try:
        line = read_line(shell, session.environment)
        found = quick(session, line)
        if found is None:
            found = thorough(session, line)
        session.output.out.write(answer(shell, line, found, session.environment) + "\n")
        session.output.flush()
    except Exception:
        return 1
    return 0


def quick(session: Session, line: Line) -> Sequence[Candidate] | None:
    """A command's name, the value of a filter, or words where no option is in the way; None where more has to
    be known."""
    words, current = line
    values = _of_filter(session, line)
    if values is not None:
        return values
    if current.startswith("-") or any(word.startswith("-") for word in words):
        return None
    if not words:
        return [Candidate(name, one.help) for name, one in COMMANDS.items() if name.startswith(current)]
    kind = COMMANDS[words[0]].words if words[0] in COMMANDS else ""
    if kind == "ids":
        return [Candidate(*pair) for pair in execution_ids(session, current)]
    if kind == "name" and len(words) == 1:
        return [Candidate(*pair) for pair in function_names(session, current)]
    return None


def _of_filter(session: Session, line: Line) -> Sequence[Candidate] | None:
    """The values of a filter, after its name and a space or `=`."""
    words, current = line
    if not words or words[0] not in COMMANDS or not COMMANDS[words[0]].filters or "--" in words:
        return None
    option, equals, start = current.partition("=")
    if not (equals and option.startswith("--")):
        option, equals, start = words[-1], "", current
    values = filter_values(session, option, start)
    if values is None:
        return None
    prefix = option + equals if equals else ""
    return [Candidate(prefix + value, text) for value, text in values]


def thorough(session: Session, line: Line) -> Sequence[Candidate]:
    """As the command's own parameters say."""
    from click.shell_completion import ShellComplete

    from defer_cli.registry import root_command

    shell = ShellComplete(root_command(), {"obj": session}, "defer", "")
    option, equals, _ = line.current.partition("=")
    prefix = f"{option}=" if equals and option.startswith("-") else ""
    return [
        Candidate(prefix + str(item.value), item.help or "", item.type)
        for item in shell.get_completions(line.words, line.current)
    ]


# --- what there is ------------------------------------------------------------------------------


def filter_values(session: Session, option: str, incomplete: str) -> list[tuple[str, str]] | None:
    """What may follow `--state` and the like; None for an option that takes anything."""
    if option == "--function":
        return function_names(session, incomplete)
    if option == "--executed-by":
        return execution_ids(session, incomplete)
    if option not in ("--state", "--error-code"):
        return None
    from defer_client.models import ErrorCode, State

    kind = State if option == "--state" else ErrorCode
    return [(member.value, "") for member in kind if member.value.startswith(incomplete)]


def function_names(session: Session, incomplete: str) -> list[tuple[str, str]]:
    """Each with a word about it. Nothing of the project is imported."""
    from defer_emulator.project.finder import find_project

    files = find_project(session.root, session.config).files
    return [(file.function, file.relative) for file in files if file.function.startswith(incomplete)]


def execution_ids(session: Session, incomplete: str) -> list[tuple[str, str]]:
    """The latest, in their short form; whole ones, where the beginning of one is typed."""
    names = [(name, "the latest") for name in ("@last", "@last-failed") if name.startswith(incomplete)]
    if incomplete.startswith("@"):
        return names
    found = _recent(session)
    short = [(id.replace("-", "")[-8:], text) for id, text in found]
    whole = [(id, text) for id, text in found if len(incomplete) >= SHORTEST and id.startswith(incomplete)]
    return [pair for pair in short if pair[0].startswith(incomplete)] or whole


def _recent(session: Session) -> list[tuple[str, str]]:
    """Ids and what they are, newest first."""
    if session.endpoint:
        from defer_client.models import Page
        from defer_emulator.operations import Search

        page = session.search(Page(first=RECENT), Search())
        return [(one.id, f"{one.function_name} {one.state.value}") for one in page.data]
    import sqlite3

    from defer_emulator.store.queries import SQL

    path = session.root / ".defer" / "state.db"
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        rows = connection.execute(SQL["recent"], {"limit": RECENT}).fetchall()
    finally:
        connection.close()
    return [(id, f"{function} {state}") for id, function, state in rows]


def parameter_options(session: Session, name: str, incomplete: str) -> list[tuple[str, str]]:
    """The parameters of a function as options of `defer run`. Its file is parsed, not imported."""
    from defer_cli.arguments import is_switch, option_name
    from defer_cli.functions import find_spec

    found = []
    for one in find_spec(session, name).parameters:
        if one.kind in ("positional_or_keyword", "keyword_only"):
            names = [one.name, *([f"no_{one.name}"] if is_switch(one) else [])]
            found += [(option_name(each), one.annotation or "") for each in names]
    return [(option, kind) for option, kind in found if option.startswith(incomplete)]
