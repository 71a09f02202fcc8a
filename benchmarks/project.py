"""A small project in a temporary folder, and a real `defer dev` over it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DEFER = str(Path(sys.executable).with_name("defer"))

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # nobody compiles the same files at every start

FUNCTIONS = {
    "noop": """
        async def noop() -> None:
            pass
    """,
    "started_at": """
        import time
        async def started_at() -> int:
            return time.time_ns()
    """,
    "echo": """
        async def echo(value: int) -> int:
            return value
    """,
    "fan_out": """
        import asyncio
        from defer_client import await_result
        from .echo import echo
        async def fan_out(width: int) -> int:
            return sum(await asyncio.gather(*(await_result(echo)(n) for n in range(width))))
    """,
    "version": """
        async def version() -> int:
            return 0
    """,
}


def write_function(root: Path, name: str, source: str) -> None:
    lines = [line.removeprefix("        ") for line in source.strip("\n").splitlines()]
    body = "\n".join(lines).strip() + f"\n\n\n{name} = defer({name})\n"
    (root / "defer" / f"{name}.py").write_text("from defer_client import defer\n" + body)


@contextmanager
def project() -> Iterator[Path]:
    """A folder with the functions above."""
    with tempfile.TemporaryDirectory(prefix="defer-bench-") as folder:
        root = Path(folder)
        (root / "defer").mkdir()
        (root / ".defer").mkdir()
        (root / "defer" / "__init__.py").write_text("")
        for name, source in FUNCTIONS.items():
            write_function(root, name, source)
        yield root


class Emulator:
    """A running `defer dev`."""

    def __init__(self, root: Path, *options: str) -> None:
        self.root = root
        self.begun = time.perf_counter()
        self._log = (root / "dev.log").open("w")
        self.process = subprocess.Popen(
            [DEFER, "dev", *options], cwd=root, stdout=self._log, stderr=subprocess.STDOUT
        )
        self.url = self._wait_until_ready()
        self.ready_after = time.perf_counter() - self.begun  # seconds

    def _wait_until_ready(self) -> str:
        presence = self.root / ".defer" / "emulator.json"
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                data = json.loads(presence.read_text())
                if data["pid"] == self.process.pid:
                    url: str = data["url"]
                    urllib.request.urlopen(f"{url}/health", timeout=1).close()
                    return url
            except (OSError, ValueError, KeyError, urllib.error.URLError):
                pass
            time.sleep(0.002)
        raise RuntimeError(f"defer dev did not get ready:\n{(self.root / 'dev.log').read_text()}")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=10)
        self._log.close()

    def __enter__(self) -> Emulator:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()


def use_project(root: Path) -> None:
    """Make this process an application of that project."""
    os.chdir(root)
    sys.path.insert(0, str(root))
