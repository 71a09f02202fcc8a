"""Which Python runs a project's functions. `defer` itself may be installed elsewhere (pipx, `uv tool`)."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from defer_client.errors import DeferError

ENVIRONMENT = ".venv"  # the project's, in its root


class WorkersUnavailable(DeferError):
    """The project's Python cannot be started, or cannot run functions."""

    code = "workers_unavailable"


@dataclass(frozen=True, kw_only=True, slots=True)
class Interpreter:
    """A Python, and how it came to be chosen."""

    path: str  # absolute; not resolved, because a link in an environment is what makes it that environment's
    why: str  # `the project's .venv`
    is_own: bool = False  # it runs this program, too

    def package_folders(self) -> tuple[Path, ...]:
        """Where its packages are installed."""
        if self.is_own:
            found = (Path(entry) for entry in sys.path)
            return tuple(entry for entry in found if entry.name in ("site-packages", "dist-packages"))
        prefix = Path(self.path).parent.parent
        return tuple(sorted(prefix.glob("lib/python3*/site-packages")))

    def described(self, root: Path, version: str) -> str:
        """`Python 3.12.1 at .venv/bin/python, the project's .venv`."""
        place = Path(self.path)
        shown = place.relative_to(root) if place.is_relative_to(root) else place
        return f"{f'Python {version}'.strip()} at {shown}, {self.why}"


def choose_python(
    root: Path,
    *,
    asked: str | None = None,
    configured: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Interpreter:
    """What was asked for (`--python`), else the configured one, else the project's `.venv`, else our own.

    `asked` and `configured` are a path of an interpreter or of a virtual environment (relative to the root),
    a name on the PATH, or a version such as "3.12". `environment` (variables) is only for telling that an
    active virtual environment was not taken. Raises `WorkersUnavailable`.
    """
    if asked is not None:
        return _at(_named(asked, root, "--python"), "as --python says")
    if configured is not None:
        return _at(_named(configured, root, "the setting `python`"), "as the configuration says")
    local = _of_project(root)
    if local is not None:
        return _at(local, f"the project's {ENVIRONMENT}")
    active = (environment or {}).get("VIRTUAL_ENV", "")
    why = "where defer is installed"
    if active and Path(active, "bin", "python").is_file() and not _is_own(Path(active, "bin", "python")):
        why += f" (for the active environment: --python {active})"
    return Interpreter(path=sys.executable, why=why, is_own=True)


def _at(path: Path, why: str) -> Interpreter:
    return Interpreter(path=str(path), why=why, is_own=_is_own(path))


def _is_own(path: Path) -> bool:
    """Whether an interpreter belongs to the environment that this program runs in."""
    folder = Path(os.path.realpath(path.parent))
    own = Path(sys.executable)
    if folder != Path(os.path.realpath(own.parent)):
        return False
    return sys.prefix != sys.base_prefix or os.path.realpath(path) == os.path.realpath(own)


def _named(text: str, root: Path, source: str) -> Path:
    place = Path(os.path.abspath(root / Path(text).expanduser()))  # noqa: PTH100 (`resolve` leaves the environment)
    if (place / "bin").is_dir():
        place = place / "bin" / "python"
    if place.is_file() and os.access(place, os.X_OK):
        return place
    name = f"python{text}" if re.fullmatch(r"3(\.\d+)?", text) else text
    found = None if os.sep in text else shutil.which(name)
    if found is None:
        raise WorkersUnavailable(
            f"{source} names {text!r}, and there is no such Python",
            hint="give the path of an interpreter or of a virtual environment, a name on the PATH, "
            "or a version such as 3.12",
        )
    return Path(os.path.abspath(found))  # noqa: PTH100


def _of_project(root: Path) -> Path | None:
    """The interpreter of the project's `.venv`. Raises `WorkersUnavailable` where it leads nowhere."""
    python = root / ENVIRONMENT / "bin" / "python"
    if python.is_file():
        return python
    if python.is_symlink():
        raise WorkersUnavailable(
            f"the project's {ENVIRONMENT} is broken: {python} leads to {os.path.realpath(python)}, "
            "which does not exist",
            hint=f"make it anew: python3 -m venv --clear {ENVIRONMENT}",
        )
    return None
