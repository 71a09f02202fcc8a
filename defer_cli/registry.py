"""The commands: their names, what `--help` says of them, and how each is loaded when it is used."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any, NoReturn

import click
import typer
import typer.core
from click.shell_completion import CompletionItem
from typer.core import TyperArgument, TyperCommand, TyperGroup
from typer.utils import get_params_from_function

from defer_cli.advice import nearest
from defer_cli.catalog import COMMANDS
from defer_cli.output import FORMATS

typer.core.HAS_RICH = False  # with it, each help page would import it: 150 ms

HELP_OPTIONS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

NAME_WIDTH = max(map(len, COMMANDS))


class DeferCommand(TyperCommand):
    """A command that takes the global options too, and shows what its docstring gives as examples."""

    formats: tuple[str, ...] = ("text", "json", "jsonl")
    function: Callable[..., Any] | None = None  # what it runs

    def get_help(self, ctx: click.Context) -> str:
        return super().get_help(ctx).replace("\\[", "[")  # typer escapes for a markup that is off

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend([*self.more_options(), *global_options(self.formats)])

    def more_options(self) -> list[click.Parameter]:
        """Options that several commands share. They keep their values in the context."""
        return []

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Arguments, then options. Typer forgets what the arguments are for, with click from 8.5 on."""
        given = get_params_from_function(self.function) if self.function is not None else {}
        arguments, options = [], []
        for param in self.get_params(ctx):
            if isinstance(param, TyperArgument):
                text = given[param.name].default.help or "" if param.name in given else ""
                arguments.append((param.make_metavar(ctx=ctx), text))
            elif record := param.get_help_record(ctx):
                options.append(record)
        for title, records in (("Arguments", arguments), ("Options", options)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Paragraphs of text; examples as they were written."""
        for paragraph in (self.help or "").split("\n\n"):
            formatter.write_paragraph()
            if paragraph.startswith("defer ") or "\n  " in paragraph:
                for line in paragraph.splitlines():
                    formatter.write(f"  {line.strip()}\n")
            else:
                formatter.write_text(" ".join(paragraph.split()))

    def invoke(self, ctx: click.Context) -> Any:
        if ctx.obj.output.format not in self.formats:
            raise click.UsageError(
                f"--output {ctx.obj.output.format} is for check; take one of {', '.join(self.formats)}",
                ctx=ctx,
            )
        return super().invoke(ctx)


class WorkerCommand(DeferCommand):
    """One that starts workers: it takes the choice of their Python, for `Session.interpreter`."""

    def more_options(self) -> list[click.Parameter]:
        return [
            click.Option(
                ["--python"], metavar="PYTHON", expose_value=False, callback=_set_python,
                help="What runs the functions: a path, an environment or a version. [the project's .venv]",
            )
        ]  # fmt: skip


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
        formatter.write_paragraph()
        formatter.write_text("A new project: defer init, then defer dev. Examples: defer COMMAND --help.")


def load(name: str) -> click.Command:
    """Import a command's module and make it a command."""
    entry = COMMANDS[name]
    module = import_module(f"defer_cli.commands.{entry.module or name}")
    function: Callable[..., Any] = getattr(module, entry.function or name)
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, cls=getattr(module, "Command", DeferCommand), context_settings=dict(HELP_OPTIONS))(
        function
    )
    command = typer.main.get_command(app)
    if isinstance(command, DeferCommand):
        command.function = function
    return command


@lru_cache(maxsize=1)
def root_command() -> click.Group:
    version = click.Option(
        ["--version", "-V"], is_flag=True, expose_value=False, callback=_show_version,
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
            shell_complete=_folders,
            help="The project's folder, instead of the one around the current folder.",
        ),
    ]  # fmt: skip


def _folders(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(incomplete, type="dir")]


def _set_output(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
    if value is not None:
        ctx.obj.output.format = value


def _set_project(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
    if value is not None:
        ctx.obj.project = value


def _set_python(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
    """A path is meant from where the command was typed; a name and a version stay what they are."""
    if value is not None:
        path = ctx.obj.folder / value
        ctx.obj.python = str(path) if "/" in value or path.is_dir() else value


def _show_version(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
    if value:
        from defer_client import __version__

        output = ctx.obj.output
        if output.is_text:
            output.line(f"defer {__version__}")
        else:
            output.value({"version": __version__})
        ctx.exit()


@click.pass_context
def _without_command(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        ctx.obj.output.line(ctx.get_help())


def _unknown_command(word: str, ctx: click.Context) -> NoReturn:
    if word.startswith("-"):
        raise click.NoSuchOption(word, ctx=ctx)
    raise click.UsageError(f"there is no command {word!r}{nearest(word, COMMANDS)}", ctx=ctx)
