"""`defer run`: enqueue one execution, and wait for it on request."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import click
import typer

from defer_cli.arguments import is_source, read_arguments, read_json
from defer_cli.filters import split_pair
from defer_cli.functions import check_fit, find_parameters
from defer_cli.parameters import FunctionName
from defer_cli.registry import DeferCommand
from defer_cli.session import Session
from defer_client.durations import parse_duration
from defer_client.errors import ResultTimeout
from defer_client.models import Call, Execution, State
from defer_client.options import CallOptions, call_options
from defer_client.wire import execution_to_json
from defer_emulator.domain.ids import short_id

WORDS = "defer_cli.words"  # where the parsed command line keeps what belongs to the function


class Command(DeferCommand):
    """Keeps our own options, wherever they stand before `--`, apart from what belongs to the function."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own, before, after = split_words(args, self.get_params(ctx))
        words = before or after
        if before and before[0].startswith("-") and "--help" not in own and "-h" not in own:
            raise click.UsageError(f"the function's name comes before {before[0]}", ctx=ctx)
        ctx.meta[WORDS] = (before[1:], after if before else after[1:])
        return super().parse_args(ctx, [*words[:1], *own])


def split_words(
    args: Sequence[str], params: Sequence[click.Parameter]
) -> tuple[list[str], list[str], list[str]]:
    """Our own options with their values; the other words before `--`; those after it."""
    options = {text: param for param in params if isinstance(param, click.Option) for text in param.opts}
    own: list[str] = []
    before: list[str] = []
    queue = list(args)
    while queue:
        word = queue.pop(0)
        if word == "--":
            break
        name, equals, _ = word.partition("=")
        option = options.get(name if word.startswith("--") else word[:2])
        if option is None or word == "-":
            before.append(word)
            continue
        own.append(word)
        joined = bool(equals) if word.startswith("--") else len(word) > 2
        if not option.is_flag and not joined and queue:
            own.append(queue.pop(0))
    return own, before, queue


def run(
    ctx: typer.Context,
    name: FunctionName,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARGS]...", show_default=False, help="Its arguments, or --parameter value."),
    ] = None,
    json_source: Annotated[
        str | None,
        typer.Option("--json", metavar="JSON|@FILE|-", help="Arguments as an array or an object."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Wait, and print the result as JSON.")] = False,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="DURATION", help="Wait no longer than this.")
    ] = None,
    delay: Annotated[
        str | None, typer.Option("--delay", metavar="DURATION|TIME", help="Do not start before this.")
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option("--metadata", "-m", metavar="KEY=VALUE", help="Repeatable.")
    ] = None,
    discard_after: Annotated[
        str | None,
        typer.Option("--discard-after", metavar="DURATION|TIME", help="Discard it if not started by then."),
    ] = None,
) -> int:
    """Enqueue an execution of a function, and print its id.

    A word is text for a parameter annotated `str`, else JSON, else text.
      defer run send_welcome_email 7
      defer run send_welcome_email --user-id 7 --wait
      defer run add --json '[1, 2]' --delay 2h --metadata team=growth
      defer run echo -- --not-an-option
    """
    session: Session = ctx.obj
    if timeout is not None and not wait:
        raise click.UsageError("--timeout limits the wait: give --wait too", ctx=ctx)
    before, after = ctx.meta[WORDS]
    name, parameters = find_parameters(session, name)
    if json_source is None and is_source(before, after, session.folder):
        json_source, before = before[0], []
    if json_source is None:
        values = read_arguments(before, after, parameters)
    elif before or after:
        raise click.UsageError("give arguments as words or with --json, not both", ctx=ctx)
    else:
        values = read_json(json_source, sys.stdin, session.folder)
    check_fit(name, parameters, values)
    options = call_options(
        CallOptions(),
        delay=delay,
        discard_after=discard_after,
        metadata=dict(map(split_pair, metadata or ())),
    )
    limit = None if timeout is None else parse_duration(timeout, "--timeout").total_seconds()
    execution = session.enqueue(
        Call(
            function_name=name,
            arguments=values,
            delay=options.delay,
            discard_after=options.discard_after,
            metadata=options.metadata,
        )
    )
    if wait:
        return _wait(session, execution, limit)
    if session.output.is_text:
        session.output.line(execution.id)
        _say_when_nothing_runs(session, execution)
    else:
        session.output.value(execution_to_json(execution))
    return 0


def _wait(session: Session, execution: Execution, limit: float | None) -> int:
    """Print the result; 1 when there is none. Raises `ResultTimeout`."""
    if not session.server_runs():
        session.output.note(
            f"no emulator runs here: {short_id(execution.id)} waits for one; start it with: defer dev"
        )
    try:
        outcome = session.call(session.backend.wait(execution.id, limit), waits=True)
    except ResultTimeout as error:
        error.hint = f"the execution goes on; look later with: defer result {short_id(execution.id)}"
        raise
    state, failure = outcome.execution.state, outcome.failure
    if state is State.SUCCEED:
        session.output.value(outcome.result)
        return 0
    if failure is not None:
        text = f"{failure.name}: {failure.message}" if failure.message != failure.name else failure.name
        session.output.error("execution_failed", text, f"see defer show {short_id(execution.id)}")
    else:
        text = f"the execution was {state.value}, and has no result"
        session.output.error(f"execution_{state.value}", text, f"see defer show {short_id(execution.id)}")
    return 1


def _say_when_nothing_runs(session: Session, execution: Execution) -> None:
    if session.output.is_terminal() and not session.server_runs():
        session.output.note("no emulator runs here; it starts when one does: defer dev", "dim")
