"""Completion by the shells themselves, as far as they are installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from defer_cli.catalog import COMMANDS
from defer_cli.completing import quick, thorough
from defer_cli.output import Output
from defer_cli.session import Session
from defer_cli.shells import Line
from tests.acceptance.terminal import Terminal
from tests.projects import DEFER, TempProject, clean_environment

pytestmark = pytest.mark.acceptance

GREET = "async def greet(name: str, *, very_loud: bool = False) -> str:\n    return f'hello {name}'"
KILL_LINE = "\x15"  # Ctrl-U
BY_BASH = """
eval "$(defer completion bash)"
for line in "$@"; do
    COMP_LINE=$line COMP_POINT=${#line} COMPREPLY=()
    word=${line##*[ =]}
    _defer_completion defer "$word" x
    echo "${COMPREPLY[*]}"
done
"""
BY_FISH = "defer completion fish | source; for line in $argv; complete -C $line | string join ' '; end"
PATH = {"PATH": f"{Path(sys.executable).parent}:{clean_environment()['PATH']}"}


@pytest.fixture
def project(tmp_path: Path) -> TempProject:
    project = TempProject(tmp_path / "shop", {"greet": GREET, "add": "async def add() -> None: ..."})
    project.id = project.call("greet", "Ada")[-8:]  # type: ignore[attr-defined]
    return project


def offered(project: TempProject, *command: str) -> list[str]:
    done = subprocess.run(
        command, cwd=project.root, env=clean_environment() | PATH, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


LINES = {
    "defer resc": "reschedule",
    "defer run gr": "greet",
    "defer run greet --very": "--very-loud",
    "defer run greet --no-": "--no-very-loud",
    "defer show @last-": "@last-failed",
    "defer list --state suc": "succeed",
    "defer list --function a": "add",
    "defer completion z": "zsh",
    "defer dev --only gr": "greet",
}


def test_bash_completes_live_names_ids_and_values(project: TempProject) -> None:
    lines = [*LINES, "defer show ", "defer list --state=fa", "defer nosuch "]
    found = offered(project, "bash", "--norc", "-c", BY_BASH, "bash", *lines)
    assert found == [*LINES.values(), project.id, "failed", ""]  # type: ignore[attr-defined]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes_them_too(project: TempProject) -> None:
    for line, value in {**LINES, "defer list --state=fa": "--state=failed"}.items():
        (found, *_) = offered(project, "fish", "--no-config", "-c", BY_FISH, line)
        assert found.split("\t")[0] == value


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_completes_at_its_prompt(project: TempProject) -> None:
    shell = Terminal(project.root, "-f", program="zsh", **PATH, PS1="$ ", HOME=str(project.root))
    shell.shows("$ ")
    shell.type('eval "$(defer completion zsh)"; echo re""ady\n')
    shell.shows("ready")
    for line, value in LINES.items():
        shell.type(f"{line}\t")
        shell.shows(line.rpartition(" ")[0] + f" {value}")
        shell.type(KILL_LINE)
    shell.type("exit\n")
    shell.wait()


def test_bash_completes_at_its_prompt(project: TempProject) -> None:
    shell = Terminal(project.root, "--norc", "-i", program="bash", **PATH, PS1="$ ")
    shell.shows("$ ")
    shell.type('eval "$(defer completion bash)"; echo re""ady\n')
    shell.shows("ready")
    for line, value in {**LINES, "defer list --state=fa": "--state=failed"}.items():
        shell.type(line + "\t")
        shell.shows(line.rpartition(" ")[0] + f" {value}")
        shell.type(KILL_LINE)
    shell.type("exit\n")
    shell.wait()


def test_nothing_is_said_where_there_is_no_project(tmp_path: Path) -> None:
    done = subprocess.run(
        [DEFER],
        cwd=tmp_path,
        env=clean_environment() | {"_DEFER_COMPLETE": "bash_complete", "COMP_LINE": "defer show "},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_quick_answers_are_those_of_the_commands_themselves(project: TempProject, name: str) -> None:
    session = Session(Output(sys.stdout, sys.stderr, {}), {}, project.root)
    line = Line([name], "")
    found = quick(session, line)
    if COMMANDS[name].words:
        assert found
        assert [one.value for one in found] == [one.value for one in thorough(session, line)]
    else:
        assert found is None


@pytest.mark.parametrize("command", [name for name, entry in COMMANDS.items() if entry.filters])
@pytest.mark.parametrize(
    "typed",
    ["--state |", "--state su|", "--state=fa|", "--error-code |", "--function gr|", "--executed-by |"],
)
def test_the_values_of_filters_wait_for_no_command_and_are_those_it_takes(
    project: TempProject, command: str, typed: str
) -> None:
    session = Session(Output(sys.stdout, sys.stderr, {}), {}, project.root)
    *words, current = typed[:-1].split(" ")
    line = Line([command, *words], current)
    found = quick(session, line)
    assert found
    assert [(one.value, one.help) for one in found] == [
        (one.value, one.help) for one in thorough(session, line)
    ]


def test_what_takes_any_value_and_what_follows_two_dashes_is_left_to_the_command(
    project: TempProject,
) -> None:
    session = Session(Output(sys.stdout, sys.stderr, {}), {}, project.root)
    for words in (["list", "--since"], ["list", "--"], ["logs", "--", "--state"], ["dev", "--state"]):
        assert quick(session, Line(words, "")) is None
    assert quick(session, Line(["list"], "--sta")) is None
