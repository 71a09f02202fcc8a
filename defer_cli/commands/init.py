"""`defer init`: what a project needs, where it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import typer

from defer_cli.frameworks import Django, detect_framework, find_django
from defer_cli.session import Session
from defer_cli.settings_files import SettingsFiles
from defer_cli.templates import NewFile, files_of, write_new
from defer_client.errors import Conflict
from defer_emulator.config import Config
from defer_emulator.project.finder import (
    ProjectNotFound,
    TooManyFolders,
    find_folders,
    find_root,
    import_path,
)
from defer_emulator.store.store import Store

IGNORE_LINE = ".defer/"
CALLS = {
    "django": ("Django", 'in a view, call a function with say_hello.enqueue("Ada")'),
    "fastapi": ("FastAPI", 'in a route, call a function with await say_hello("Ada")'),
    "flask": ("Flask", 'in a view, call a function with say_hello.enqueue("Ada")'),
}


class InTheWay(Conflict):
    """There is something else where the folder of functions is to be."""

    code = "in_the_way"


@dataclass(slots=True)
class Done:
    """What `init` has done, and what it leaves to the person."""

    created: list[str] = field(default_factory=list)  # files and folders, relative to the root
    changed: dict[str, list[str]] = field(default_factory=dict)  # the settings added, by file
    to_do: list[str] = field(default_factory=list)


def init(ctx: typer.Context) -> None:
    """Prepare this folder: a defer/ package with an example, settings, and the file of executions.

    Nothing that exists is overwritten; what is missing is added. In a file that exists, such as
    pyproject.toml, lines are added, and all others stay as they are.

    defer init
      defer init --project ../shop
    """
    session: Session = ctx.obj
    root = session.start
    outer = _outer_project(root)
    config = Config.load(root, session.environment)
    django = find_django(root)
    framework = detect_framework(root)
    hooks = None if config.setup or config.after_fork or django is None else django.hooks
    folder = function_folder(root)
    settings = _settings(root, folder, hooks)
    done = Done(to_do=[f"add to {setting}" for setting in settings.refused])
    done.created += [*_prepare_folder(root, folder), *_prepare_hooks(root, django, hooks)]
    done.created += _prepare_state(root, config)
    _prepare_ignore(root, done)
    for change in settings.changes():
        change.write()
        name = change.path.relative_to(root).as_posix()
        if change.is_new:
            done.created.append(name)
        else:
            done.changed.setdefault(name, []).extend(change.settings)
    if django is not None and hooks is None and not config.setup:
        done.to_do.append('name what sets Django up in the configuration: setup = "module:function"')
    _tell(session, done, framework, outer)


def function_folder(root: Path, *, only: bool = False) -> Path:
    """The project's `defer/`; where there is none, the place for it: beside `manage.py`, or in `src/`.

    `only`: it must be clear which. Raises `ConfigError`, `InTheWay`, `TooManyFolders`.
    """
    config = Config.load(root, {})
    try:
        folders = find_folders(root, config)
        if only and len(folders) > 1 and not config.folders:
            raise TooManyFolders(root, folders)
        return folders[0]
    except ProjectNotFound:
        django, source = find_django(root), root / "src"
        if django is not None:
            folder = django.base / "defer"
        else:
            folder = source / "defer" if _is_src_layout(source) else root / "defer"
    if folder.exists() and not folder.is_dir():
        raise InTheWay(f"{folder} is no folder", hint="rename it: functions go into a folder of that name")
    return folder


def _is_src_layout(source: Path) -> bool:
    """A `src` folder that holds packages and is none itself."""
    return (
        source.is_dir()
        and not (source / "__init__.py").exists()
        and (any(source.glob("*/__init__.py")) or not any(source.glob("*.py")))
    )


def _outer_project(root: Path) -> Path | None:
    """The project that `root` has been a part of until now."""
    try:
        outer = find_root(root)
    except ProjectNotFound:
        return None
    return outer if outer in root.parents else None


def _settings(root: Path, folder: Path, hooks: tuple[Path, str] | None) -> SettingsFiles:
    settings = SettingsFiles(root)
    settings.need_own(None if hooks is None else hooks[1])
    start = import_path(folder).relative_to(root).as_posix()
    settings.need_pytest(start)
    settings.need_pyright(start)
    return settings


def _prepare_folder(root: Path, folder: Path) -> Iterator[str]:
    """The example only where there is no function yet."""
    is_new = not folder.is_dir() or not any(folder.rglob("*.py"))
    for file in files_of("init", folder, {}):
        if (is_new or file.path.name == "__init__.py") and write_new(file):
            yield file.path.relative_to(root).as_posix()


def _prepare_hooks(root: Path, django: Django | None, hooks: tuple[Path, str] | None) -> Iterator[str]:
    if django is None or django.settings is None or hooks is None:
        return
    (template,) = files_of("django", hooks[0].parent, {"settings_module": django.settings})
    if write_new(template):
        yield template.path.relative_to(root).as_posix()


def _prepare_state(root: Path, config: Config) -> Iterator[str]:
    is_new = not (root / ".defer" / "state.db").exists()
    Store.open(root, durability=config.durability).close()
    if is_new:
        yield ".defer/"


def _prepare_ignore(root: Path, done: Done) -> None:
    path = root / ".gitignore"
    if write_new(NewFile(path=path, text=IGNORE_LINE + "\n")):
        done.created.append(path.name)
        return
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    lines = {line.strip().removeprefix("**").strip("/") for line in text.splitlines()}
    if lines.isdisjoint({".defer", ".defer/*", ".defer/**"}):
        end = "" if not text or text.endswith("\n") else "\n"
        with path.open("a", encoding="utf-8") as stream:
            stream.write(f"{end}{IGNORE_LINE}\n")
        done.changed[path.name] = [IGNORE_LINE]


# --- what is said -----------------------------------------------------------------------------


def _tell(session: Session, done: Done, framework: str | None, outer: Path | None) -> None:
    root, output = session.start, session.output
    if not output.is_text:
        output.value(
            {
                "root": str(root),
                "created": done.created,
                "changed": done.changed,
                "to_do": done.to_do,
                "framework": framework,
            }
        )
        return
    for path in done.created:
        output.line(f"created {path}")
    for path, settings in done.changed.items():
        output.line(f"changed {path}: {', '.join(settings)}")
    if not (done.created or done.changed):
        output.line("everything is there already; nothing was changed")
    for what in done.to_do:
        output.note(f"to do   {what}", "yellow")
    if outer is not None:
        output.note(f"note    this folder is a project of its own now, apart from {outer}", "yellow")
    _next_steps(session, root, framework)


def _next_steps(session: Session, root: Path, framework: str | None) -> None:
    output = session.output
    folder = function_folder(root)
    example = "say_hello" if (folder / "say_hello.py").exists() else "NAME"
    if framework is not None:
        name, call = CALLS[framework]
        output.note(f"{name}: {call.replace('say_hello', example)}")
    output.note("")
    output.note("next:")
    output.note("  defer dev                the emulator: keep it open in a terminal of its own")
    output.note(f"  defer run {example:<15}enqueue an execution, from another terminal")
    output.note("  defer list               see what became of it")
