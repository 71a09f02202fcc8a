"""The layers of the house: imports go downwards only, siblings never import each other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EMULATOR = ROOT / "emulator" / "defer_emulator"

# From the top down; what stands in one row are siblings.
LAYERS: list[set[str]] = [
    {"defer_cli"},
    {"defer_emulator.app", "defer_emulator.pytest_plugin"},
    {"defer_emulator.testing"},
    {"defer_emulator.generations", "defer_emulator.dev"},
    {"defer_emulator.web", "defer_emulator.scheduler"},
    {"defer_emulator.foreground"},
    {"defer_emulator.backend", "defer_emulator.operations"},
    {
        "defer_emulator.store",
        "defer_emulator.runner",
        "defer_emulator.project",
        "defer_emulator.notify",
        "defer_emulator.reload",
        "defer_emulator.wakeup",
    },
    {
        "defer_emulator.domain",
        "defer_emulator.clock",
        "defer_emulator.config",
        "defer_emulator.interpreter",
        "defer_emulator.lock",
        "defer_emulator.presence",
    },
    {"defer_client"},
]
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
# `open_backend` is what an application reaches for on its first use of a project's file.
ALLOWED_UPWARDS = {("defer_client.selection", "defer_emulator.backend")}


def modules() -> list[tuple[str, Path]]:
    found = []
    for base in (ROOT / "defer_client", ROOT / "defer_cli", EMULATOR):
        for path in base.rglob("*.py"):
            if "templates" in path.parts:
                continue
            parts = path.relative_to(base.parent).with_suffix("").parts
            found.append((".".join(parts).removesuffix(".__init__"), path))
    return found


def room_of(module: str) -> str | None:
    return next((room for room in LEVEL if module == room or module.startswith(room + ".")), None)


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


@pytest.mark.parametrize(("module", "path"), modules(), ids=lambda value: str(value).rpartition("/")[2])
def test_imports_go_downwards_only(module: str, path: Path) -> None:
    room = room_of(module)
    for name in imports_of(path):
        target = room_of(name)
        if module.startswith("defer_emulator.workers"):
            allowed = target in (None, "defer_client") or name.startswith(
                ("defer_emulator.runner.frames", "defer_emulator.workers")
            )
            assert allowed or name == "defer_emulator.runner", f"{module} (a worker) imports {name}"
        elif room is not None and target is not None and target != room:
            upwards = LEVEL[target] <= LEVEL[room]
            assert not upwards or (module, target) in ALLOWED_UPWARDS, f"{module} imports {name}"


def test_every_module_has_a_room() -> None:
    homeless = [
        module
        for module, _ in modules()
        if room_of(module) is None and module != "defer_emulator" and ".workers" not in module
    ]
    assert homeless == []
