"""The web framework of a project, as far as its files tell, and what Django needs beside that."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from defer_emulator.config import ConfigError, parse_toml
from defer_emulator.project.finder import walk

FRAMEWORKS = ("django", "fastapi", "flask")
REQUIREMENTS = (
    "requirements*.txt",
    "requirements*.in",
    "requirements/*.txt",
    "setup.cfg",
    "setup.py",
    "Pipfile",
)
MOST_FILES = 500  # whose imports are looked at
MOST_BYTES = 64 * 1024  # of each

_IMPORT = re.compile(rb"^\s*(?:from|import)\s+(django|fastapi|flask)\b", re.MULTILINE)
_SETTINGS = re.compile(r"""DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']""")


@dataclass(frozen=True, kw_only=True, slots=True)
class Django:
    """A Django project. `base` is the folder that its modules are imported from."""

    base: Path
    settings: str | None  # the settings' module; None where `manage.py` does not say it

    @property
    def hooks(self) -> tuple[Path, str] | None:
        """The file for the hooks, in the package of the settings, and the module that it is."""
        if self.settings is None:
            return None
        package = self.settings.partition(".")[0]
        if not (self.base / package).is_dir():
            return self.base / "defer_hooks.py", "defer_hooks"
        return self.base / package / "defer_hooks.py", f"{package}.defer_hooks"


def find_django(root: Path) -> Django | None:
    """The Django project in `root`, in its `src`, or in another folder of it."""
    folders = (root, root / "src", *sorted(path for path in root.glob("[!.]*") if path.is_dir()))
    for folder in folders:
        try:
            text = (folder / "manage.py").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        named = _SETTINGS.search(text)
        if named or "django" in text:
            return Django(base=folder, settings=named[1] if named else None)
    return None


def detect_framework(root: Path) -> str | None:
    """By `manage.py`, else what the project says it depends on, else what its files import."""
    if find_django(root) is not None:
        return "django"
    for found in (_declared(root), _imported(root)):
        for framework in FRAMEWORKS:
            if framework in found:
                return framework
    return None


def _declared(root: Path) -> set[str]:
    found = {_name(text) for text in _dependencies(root / "pyproject.toml")}
    for pattern in REQUIREMENTS:
        for file in root.glob(pattern):
            text = file.read_text(encoding="utf-8", errors="replace")
            lines = (line.partition("#")[0] for line in text.splitlines())
            found |= {_name(word) for line in lines for word in re.split(r"[\s,;\[\]()]+", line)}
    return found


def _dependencies(file: Path) -> Iterator[str]:
    """The requirements of a `pyproject.toml`, wherever its tools have them."""
    try:
        data = parse_toml(file, file.read_bytes())
    except (OSError, ConfigError):
        return
    project, tools = _table(data, "project"), _table(data, "tool")
    groups = [*_table(project, "optional-dependencies").values(), *_table(data, "dependency-groups").values()]
    for group in (project.get("dependencies"), *groups):
        yield from (text for text in group or () if isinstance(text, str))
    poetry = _table(tools, "poetry")
    yield from _table(poetry, "dependencies")


def _table(data: dict[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _name(requirement: str) -> str:
    """`"FastAPI[standard]>=0.100"` → `fastapi`."""
    match = re.match(r"[\s\"']*([A-Za-z0-9._-]+)", requirement)
    return match[1].lower() if match else ""


def _imported(root: Path) -> set[str]:
    found: set[str] = set()
    files = (path for _, paths in walk(root) for path in paths)
    for path in islice(files, MOST_FILES):
        try:
            with path.open("rb") as file:
                found |= {name.decode() for name in _IMPORT.findall(file.read(MOST_BYTES))}
        except OSError:
            continue
    return found
