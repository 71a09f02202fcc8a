"""Real projects in temporary folders, and a real `defer` over them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

DEFER = str(Path(sys.executable).with_name("defer"))
PATIENCE = 20.0  # seconds until a real process is said not to do what it should


def eventually(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """The first true value of `condition`, asked again and again. Fails after `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience:g} s: {what}")
        time.sleep(0.01)


def clean_environment() -> dict[str, str]:
    """This process's environment without what would change where calls go or how output looks."""
    removed = ("DEFER_", "PYTEST_", "PYTHONDONTWRITEBYTECODE", "NO_COLOR", "FORCE_COLOR", "COLUMNS")
    return {name: value for name, value in os.environ.items() if not name.startswith(removed)}


def defer(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a `defer` command in a folder, to its end."""
    return subprocess.run(
        [DEFER, *words],
        cwd=folder,
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


class TempProject:
    """A project made of sources: `{"send_mail": "async def send_mail(): ..."}`.

    Each function is wrapped by `defer(...)` at the end of its file unless the source mentions `defer`.
    """

    def __init__(self, root: Path, functions: dict[str, str] | None = None) -> None:
        self.root = root
        (root / "defer").mkdir(parents=True, exist_ok=True)
        (root / ".defer").mkdir(exist_ok=True)
        (root / "defer" / "__init__.py").write_text("")
        for name, source in (functions or {}).items():
            self.write(name, source)

    def write(self, name: str, source: str) -> Path:
        body = textwrap.dedent(source).strip() + "\n"
        if "defer" not in body:
            body = f"from defer_client import defer\n\n\n{body}\n\n{name} = defer({name})\n"
        path = self.root / "defer" / f"{name}.py"
        path.write_text(body)
        return path

    def run(
        self, *arguments: str, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a `defer` command to its end."""
        done = subprocess.run(
            [DEFER, *arguments],
            cwd=self.root,
            env=clean_environment() | environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if check:
            assert done.returncode == 0, f"defer {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--output", "json").stdout)

    def call(self, name: str, *arguments: str) -> str:
        """Enqueue an execution; its id."""
        return self.run("run", name, *arguments).stdout.strip()

    def execution(self, execution_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.json("show", execution_id)
        return found

    def wait_for(self, execution_id: str, *states: str, patience: float = PATIENCE) -> dict[str, Any]:
        found: dict[str, Any] = eventually(
            lambda: (row := self.execution(execution_id))["state"] in states and row,
            f"{execution_id} is {' or '.join(states)}",
            patience,
        )
        return found

    def dev(self, *options: str, **environment: str) -> Dev:
        return Dev(self.root, options, environment)


class Dev:
    """A `defer dev` in a process of its own. Use it as a context manager: it is always ended."""

    def __init__(self, root: Path, options: tuple[str, ...], environment: dict[str, str]) -> None:
        self.root = root
        self._log = root / ".defer" / "dev.log"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [DEFER, "dev", *options],
                cwd=root,
                env=clean_environment() | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        return self.process.pid

    def ready(self) -> Dev:
        eventually(self._is_ready, f"defer dev gets ready; it printed:\n{self.output}")
        return self

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, f"defer dev ended:\n{self.output}"
        try:
            presence = json.loads((self.root / ".defer" / "emulator.json").read_text())
            if presence["pid"] != self.pid:
                return False
            self.url = presence["url"]
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, ValueError, KeyError):
            return False

    def says(self, text: str, patience: float = PATIENCE) -> None:
        eventually(lambda: text in self.output, f"{text!r} in the output, which is:\n{self.output}", patience)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def wait(self, timeout: float = PATIENCE) -> int:
        return self.process.wait(timeout)

    def descendants(self) -> list[int]:
        return descendants(self.pid)

    def __enter__(self) -> Dev:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(8)
            except subprocess.TimeoutExpired:
                self.kill()


def descendants(pid: int) -> list[int]:
    """All processes below `pid`."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            child, rest = stat.read_text().split(" (", 1)
            parent = int(rest.rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError):
            continue
        children.setdefault(parent, []).append(int(child))
    found, queue = [], [pid]
    while queue:
        for child_pid in children.get(queue.pop(), []):
            found.append(child_pid)
            queue.append(child_pid)
    return found


def is_alive(pid: int) -> bool:
    """Whether that process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (OSError, IndexError):
        return False
