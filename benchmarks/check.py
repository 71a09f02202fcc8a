"""How long `defer check` takes: `python -m benchmarks.check [FUNCTIONS]`, 500 if not said. Goal: a second.

Small functions of 6 lines, and those of 35 with a hundred files of an application that call them.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.startup import once

ROUNDS = 7
BODY = "".join(
    f"    v{n} = (await users(user)).get('k{n}', {n}) + {n}\n    if v{n} > 3:\n        print(v{n})\n"
    for n in range(9)
)


def write(root: Path, count: int, body: str, callers: int) -> None:
    (root / "defer").mkdir(parents=True)
    (root / "app").mkdir()
    for file in ("pyproject.toml", "defer/__init__.py", "app/__init__.py"):
        (root / file).touch()
    for number in range(count):
        function = f"@defer(concurrency=5)\nasync def f{number}(user: str, x: int = 3) -> None:\n{body}"
        helper = "async def users(user: str) -> dict[str, int]:\n    return {}\n"
        text = f"from defer_client import defer\n\n\n{function}\n\n{helper}"
        (root / "defer" / f"f{number}.py").write_text(text)
    for number in range(callers):
        names = [f"f{other % count}" for other in range(number, number + 10)]
        imports = "".join(f"from defer.{name} import {name}\n" for name in names)
        calls = "".join(f"    await {name}('a')\n" for name in names)
        (root / "app" / f"view{number}.py").write_text(f"{imports}\n\nasync def view() -> None:\n{calls}")


def main(count: int) -> None:
    for what, body, callers in (("small", "    ...\n", 0), ("usual", BODY, 100)):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "project"
            write(root, count, body, callers)
            times = [once(["check"], {}, root) for _ in range(ROUNDS)]
            wall, cpu = (statistics.median(values) for values in zip(*times, strict=True))
            print(f"defer check, {count} {what} functions {wall:8.0f} ms wall {cpu:8.0f} ms CPU", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
