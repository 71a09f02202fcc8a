"""Acting on one execution, on several, or on all that filters find."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import click
import typer
from click import UsageError

from defer_cli.asking import agreed
from defer_cli.filters import chosen, is_filtered, narrowed, nothing_found
from defer_cli.main import FAILED, OK, exit_code
from defer_cli.output import Output, to_json
from defer_cli.session import Session
from defer_cli.views import describe, executions_table
from defer_client.errors import DeferError
from defer_client.models import MAX_PAGE_SIZE, Execution, Page, State
from defer_client.wire import execution_to_json
from defer_emulator.operations import Search

Limit = Annotated[int | None, typer.Option("--limit", "-n", metavar="N", min=1, help="At most so many.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

NO_MORE = {"has_next_page": False, "has_prev_page": False, "start_cursor": "", "end_cursor": ""}
FEW = 20  # so many are listed on a terminal; more are counted
TOLD = 10  # failures that are told to a person, one by one

Action = Callable[[str], list[Execution]]
"""What is done to one id; the executions that it changed or made."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """One on which it could not be done."""

    id: str  # or what was given for one
    error: DeferError

    def to_json(self) -> dict[str, str]:
        error = self.error
        return {"id": self.id, "error": error.code, "message": error.message, "hint": error.hint}


@dataclass(kw_only=True, slots=True)
class Tally:
    """What has become of many."""

    matched: int
    changed: list[Execution] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    done: int = 0  # targets, each of which may have changed several

    def to_json(self) -> dict[str, Any]:
        return {"matched": self.matched, "done": self.done, "failed": len(self.failed)}


def act(
    ctx: click.Context,
    ids: Sequence[str],
    action: Action,
    *,
    verb: str,
    states: Sequence[State] = (),
    several: bool = False,
    limit: int | None = None,
    dry_run: bool = False,
    yes: bool = False,
) -> int:
    """Do it to the given ids, or, after asking, to what the filters find. Returns the exit code.

    `verb` is what the question asks, such as "cancel"; `states` are those in which it can succeed;
    `several`: one id may change more than one execution.
    Raises `UsageError` and, for a single id, what the action raises.
    """
    session: Session = ctx.obj
    ids = list(dict.fromkeys(ids))
    if not ids:
        if not is_filtered(ctx):
            raise UsageError(f"say what to {verb}: ids, or a filter such as --function or --state", ctx=ctx)
        return _by_filter(session, narrowed(chosen(ctx), states), action, verb, limit, dry_run, yes)
    if is_filtered(ctx):
        raise UsageError("give ids or filters, not both", ctx=ctx)
    if dry_run:
        found = [session.call(session.backend.get_execution(session.resolve(text))) for text in ids]
        return _preview(session, found, verb, Search())
    if len(ids) > 1:
        targets = resolve_all(session, ids)
        return _report(session, verb, perform(targets, action), len(targets))
    changed = action(session.resolve(ids[0]))
    if several and session.output.format == "json":
        _print_list(session, changed)
    else:
        _print_each(session, changed)
    return OK


def _by_filter(
    session: Session, search: Search, action: Action, verb: str, limit: int | None, dry_run: bool, yes: bool
) -> int:
    matching = find_all(session, search, limit)
    if dry_run:
        return _preview(session, list(matching)[::-1], verb, search)
    states: Counter[State] = Counter()
    targets: list[str] = []
    for execution in matching:  # all, before anything changes: that must not shift the pages
        states[execution.state] += 1
        targets.append(execution.id)
    if not targets:
        return _preview(session, [], verb, search)
    if len(states) > 1 and not yes:
        session.output.note(", ".join(f"{count:,} {state.value}" for state, count in states.most_common()))
    question = f"{verb} {_count(len(targets))}?"
    if not (yes or agreed(session, question, instead="add --yes, or look first with --dry-run")):
        session.output.note("nothing was done")
        return FAILED
    return _report(session, verb, perform(targets[::-1], action), len(targets))


def find_all(session: Session, search: Search, limit: int | None = None) -> Iterator[Execution]:
    """What matches, newest first."""
    left, cursor = limit, None
    while left is None or left > 0:
        size = MAX_PAGE_SIZE if left is None else min(MAX_PAGE_SIZE, left)
        page = session.search(Page(first=size, after=cursor), search)
        yield from page.data
        if not page.page_info.has_next_page:
            return
        cursor = page.page_info.end_cursor
        left = None if left is None else left - len(page.data)


def resolve_all(session: Session, ids: Iterable[str]) -> list[str | Failed]:
    """What they mean before anything changes, each once."""
    found: dict[str, str | Failed] = {}
    for text in ids:
        try:
            resolved = session.resolve(text)
            found[resolved] = resolved
        except DeferError as error:
            found[text] = Failed(id=text, error=error)
    return list(found.values())


def perform(targets: Iterable[str | Failed], action: Action) -> Iterator[list[Execution] | Failed]:
    """One after the other; one that fails does not stop the others."""
    for target in targets:
        if isinstance(target, Failed):
            yield target
            continue
        try:
            yield action(target)
        except DeferError as error:
            yield Failed(id=target, error=error)


def tally(results: Iterable[list[Execution] | Failed], total: int) -> Tally:
    """All of them, counted."""
    found = Tally(matched=total)
    for result in results:
        _count_in(found, result)
    return found


def _count_in(found: Tally, result: list[Execution] | Failed) -> None:
    if isinstance(result, Failed):
        found.failed.append(result)
    else:
        found.done += 1
        found.changed.extend(result)


# --- what is shown ---------------------------------------------------------------------------


def _count(number: int) -> str:
    return f"{number:,} execution{'s' * (number != 1)}"


def _preview(session: Session, found: Sequence[Execution], verb: str, search: Search) -> int:
    output = session.output
    if not output.is_text:
        _print_list(session, found)
    elif found:
        shown = found[:FEW] if output.is_terminal() else found
        executions_table(output, shown, session.now())
        if len(shown) < len(found):
            output.note(f"and {len(found) - len(shown):,} more", "dim")
    output.note(f"would {verb} {_count(len(found))}" if found else nothing_found(session, search))
    return OK


def _print_each(session: Session, executions: Sequence[Execution]) -> None:
    for execution in executions:
        if session.output.is_text:
            session.output.line(describe(session.output, execution))
        else:
            session.output.value(execution_to_json(execution))


def _print_list(session: Session, executions: Sequence[Execution], **rest: Any) -> None:
    session.output.rows([execution_to_json(execution) for execution in executions], page_info=NO_MORE, **rest)


def _report(session: Session, verb: str, results: Iterator[list[Execution] | Failed], total: int) -> int:
    """Tell of each as it comes, and the sum at the end, also after Ctrl-C. Returns the exit code."""
    output = session.output
    found, bar = Tally(matched=total), Bar(output, total)
    lists = output.format != "json" and (total <= FEW or not output.is_terminal())
    try:
        for result in results:
            _count_in(found, result)
            if isinstance(result, Failed):
                bar.clear()
                _tell_failure(output, found)
            elif lists:
                bar.clear()
                _print_each(session, result)
            bar.show(found.done + len(found.failed))
    finally:
        bar.leave()
        _sum_up(session, verb, found)
    return exit_code(found.failed[0].error) if found.failed else OK


def _tell_failure(output: Output, found: Tally) -> None:
    """A program gets all of them, a person the first ones."""
    error = found.failed[-1].error
    if output.is_text and len(found.failed) > TOLD:
        return
    output.error(error.code, error.message, error.hint)


def _sum_up(session: Session, verb: str, found: Tally) -> None:
    output, failed = session.output, len(found.failed)
    summary = found.to_json()
    if output.format == "json":
        failures = [failure.to_json() for failure in found.failed]
        _print_list(session, found.changed, summary=summary, failed=failures)
    elif output.format == "jsonl":
        output.note(to_json({"summary": summary}))
    else:
        left = found.matched - found.done - failed
        parts = [f"{found.done:,} done", *([f"{failed:,} failed"] if failed else [])]
        parts += [f"{left:,} not touched"] if left else []
        output.note(f"{verb}: {', '.join(parts)}")


class Bar:
    """How far it is, on a terminal: at once where there are many, else when it takes long."""

    WIDTH, EVERY = 30, 0.1  # characters; seconds

    def __init__(self, output: Output, total: int) -> None:
        self._err = output.err
        self._total = total
        self._live = output.is_terminal(output.err)
        self._next = time.monotonic() + (self.EVERY if total <= FEW else 0.0)
        self._text = ""  # what is on the screen now

    def show(self, done: int) -> None:
        if self._live and (time.monotonic() >= self._next or (self._text and done == self._total)):
            self._next = time.monotonic() + self.EVERY
            filled = self.WIDTH * done // self._total
            rest = "." * (self.WIDTH - filled)
            self._text = f"[{'#' * filled}{rest}] {done:,}/{self._total:,}"
            self._write(self._text)

    def clear(self) -> None:
        """Make room for a line of something else."""
        if self._text:
            self._write("")
            self._text = ""

    def leave(self) -> None:
        """Keep what it shows."""
        if self._text:
            self._write(f"{self._text}\n")

    def _write(self, text: str) -> None:
        self._err.write(f"\r{text}" if text.endswith("\n") else f"\r{text}\x1b[K")
        self._err.flush()
