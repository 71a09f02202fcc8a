"""The installed `defer` in a pseudo-terminal: whole screens at several widths, questions, live lists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from defer_cli.text import width
from tests.acceptance.terminal import Terminal
from tests.projects import TempProject

pytestmark = pytest.mark.acceptance

PLAIN = "async def {name}() -> None: ..."


@pytest.fixture
def project(tmp_path: Path) -> TempProject:
    names = ("greet", "compute_product_recommendations")
    project = TempProject(tmp_path / "shop", {name: PLAIN.format(name=name) for name in names})
    project.call("greet", "--delay", "2h30m")
    project.call("compute_product_recommendations")
    project.run("cancel", "@last")
    return project


def screen(project: TempProject, *words: str, columns: int = 80, **environment: str) -> str:
    """What a command shows, with ids and ages that differ each time replaced."""
    terminal = Terminal(project.root, *words, columns=columns, **environment)
    assert terminal.wait() == 0
    assert all(width(line) <= columns for line in terminal.text.splitlines())
    return re.sub(r"\b[0-9a-f]{8}\b", "deadbeef", re.sub(r"\b\d+s ago|now\b", "now", terminal.text))


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def test_a_list_at_40_columns(project: TempProject) -> None:
    assert lines(screen(project, "list", columns=40)) == [
        "ID        FUNCTION      STATE      WHEN",
        "deadbeef  compute_pro…  cancelled  now",
        "deadbeef  greet         created    in 2h",
    ]


@pytest.mark.parametrize("columns", [80, 200])
def test_a_list_at_80_and_200_columns(project: TempProject, columns: int) -> None:
    assert lines(screen(project, "list", columns=columns)) == [
        "ID        FUNCTION                         STATE      TRY  WHEN",
        "deadbeef  compute_product_recommendations  cancelled  -    now",
        "deadbeef  greet                            created    -    in 2h",
    ]


def test_states_are_coloured_unless_no_color_is_set(project: TempProject) -> None:
    coloured = Terminal(project.root, "list")
    coloured.wait()
    assert "\x1b[34mcreated\x1b[0m" in coloured.raw
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        plain = Terminal(project.root, "list", **environment)
        plain.wait()
        assert "\x1b" not in plain.raw


def test_a_pipe_gets_whole_names_and_no_colours(project: TempProject) -> None:
    text = project.run("list").stdout
    assert "compute_product_recommendations" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    "environment", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"HOME": "/nowhere"}]
)
def test_poor_surroundings_are_no_obstacle(project: TempProject, environment: dict[str, str]) -> None:
    assert "greet" in screen(project, "list", columns=40, **environment)


def test_a_bulk_command_asks(project: TempProject) -> None:
    no = Terminal(project.root, "cancel", "--function", "greet")
    no.shows("cancel 1 execution? [y/N]")
    no.type("n\n")
    assert no.wait() == 1
    assert "nothing was done" in no.text
    yes = Terminal(project.root, "cancel", "--function", "greet")
    yes.shows("[y/N]")
    yes.type("y\n")
    assert yes.wait() == 0
    assert len(project.json("list", "--state", "cancelled")["data"]) == 2


def test_a_watched_list_repaints_until_ctrl_c(project: TempProject) -> None:
    terminal = Terminal(project.root, "list", "--watch")
    terminal.shows("greet")
    project.call("greet", "--metadata", "a=b", "--delay", "9d12h")
    terminal.shows("in 9d")
    terminal.interrupt()
    assert terminal.wait() == 130
    assert "Traceback" not in terminal.text


def test_following_logs_ends_with_ctrl_c(project: TempProject) -> None:
    terminal = Terminal(project.root, "logs", "@last", "--follow")
    assert terminal.wait() == 0  # it was cancelled
    project.call("greet")
    terminal = Terminal(project.root, "logs", "@last", "--follow")
    terminal.shows("no emulator runs here")
    terminal.interrupt()
    assert terminal.wait() == 130
