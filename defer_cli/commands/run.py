"""`defer run`: enqueue one execution, and wait for it on request."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import click
import typer
from click.shell_completion import CompletionItem

from defer_cli.arguments import is_source, read_arguments, read_json
from defer_cli.faults import DeliverTwice, FailAttempt, KillAt, Slow, read_faults, tell_faults
from defer_cli.filters import split_pair
from defer_cli.functions import check_fit, find_parameters, find_spec
from defer_cli.parameters import FunctionName
from defer_cli.registry import WorkerCommand
from defer_cli.session import Session
from defer_client.durations import parse_duration
from defer_client.errors import ResultTimeout
from defer_client.models import Call, Execution, State
from defer_client.options import CallOptions, call_options
from defer_client.wire import execution_to_json
from defer_emulator.domain.faults import Faults
from defer_emulator.domain.ids import short_id

WORDS = "defer_cli.words"  # where the parsed command line keeps what belongs to the function
NAME = "defer_cli.name"  # and its name


class Command(WorkerCommand):
    """Keeps our own options, wherever they stand before `--`, apart from what belongs to the function."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own, before, after = split_words(args, self.get_params(ctx))
        words = before or after
        is_asked = "--help" in own or "-h" in own or ctx.resilient_parsing
        if before and before[0].startswith("-") and not is_asked:
            raise click.UsageError(f"the function's name comes before {before[0]}", ctx=ctx)
        ctx.meta[WORDS] = (before[1:], after if before else after[1:])
        ctx.meta[NAME] = next(iter(words), None)
        return super().parse_args(ctx, [*words[:1], *own])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The function's own options first."""
        from defer_cli.completing import parameter_options

        name = ctx.meta.get(NAME)
        found = [] if name is None else parameter_options(ctx.obj, name, incomplete)
        own = super().shell_complete(ctx, incomplete)
        return [*(CompletionItem(option, help=kind) for option, kind in found), *own]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Behind a function's name: what that function takes."""
        name = ctx.meta.get(NAME)
        if name is None:
            super().format_help(ctx, formatter)
            return
        from defer_cli.run_help import write_function

        write_function(formatter, find_spec(ctx.obj, name))
        records = [
            param.get_help_record(ctx) for param in self.get_params(ctx) if isinstance(param, click.Option)
        ]
        with formatter.section("Options of run"):
            formatter.write_dl([record for record in records if record])


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
    fail_attempt: FailAttempt = None,
    kill_at: KillAt = None,
    slow: Slow = None,
    deliver_twice: DeliverTwice = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Run it here and now: breakpoint() works, nothing times out.")
    ] = False,
) -> int:
    """Enqueue an execution of a function, and print its id.

    A word is text for a parameter annotated `str`, else JSON, else text.
      defer run send_welcome_email 7
      defer run send_welcome_email --user-id 7 --wait
      defer run add --json '[1, 2]' --delay 2h --metadata team=growth
      defer run echo -- --not-an-option
      defer run import_orders 7 --debug
      defer run import_orders --fail-attempt 1 --kill-at 2s --slow 500ms --deliver-twice --wait
      defer run send_welcome_email --help      what it takes
    """
    session: Session = ctx.obj
    if timeout is not None and not wait:
        raise click.UsageError("--timeout limits the wait: give --wait too", ctx=ctx)
    if session.python is not None and not debug:
        raise click.UsageError("--python goes with --debug: defer dev chooses for all others", ctx=ctx)
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
    faults = read_faults(fail_attempt, kill_at, slow, deliver_twice=deliver_twice)
    if debug:
        if delay or discard_after or timeout or faults:
            raise click.UsageError(
                "--debug runs it here and now: without a delay, a timeout or faults", ctx=ctx
            )
        from defer_cli.debugging import run_in_foreground

        return run_in_foreground(session, name, values, dict(options.metadata))
    execution = session.enqueue(
        Call(
            function_name=name,
            arguments=values,
            delay=options.delay,
            discard_after=options.discard_after,
            metadata=options.metadata,
        ),
        faults,
    )
    if wait:
        return _wait(session, execution, limit, faults)
    if session.output.is_text:
        session.output.line(execution.id)
        _say_when_nothing_runs(session, execution)
    else:
        session.output.value(execution_to_json(execution))
    return 0


def _wait(session: Session, execution: Execution, limit: float | None, faults: Faults | None) -> int:
    """Print the result; 1 when there is none. Raises `ResultTimeout`."""
    if not session.server_runs():
        session.output.note(
            f"no emulator runs here: {short_id(execution.id)} waits for one; start it with: defer dev"
        )
    later = f"the execution goes on; look later with: defer result {short_id(execution.id)}"
    try:
        outcome = session.call(session.backend.wait(execution.id, limit), waits=True)
    except ResultTimeout as error:
        error.hint = later
        raise
    except KeyboardInterrupt:
        session.output.note(later)
        raise
    if faults is not None:
        tell_faults(session, execution)
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
