"""Arguments that several commands take."""

from __future__ import annotations

from typing import Annotated

import typer


def _ids(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    from defer_cli.completing import execution_ids

    return execution_ids(ctx.obj, incomplete)


def complete_names(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    from defer_cli.completing import function_names

    return function_names(ctx.obj, incomplete)


ExecutionId = Annotated[
    str, typer.Argument(metavar="ID", help="Its id, a short form, or @last.", autocompletion=_ids)
]
FirstId = Annotated[
    str, typer.Argument(metavar="A", help="An id, a short form, or @last.", autocompletion=_ids)
]
SecondId = Annotated[str, typer.Argument(metavar="B", help="The other one.", autocompletion=_ids)]
ExecutionIds = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ID]...",
        show_default=False,
        help="Ids, short forms or @last; or use filters.",
        autocompletion=_ids,
    ),
]
IdsThenTime = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ID]... [WHEN]", show_default=False, help="Ids, then the new time.", autocompletion=_ids
    ),
]
FunctionName = Annotated[
    str,
    typer.Argument(metavar="NAME", show_default=False, help="The function.", autocompletion=complete_names),
]
FunctionNameOrAll = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]",
        show_default=False,
        help="A function; all when left out.",
        autocompletion=complete_names,
    ),
]
