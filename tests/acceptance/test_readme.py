"""README.md does what it says: every block of it, from the wheel, in an empty environment."""

from __future__ import annotations

import ast
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from defer_cli.registry import COMMANDS
from tests.documents import Block, blocks, missing
from tests.projects import clean_environment, eventually

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).parents[2]
PATIENCE = 300  # seconds, for a block: one of them installs everything


class Reader:
    """Follows the page in an empty folder: one terminal for all blocks, a second one for `defer dev`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._dev: subprocess.Popen[bytes] | None = None
        self._dev_log = folder.parent / "dev.log"
        self._environment = {
            name: value
            for name, value in clean_environment().items()
            if name not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
        }
        # The environment that the tests run in has a `defer` too: this reader must not see it.
        inside = Path(sys.prefix) / "bin"
        folders = [entry for entry in self._environment["PATH"].split(os.pathsep) if Path(entry) != inside]
        base = Path(sys.base_prefix) / "bin"
        self._environment["PATH"] = os.pathsep.join([str(folder / ".venv" / "bin"), str(base), *folders])

    def follow(self, page: list[Block]) -> None:
        """Do what each block says, in order.

        A text block shows what the shell block before it has printed, else what `defer dev` has.
        """
        printed: str | None = None
        for block in page:
            if block.language == "python":
                self._write(block)
            elif block.language == "sh" and block.text.strip() == "defer dev":
                self._start_dev()
            elif block.language == "sh":
                printed = self._run(block)
            elif printed is not None:
                lacking = missing(block.text, printed)
                assert not lacking, f"README.md:{block.line}: not printed: {lacking}\n{printed}"
                printed = None
            elif self._dev is not None:
                self._see(block)

    def _run(self, block: Block) -> str:
        done = subprocess.run(
            ["bash", "-ec", block.text],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"README.md:{block.line}: exit code {done.returncode}\n{done.stdout}"
        return done.stdout

    def _write(self, block: Block) -> None:
        """A Python block begins with the name of its file."""
        name, _, _ = block.text.removeprefix("# ").partition("\n")
        assert name.endswith(".py"), f"README.md:{block.line}: the first line names no file"
        (self.folder / name).write_text(block.text, encoding="utf-8")

    def _start_dev(self) -> None:
        shown, terminal = pty.openpty()
        self._dev = subprocess.Popen(
            [self.folder / ".venv" / "bin" / "defer", "dev"],
            cwd=self.folder,
            env=self._environment,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        self._dev_log.touch()
        Thread(target=self._copy, args=(shown,), daemon=True).start()

    def _copy(self, shown: int) -> None:
        """What the second terminal shows, until its program has ended."""
        with self._dev_log.open("wb", buffering=0) as log, open(shown, "rb", buffering=0) as screen:
            while True:
                try:
                    log.write(screen.read(65_536))
                except OSError:  # how Linux says that a terminal is closed
                    return

    def _see(self, block: Block) -> None:
        try:
            eventually(lambda: not missing(block.text, self._dev_log.read_text()), "")
        except AssertionError:
            said = self._dev_log.read_text()
            lacking = missing(block.text, said)
            raise AssertionError(f"README.md:{block.line}: dev did not print: {lacking}\n{said}") from None

    def stop_dev(self) -> int | None:
        """Ctrl-C, as a reader ends it. Its exit code; None where it was never started."""
        if self._dev is None:
            return None
        self._dev.send_signal(signal.SIGINT)
        try:
            return self._dev.wait(15)
        finally:
            self._dev.kill()


def build_wheel(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    done = subprocess.run([*command, folder, ROOT], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_block_of_the_readme_does_what_the_page_says(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    build_wheel(folder)
    page = list(blocks(ROOT / "README.md"))
    reader = Reader(folder)
    try:
        reader.follow(page)
    finally:
        ended = reader.stop_dev()
    assert ended == 0


def test_every_python_block_of_the_guide_is_python() -> None:
    for block in blocks(ROOT / "docs" / "guide.md"):
        if block.language == "python":
            ast.parse(block.text, f"guide.md:{block.line}")


@pytest.mark.parametrize("name", ["README.md", "docs/guide.md"])
def test_every_command_that_a_page_names_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")

    named = set(re.findall(r"(?:`|^)defer ([a-z]+)", text, re.MULTILINE))

    assert named <= set(COMMANDS), named - set(COMMANDS)


@pytest.mark.parametrize("name", ["README.md", "docs/cli.md"])
def test_the_table_of_a_page_has_every_command(name: str) -> None:
    rows = re.findall(r"^\| (`.+?) \| ", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)

    listed = {word for row in rows for word in re.findall(r"`(?:defer )?([a-z]+)", row)}

    assert set(COMMANDS) <= listed, set(COMMANDS) - listed
