"""The settings that a project needs, put where its tools look for them: what `defer init` changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from defer_cli.text_edits import EditRefused, ini_item, json_item, toml_comment, toml_item, toml_value
from defer_emulator.config import ConfigError

PYPROJECT = "pyproject.toml"
OWN = "tool.defer"
ABOUT = "All settings are optional; docs/guide.md lists them. For example: max_concurrency = 20"
PYTEST_TOML = ("pytest.toml", ".pytest.toml")
PYTEST_INI = ("pytest.ini", ".pytest.ini")  # count even when they are empty
PYTEST_SECTIONS = (("tox.ini", "pytest"), ("setup.cfg", "tool:pytest"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A file as it is to be. `settings` are the names of what was put in."""

    path: Path
    text: str
    settings: tuple[str, ...]
    is_new: bool

    def write(self) -> None:
        with self.path.open("x" if self.is_new else "w", encoding="utf-8", newline="") as file:
            file.write(self.text)


@dataclass(slots=True)
class _Draft:
    before: str | None  # None: there is no such file
    text: str
    settings: list[str] = field(default_factory=list)


class SettingsFiles:
    """Collects what is to change. Nothing is written here."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._drafts: dict[Path, _Draft] = {}
        self.refused: list[str] = []  # what the person has to put in, and where

    def changes(self) -> list[Change]:
        return [
            Change(path=path, text=draft.text, settings=tuple(draft.settings), is_new=draft.before is None)
            for path, draft in self._drafts.items()
            if draft.settings
        ]

    def need_own(self, hooks: str | None) -> None:
        """A table for our settings, with the hooks of a module where there is one."""
        own = "defer.toml" if (self._root / "defer.toml").is_file() else PYPROJECT
        table = "" if own == "defer.toml" else OWN
        if hooks is None:
            if table:
                self._edit(own, f"[{OWN}]", partial(toml_comment, table=table, comment=ABOUT))
            return
        for key, comment in (
            ("after_fork", "in each new worker"),
            ("setup", "before the functions are imported: they can use models"),
        ):
            value = f"{hooks}:{key}"
            edit = partial(toml_value, table=table, key=key, value=value, comment=comment)
            self._edit(own, f'{key} = "{value}"', edit)

    def need_pytest(self, folder: str) -> None:
        """`folder`, relative to the root, is a start of imports in tests. In the file that pytest reads."""
        name, section = self._pytest_file()
        what = f"pytest pythonpath {folder}"
        if name.endswith(".toml"):
            self._edit(name, what, partial(toml_item, table=section, key="pythonpath", item=folder))
        else:
            self._edit(name, what, partial(ini_item, section=section, key="pythonpath", item=folder))

    def need_pyright(self, folder: str) -> None:
        """The same for pyright, and for editors that run it."""
        what = f"pyright extraPaths {folder}"
        if (self._root / "pyrightconfig.json").is_file():
            self._edit("pyrightconfig.json", what, partial(json_item, key="extraPaths", item=folder))
            return
        table = (
            "tool.basedpyright" if "[tool.basedpyright]" in self._draft(PYPROJECT).text else "tool.pyright"
        )
        self._edit(PYPROJECT, what, partial(toml_item, table=table, key="extraPaths", item=folder))

    def _pytest_file(self) -> tuple[str, str]:
        """The file that pytest takes its settings from, and the table or section in it."""
        for name in PYTEST_TOML:
            if (self._root / name).is_file():
                return name, "pytest"
        for name in PYTEST_INI:
            if (self._root / name).is_file():
                return name, "pytest"
        text = self._draft(PYPROJECT).text
        if "[tool.pytest.ini_options]" in text:
            return PYPROJECT, "tool.pytest.ini_options"
        if "[tool.pytest]" in text:
            return PYPROJECT, "tool.pytest"
        for name, section in PYTEST_SECTIONS:
            if f"[{section}]" in self._draft(name).text:
                return name, section
        return PYPROJECT, "tool.pytest.ini_options"

    def _draft(self, name: str) -> _Draft:
        path = self._root / name
        if path not in self._drafts:
            before = _read(path)
            self._drafts[path] = _Draft(before=before, text=before or "")
        return self._drafts[path]

    def _edit(self, name: str, setting: str, edit: Callable[[str], str]) -> None:
        draft = self._draft(name)
        try:
            text = edit(draft.text)
        except EditRefused:
            self.refused.append(f"{name}: {setting}")
            return
        if text != draft.text:
            draft.text = text
            draft.settings.append(setting)


def _read(path: Path) -> str | None:
    """Raises `ConfigError` for what is no text."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise ConfigError("not valid UTF-8", file=path) from None
