"""What importing a project shows, in a process of its own that ends at once."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from defer_cli.session import Session
from defer_emulator.project.check import CheckResult, Imported, check_project

if TYPE_CHECKING:
    from defer_emulator.project.finder import Project


def check(session: Session) -> CheckResult:
    """All findings of `defer check`: first from the source alone, then from importing it.

    Raises `ProjectNotFound`, `ConfigError`, `WorkersUnavailable`.
    """
    static = check_project(session.root, session.config)
    if not static.project.files:
        return static
    return check_project(session.root, session.config, import_files(session, static.project))


def import_project(session: Session) -> Imported:
    """The functions of the project. Raises `ProjectNotFound`, `TooManyFolders`, `WorkersUnavailable`."""
    from defer_emulator.project.finder import find_project

    return import_files(session, find_project(session.root, session.config))


def import_files(session: Session, project: Project) -> Imported:
    """Import the files of the functions. Raises `WorkersUnavailable`."""
    from defer_emulator.generations import imported, load_request
    from defer_emulator.runner.describe import describe_project
    from defer_emulator.runner.loading import PoolOptions

    config = session.config
    options = PoolOptions(
        root=session.root,
        python=config.python or sys.executable,
        project=f"check {os.getpid()}",  # no emulator of the project may take it for its own leftovers
        emulator_id=f"check {os.getpid()}",
        worker_start=config.worker_start,
    )
    return imported(describe_project(options, load_request(project, config)))
