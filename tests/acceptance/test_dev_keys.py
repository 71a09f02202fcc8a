"""`defer dev` on a terminal: its keys, and the terminal afterwards."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.terminal import Terminal
from tests.projects import DEFER, TempProject, eventually

pytestmark = pytest.mark.acceptance

FUNCTIONS = {
    "greet": "async def greet(name: str = 'Ada') -> str:\n    return f'hello {name}'",
    "broken": "async def broken() -> None:\n    print('about to fail')\n    raise ValueError('no such user')",
}
READY = "press h for help"


@pytest.fixture
def project(tmp_path: Path) -> TempProject:
    return TempProject(tmp_path / "shop", FUNCTIONS)


@pytest.fixture
def dev(project: TempProject) -> Iterator[Terminal]:
    terminal = Terminal(project.root, "dev", "--port", "0")
    terminal.shows(READY)
    yield terminal
    terminal.process.kill()
    terminal.process.wait()


def press_until(terminal: Terminal, key: str, text: str) -> None:
    """One key after the other, as a person does whose terminal does not answer yet."""

    def shown() -> bool:
        terminal.type(key)
        pause = time.monotonic() + 0.3
        while time.monotonic() < pause:
            terminal.read_now()
        return text in terminal.text

    eventually(shown, f"{key} shows {text!r}")


def test_the_keys_do_what_the_help_says(project: TempProject, dev: Terminal) -> None:
    dev.type("h")
    for text in ("h  help", "o  open the console", "l  show the last failure", "q  quit"):
        dev.shows(text)
    dev.type("l")
    dev.shows("no execution has failed")
    dev.type("p")
    dev.shows("paused")
    assert all(row["paused"] for row in project.json("functions")["data"])
    waiting = project.call("greet")
    dev.type("p")
    dev.shows("resumed")
    project.wait_for(waiting, "succeed")
    failed = project.call("broken")
    dev.shows("ValueError: no such user")
    dev.type("l")
    dev.shows("| about to fail")
    dev.shows("press r to rerun it")
    dev.type("r")
    dev.shows(f"rerun of {failed[-8:]}")
    again = project.json("list", "--function", "broken", "--limit", "1")["data"][0]
    assert again["rerun_of"] == failed
    dev.type("o")
    dev.shows("the console is at http://127.0.0.1:")
    dev.type("c")
    eventually(lambda: dev.read_now() and "\x1b[2J" in dev.raw, "the screen is cleared")
    dev.type("q")
    assert dev.wait() == 0
    assert "stopped" in dev.text


def test_the_terminal_waits_for_what_is_printed_as_before(dev: Terminal) -> None:
    press_until(dev, "h", "h  help")
    for descriptor in (0, 1, 2):  # one file for all three, and for the shell
        status = Path(f"/proc/{dev.process.pid}/fdinfo/{descriptor}").read_text()
        flags = int(status.partition("flags:")[2].split()[0], 8)
        assert not flags & os.O_NONBLOCK, "what comes too fast would be lost"


def test_pasted_text_and_arrow_keys_are_no_keys(project: TempProject, dev: Terminal) -> None:
    dev.type("quit please")
    dev.type("\x1b[C")
    press_until(dev, "h", "h  help")  # what is read together with the text is part of it
    assert dev.process.poll() is None
    assert "quit please" not in dev.text, "keys are not echoed"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_the_terminal_is_as_it_was_whatever_ends_it(dev: Terminal, number: int) -> None:
    assert not dev.echoes
    dev.process.send_signal(number)
    eventually(lambda: dev.read_now() or dev.process.poll() is not None, "it ends")
    assert dev.process.wait(10) in (0, -signal.SIGQUIT)
    assert dev.echoes


def test_without_a_terminal_there_are_no_keys(project: TempProject) -> None:
    with project.dev("--port", "0").ready() as dev:
        dev.says("ready; Ctrl-C stops it")
        assert "\x1b" not in dev.output


def test_it_can_be_stopped_continued_and_sent_to_the_background(project: TempProject) -> None:
    shell = Terminal(project.root, "--norc", "-i", program="bash", PS1="$ ")
    shell.shows("$ ")
    shell.type(f"{DEFER} dev --port 0\n")
    shell.shows(READY)
    assert not shell.echoes
    shell.type("\x1a")
    shell.shows("Stopped")
    shell.type("bg; echo in the $((40 + 2))nd background\n")
    shell.shows("in the 42nd background")
    time.sleep(1.2)  # it looks whether it is in front each second
    shell.type("jobs; echo h\n")
    shell.shows("Running")
    assert "h  help" not in shell.text, "what is typed for the shell is no key"
    shell.type("fg\n")
    shell.shows("dev --port 0\n")
    press_until(shell, "h", "h  help")
    press_until(shell, "q", "stopped\n")
    shell.type("exit\n")
    assert shell.wait() == 0


def test_one_that_starts_in_the_background_goes_on(project: TempProject) -> None:
    shell = Terminal(project.root, "--norc", "-i", program="bash", PS1="$ ")
    shell.shows("$ ")
    shell.type(f"{DEFER} dev --port 0 &\n")
    shell.shows(READY)
    shell.type("jobs\n")
    shell.shows("Running")
    shell.type("kill %1; wait; exit\n")
    shell.wait()
    assert "Stopped" not in shell.text


def test_quiet_says_where_it_listens_and_what_fails(project: TempProject) -> None:
    with project.dev("--port", "0", "--quiet").ready() as dev:
        project.wait_for(project.call("greet"), "succeed")
        project.wait_for(project.call("broken"), "failed")
        dev.says("ValueError: no such user")
        dev.says("defer/broken.py:6 in broken")
    assert dev.url in dev.output
    assert "greet" not in dev.output
    assert "about to fail" not in dev.output
    assert project.run("dev", "--quiet", "--verbose", check=False).returncode == 2


def test_every_event_is_a_json_object_on_request(project: TempProject) -> None:
    with project.dev("--port", "0", "--output", "jsonl").ready() as dev:
        project.wait_for(project.call("broken"), "failed")
        dev.says('"failed"')
    events = [json.loads(line) for line in dev.output.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds[0] == "started"
    assert {"execution", "output", "stopped"} <= set(kinds)
    (failed,) = (event for event in events if event.get("state") == "failed")
    assert failed["failure"]["message"] == "no such user"
