"""What importing a project shows, in a process of its own that ends at once."""

from __future__ import annotations

import asyncio
import os

from defer_cli.session import Session
from defer_client import __version__
from defer_emulator.generations import imported, load_request
from defer_emulator.project.check import (
    CheckResult,
    Imported,
    Reading,
    check_reading,
    read_project,
    without_collections,
)
from defer_emulator.project.finder import Project, find_folders, find_project, load_project
from defer_emulator.runner.describe import describe_project
from defer_emulator.runner.loading import PoolOptions

SLOW = 2.0  # seconds of silence that a person may take for a hang


def check(session: Session, *, start_worker: bool = False) -> CheckResult:
    """All findings of `defer check`: from the source, and from importing it meanwhile.

    `start_worker`: see that a worker starts, too.
    Raises `ProjectNotFound`, `ConfigError`, `WorkersUnavailable`.
    """
    config = session.config
    project = load_project(session.root, find_folders(session.root, config))
    if not (project.files or start_worker):
        return check_reading(read_project(project), config)
    with without_collections():
        reading, shown = asyncio.run(_read_and_import(session, project, start_worker))
        return check_reading(reading, config, shown)


async def _read_and_import(
    session: Session, project: Project, start_worker: bool
) -> tuple[Reading, Imported]:
    importing = asyncio.create_task(_import(session, project, start_worker))
    await asyncio.sleep(0)  # it has started its process
    reading = await asyncio.to_thread(read_project, project)
    return reading, await importing


def import_project(session: Session) -> Imported:
    """The functions of the project. Raises `ProjectNotFound`, `TooManyFolders`, `WorkersUnavailable`."""
    return asyncio.run(_import(session, find_project(session.root, session.config)))


async def _import(session: Session, project: Project, start_worker: bool = False) -> Imported:
    """Import the files of the functions. Raises `WorkersUnavailable`."""
    config, interpreter = session.config, session.interpreter
    options = PoolOptions(
        root=session.root,
        python=interpreter.path,
        client="" if interpreter.is_own else __version__,
        project=f"check {os.getpid()}",  # no emulator of the project may take it for its own leftovers
        emulator_id=f"check {os.getpid()}",
        worker_start=config.worker_start,
    )
    load = describe_project
    if start_worker:
        from defer_emulator.runner.trial import try_worker as load
    loading = asyncio.create_task(load(options, load_request(project, config)))
    done, _ = await asyncio.wait([loading], timeout=SLOW)
    if not done and session.output.is_text:
        session.output.note(
            f"importing takes long; a file that needs more than {options.import_timeout:g} s is given up",
            "dim",
        )
    return imported(await loading)
