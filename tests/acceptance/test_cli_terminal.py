"""The installed `defer` in a pseudo-terminal: whole screens at several widths, questions, live lists."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from defer_cli.text import width
from defer_client.models import State
from defer_emulator.domain.work import Completion, Limits, LogChunk
from defer_emulator.store.store import Store
from tests.acceptance.terminal import Terminal
from tests.projects import DEFER, PATIENCE, TempProject, clean_environment

pytestmark = pytest.mark.acceptance

PLAIN = "async def {name}() -> None: ..."


@pytest.fixture
def project(tmp_path: Path) -> TempProject:
    names = ("greet", "compute_product_recommendations")
    project = TempProject(tmp_path / "shop", {name: PLAIN.format(name=name) for name in names})
    with Store.open(project.root).write() as tx:  # so that ages are the same however slow the machine is
        tx.set_clock(offset=0, frozen_at=tx.now)
    project.call("greet", "--delay", "2h30m")
    project.call("compute_product_recommendations")
    project.run("cancel", "@last")
    return project


def screen(project: TempProject, *words: str, columns: int = 80, **environment: str) -> str:
    """What a command shows, with ids that differ each time replaced."""
    terminal = Terminal(project.root, *words, columns=columns, **environment)
    assert terminal.wait() == 0
    assert all(width(line) <= columns for line in terminal.text.splitlines())
    return re.sub(r"\b[0-9a-f]{8}\b", "deadbeef", terminal.text)


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


def test_many_have_a_bar_and_a_sum_instead_of_lines(project: TempProject) -> None:
    for _ in range(5):
        project.run("rerun", "--function", "greet", "--yes")
    terminal = Terminal(project.root, "cancel", "--state", "created")
    terminal.shows("[y/N]")
    terminal.type("y\n")
    assert terminal.wait() == 0
    count = re.search(r"cancel (\d+) executions\?", terminal.text)
    assert count is not None
    assert f"[{'#' * 30}] {count[1]}/{count[1]}" in terminal.text
    assert terminal.text.rstrip().endswith(f"cancel: {count[1]} done")
    assert "cancelled" not in terminal.text


def test_a_question_about_different_states_counts_them(project: TempProject) -> None:
    terminal = Terminal(project.root, "rerun", "--since", "1h")
    terminal.shows("rerun 2 executions? [y/N]")
    terminal.type("n\n")
    assert terminal.wait() == 1
    assert "1 cancelled, 1 created" in terminal.text


def test_a_watched_list_repaints_until_ctrl_c(project: TempProject) -> None:
    terminal = Terminal(project.root, "list", "--watch")
    terminal.shows("greet")
    project.call("greet", "--metadata", "a=b", "--delay", "9d12h")
    terminal.shows("in 9d")
    terminal.interrupt()
    assert terminal.wait() == 130
    assert "Traceback" not in terminal.text


def test_a_watched_list_writes_only_what_changed(project: TempProject) -> None:
    terminal = Terminal(project.root, "list", "--watch", NO_COLOR="1")
    terminal.shows("greet")
    before = len(terminal.raw)
    project.run("cancel", "--function", "greet", "--yes")
    terminal.shows("2 cancelled")
    terminal.type("q")
    assert terminal.wait() == 0
    new = terminal.raw[before:]
    assert "greet" in new
    assert "compute_product_recommendations" not in new
    assert terminal.raw.endswith("\x1b[?25h\x1b[?1049l")  # the cursor and the first screen are back


def test_a_watched_list_follows_the_size_of_its_terminal(project: TempProject) -> None:
    terminal = Terminal(project.root, "list", "--watch")
    terminal.shows("compute_product_recommendations")
    terminal.resize(40)
    terminal.shows("compute_pro…")
    terminal.process.terminate()
    assert terminal.wait() == 143
    assert terminal.raw.endswith("\x1b[?25h\x1b[?1049l")


def test_a_list_is_watched_line_by_line_where_nothing_can_be_repainted(project: TempProject) -> None:
    terminal = Terminal(project.root, "list", "--watch", TERM="dumb")
    terminal.shows("greet  created  in 2h")
    project.run("cancel", "--function", "greet", "--yes")
    terminal.shows("greet  cancelled")
    terminal.interrupt()
    assert terminal.wait() == 130
    assert terminal.raw.count("compute_product_recommendations") == 1
    assert "\x1b" not in terminal.raw
    command = [DEFER, "list", "--watch", "--output", "jsonl"]
    piped = subprocess.Popen(command, cwd=project.root, stdout=subprocess.PIPE, env=clean_environment())
    assert piped.stdout is not None
    rows = [json.loads(piped.stdout.readline()) for _ in range(2)]
    assert {row["state"] for row in rows} == {"cancelled"}
    piped.send_signal(signal.SIGINT)
    assert piped.wait(PATIENCE) == 130


def test_lines_of_many_executions_are_followed(project: TempProject) -> None:
    """Here the test plays the emulator."""
    terminal = Terminal(project.root, "logs", "--follow", "--function", "greet", "--grep", "hello|again")
    terminal.shows("no emulator runs here")
    store = Store.open(project.root)
    for message in ("hello \x1b[2Jone", "nothing", "again"):
        project.call("greet")
        with store.write() as tx:
            (running,) = tx.claim({"greet": Limits(concurrency=None, action="keep")}, 1, 1).started
            chunk = LogChunk(
                sequence=running.sequence, attempt=1, time=tx.now, stream="stdout", message=message
            )
            tx.append_logs([chunk])
            tx.settle([Completion(sequence=running.sequence, attempt=1, state=State.SUCCEED, result="null")])
        if message != "nothing":
            terminal.shows(message.replace("\x1b[2J", ""))
    store.close()
    terminal.interrupt()
    assert terminal.wait() == 130
    assert "nothing" not in terminal.text
    assert "\x1b[2J" not in terminal.raw


def test_following_logs_ends_with_ctrl_c(project: TempProject) -> None:
    terminal = Terminal(project.root, "logs", "@last", "--follow")
    assert terminal.wait() == 0  # it was cancelled
    project.call("greet")
    terminal = Terminal(project.root, "logs", "@last", "--follow")
    terminal.shows("no emulator runs here")
    terminal.interrupt()
    assert terminal.wait() == 130
