"""`defer completion`: the script that teaches a shell our names."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from defer_cli.session import Session
from defer_cli.shells import SCRIPTS


class Shell(str, Enum):
    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def completion(
    ctx: typer.Context,
    shell: Annotated[Shell, typer.Argument(help="The shell.", show_default=False)],
) -> None:
    """Print the completion script of a shell; it offers live function names and recent ids.

    eval "$(defer completion bash)"     in ~/.bashrc
      eval "$(defer completion zsh)"      in ~/.zshrc
      defer completion fish > ~/.config/fish/completions/defer.fish
    """
    session: Session = ctx.obj
    script = SCRIPTS[shell.value]
    if session.output.is_text:
        session.output.out.write(script)
    else:
        session.output.value({"shell": shell.value, "script": script})
