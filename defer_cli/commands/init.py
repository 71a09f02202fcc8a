"""`defer init`: what a project needs, where it is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import typer
from click import UsageError

from defer_cli.session import Session
from defer_cli.templates import NewFile, files_of, write_new
from defer_emulator.config import Config
from defer_emulator.project.finder import ProjectNotFound, find_folders
from defer_emulator.store.store import Store

FRAMEWORKS = {
    "django": "Django: name the setup in the configuration, so that functions can use models: "
    'setup = "django:setup"',
    "fastapi": "FastAPI: call functions in your routes with await; a route answers before they run",
    "flask": "Flask: call functions in your views with .enqueue(...), which needs no event loop",
}
MANIFESTS = ("pyproject.toml", "requirements.txt", "requirements.in", "setup.cfg", "setup.py", "Pipfile")
IGNORE_LINE = ".defer/"


def init(ctx: typer.Context) -> None:
    """Prepare this folder: a defer/ package with an example, and the file of executions.

    Nothing that exists is overwritten; what is missing is added.
    """
    session: Session = ctx.obj
    root = session.start
    if not root.is_dir():
        raise UsageError(f"{root} is no folder")
    done = [*_prepare_folder(root), *_prepare_state(session, root), *_prepare_ignore(root)]
    framework = detect_framework(root)
    if not session.output.is_text:
        session.output.value({"root": str(root), "created": done, "framework": framework})
        return
    for path in done:
        session.output.line(f"created {path}")
    if not done:
        session.output.line("everything is there already; nothing was changed")
    _next_steps(session, root, framework)


def _prepare_folder(root: Path) -> Iterator[str]:
    """The example only where there is no function yet."""
    folder = function_folder(root)
    is_new = not folder.is_dir() or not any(folder.rglob("*.py"))
    for file in files_of("init", folder, {}):
        if (is_new or file.path.name == "__init__.py") and write_new(file):
            yield file.path.relative_to(root).as_posix()


def function_folder(root: Path) -> Path:
    """The project's `defer/`; where there is none, the place for it: `src/defer/` in a src layout."""
    try:
        return find_folders(root, Config.load(root, {}))[0]
    except ProjectNotFound:
        source = root / "src"
        return source / "defer" if _is_src_layout(source) else root / "defer"


def _is_src_layout(source: Path) -> bool:
    """A `src` folder that holds packages and is none itself."""
    return (
        source.is_dir()
        and not (source / "__init__.py").exists()
        and (any(source.glob("*/__init__.py")) or not any(source.glob("*.py")))
    )


def _prepare_state(session: Session, root: Path) -> Iterator[str]:
    is_new = not (root / ".defer" / "state.db").exists()
    Store.open(root, durability=Config.load(root, session.environment).durability).close()
    if is_new:
        yield ".defer/"


def _prepare_ignore(root: Path) -> Iterator[str]:
    path = root / ".gitignore"
    if write_new(NewFile(path=path, text=IGNORE_LINE + "\n")):
        yield ".gitignore"
        return
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    lines = {line.strip().strip("/") for line in text.splitlines()}
    if lines.isdisjoint({".defer", ".defer/*", ".defer/**"}):
        end = "" if not text or text.endswith("\n") else "\n"
        with path.open("a", encoding="utf-8") as stream:
            stream.write(f"{end}{IGNORE_LINE}\n")
        yield f"a line of .gitignore: {IGNORE_LINE}"


def detect_framework(root: Path) -> str | None:
    """The web framework that the project's manifests name, or a file that only it has."""
    if (root / "manage.py").is_file():
        return "django"
    for name in MANIFESTS:
        try:
            text = (root / name).read_text(encoding="utf-8", errors="replace").lower()
        except OSError:
            continue
        for framework in FRAMEWORKS:
            if re.search(rf"(?<![\w-]){framework}(?![\w-])", text):
                return framework
    return None


def _next_steps(session: Session, root: Path, framework: str | None) -> None:
    output = session.output
    if framework:
        output.note(FRAMEWORKS[framework])
    output.note("settings, when you need some, go into [tool.defer] of pyproject.toml, or into defer.toml")
    folder = function_folder(root)
    example = "say_hello" if (folder / "say_hello.py").exists() else "NAME"
    output.note("")
    output.note("next:")
    output.note("  defer dev                the emulator: keep it open in a terminal of its own")
    output.note(f"  defer run {example:<15}enqueue an execution, from another terminal")
    output.note("  defer list               see what became of it")
