"""Copies of the example projects, and their web applications running."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.projects import TempProject, clean_environment, eventually

EXAMPLES = Path(__file__).parents[1] / "examples"


class ExampleProject(TempProject):
    """A copy of an example."""

    def __init__(self, name: str, root: Path) -> None:
        shutil.copytree(EXAMPLES / name, root, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        (root / ".defer").mkdir()
        self.root = root

    def shell(self, commands: str) -> str:
        """What these commands of a README print, with the `defer` of this environment."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-ec", commands],
            cwd=self.root,
            env=clean_environment() | {"PATH": path},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{commands}{done.stdout}{done.stderr}"
        return done.stdout

    def the_only(self, function: str, *states: str) -> dict[str, Any]:
        """The single execution of `function`, once it is in one of `states`."""

        def found() -> Any:
            rows = self.json("list", "--function", function)["data"]
            assert len(rows) <= 1, f"{function} was started more than once: {rows}"
            return rows and rows[0]["state"] in states and rows[0]

        execution: dict[str, Any] = eventually(found, f"{function} is {' or '.join(states)}")
        return execution


@contextmanager
def served(root: Path, app: str, port: int) -> Iterator[httpx.Client]:
    """The web application of the project at `root`, such as "shop.web:app", once it answers."""
    command = [sys.executable, "-m", "uvicorn", "--app-dir", "src", "--port", str(port), app]
    with (root / "web.log").open("w") as log:
        web = subprocess.Popen(command, cwd=root, env=clean_environment(), stdout=log, stderr=log)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
                eventually(lambda: _answers(client) or web.poll() is not None, f"{app} answers")
                assert web.poll() is None, (root / "web.log").read_text()
                yield client
        finally:
            web.terminate()
            web.wait(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/").status_code < 500
    except httpx.TransportError:
        return False
