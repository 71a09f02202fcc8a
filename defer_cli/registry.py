"""The commands: their names, what `--help` says of them, and how each is loaded when it is used."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any, NoReturn

import click
import typer
from click.shell_completion import CompletionItem
from typer.core import TyperCommand, TyperGroup

from defer_cli.output import FORMATS

HELP_OPTIONS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A command: the module below `defer_cli.commands` that has the function of its name."""

    section: str
    help: str  # one line
    module: str = ""  # "" where it is named as the command
    function: str = ""


COMMANDS = {
    "init": Entry(section="Start", help="Prepare this folder: a defer/ package with an example."),
    "new": Entry(section="Start", help="Add a background function, a cron or a workflow."),
    "check": Entry(section="Start", help="Find mistakes in the functions of this project."),
    "functions": Entry(section="Start", help="List the functions of this project."),
    "dev": Entry(section="Start", help="Run the emulator: executes what is enqueued, reloads on save."),
    "run": Entry(section="Run", help="Enqueue an execution of a function, and wait for it if you like."),
    "list": Entry(
        section="Look", help="List executions, newest first.", module="listing", function="listing"
    ),
    "show": Entry(section="Look", help="Show one execution on one screen."),
    "logs": Entry(section="Look", help="Show what an execution printed."),
    "result": Entry(section="Look", help="Print the result of an execution as JSON."),
    "attempts": Entry(section="Look", help="List the attempts of an execution."),
    "why": Entry(section="Look", help="Explain what an execution waits for, or what became of it."),
    "tree": Entry(section="Look", help="Show an execution and everything it started."),
    "reschedule": Entry(section="Act", help="Move the due time of executions."),
    "cancel": Entry(section="Act", help="Cancel executions, or abort running ones with --force."),
    "rerun": Entry(section="Act", help="Run executions again, as new ones."),
    "pause": Entry(section="Act", help="Start no more executions of a function, or of any."),
    "resume": Entry(section="Act", help="Start executions again.", module="pause", function="resume"),
    "cron": Entry(section="Project", help="Show the crons and when they fire next."),
    "clock": Entry(section="Project", help="Show, advance, freeze or reset the emulated clock."),
    "doctor": Entry(section="Project", help="Check this machine and this project."),
    "completion": Entry(section="Project", help="Print the completion script of a shell."),
}


NAME_WIDTH = max(map(len, COMMANDS))


class DeferCommand(TyperCommand):
    """A command that takes the global options too, and shows what its docstring gives as examples."""

    formats: tuple[str, ...] = ("text", "json", "jsonl")

    def get_help(self, ctx: click.Context) -> str:
        return super().get_help(ctx).replace("\\[", "[")  # typer escapes for a markup that is off

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend([*self.more_options(), *global_options(self.formats)])

    def more_options(self) -> list[click.Parameter]:
        """Options that several commands share. They keep their values in the context."""
        return []

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The first paragraph, then the rest as it was written: examples."""
        summary, _, rest = (self.help or "").partition("\n\n")
        formatter.write_paragraph()
        formatter.write_text(" ".join(summary.split()))
        if rest:
            formatter.write_paragraph()
            formatter.write(rest.rstrip() + "\n")

    def invoke(self, ctx: click.Context) -> Any:
        if ctx.obj.output.format not in self.formats:
            raise click.UsageError(
                f"--output {ctx.obj.output.format} is for check; take one of {', '.join(self.formats)}",
                ctx=ctx,
            )
        return super().invoke(ctx)


class RootGroup(TyperGroup):
    """Knows every command by name, and imports the module of the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return load(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS:
            _unknown_command(args[0], ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Without importing the commands."""
        options = click.Command.shell_complete(self, ctx, incomplete)
        names = [
            CompletionItem(name, help=entry.help)
            for name, entry in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return names + options

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, entry in COMMANDS.items():
            sections.setdefault(entry.section, []).append((name.ljust(NAME_WIDTH), entry.help))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)
        records = [param.get_help_record(ctx) for param in self.get_params(ctx)]
        with formatter.section("Options"):
            formatter.write_dl([record for record in records if record])


def load(name: str) -> click.Command:
    """Import a command's module and make it a command."""
    entry = COMMANDS[name]
    module = import_module(f"defer_cli.commands.{entry.module or name}")
    function: Callable[..., Any] = getattr(module, entry.function or name)
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, cls=getattr(module, "Command", DeferCommand), context_settings=dict(HELP_OPTIONS))(
        function
    )
    return typer.main.get_command(app)


@lru_cache(maxsize=1)
def root_command() -> click.Group:
    version = click.Option(
        ["--version", "-V"], is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
        help="Print the version and stop.",
    )  # fmt: skip
    return RootGroup(
        name="defer",
        help="Background functions and crons for Python, on your own machine.",
        params=[*global_options(FORMATS), version],
        rich_markup_mode=None,
        context_settings=dict(HELP_OPTIONS),
        no_args_is_help=False,
        invoke_without_command=True,
        callback=_without_command,
    )


def global_options(formats: tuple[str, ...]) -> list[click.Parameter]:
    """The options that may stand before and after a command's name."""
    return [
        click.Option(
            ["--output", "-o"], type=click.Choice(FORMATS), metavar="|".join(formats), is_eager=True,
            expose_value=False, callback=_set_output, help="How to print results.",
        ),
        click.Option(
            ["--project", "-C"], metavar="DIR", is_eager=True, expose_value=False, callback=_set_project,
            help="The project's folder, instead of the one around the current folder.",
        ),
    ]  # fmt: skip


def _set_output(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
    if value is not None:
        ctx.obj.output.format = value


def _set_project(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
    if value is not None:
        ctx.obj.project = value


def _show_version(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
    if value:
        from defer_client import __version__

        ctx.obj.output.line(f"defer {__version__}")
        ctx.exit()


@click.pass_context
def _without_command(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        ctx.obj.output.line(ctx.get_help())


def _unknown_command(word: str, ctx: click.Context) -> NoReturn:
    if word.startswith("-"):
        raise click.NoSuchOption(word, ctx=ctx)
    near = difflib.get_close_matches(word, COMMANDS, n=1)
    raise click.UsageError(
        f"there is no command {word!r}" + (f"; did you mean {near[0]!r}?" if near else ""), ctx=ctx
    )
