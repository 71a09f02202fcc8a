"""`defer run NAME --debug`: one execution in the foreground."""

from __future__ import annotations

import subprocess
from dataclasses import asdict, replace

from defer_cli.session import Session
from defer_client import __version__
from defer_client.errors import UnknownFunction
from defer_client.models import Arguments
from defer_emulator.foreground import Request, execute, run
from defer_emulator.generations import load_request
from defer_emulator.interpreter import WorkersUnavailable
from defer_emulator.project.finder import find_project
from defer_emulator.runner.loading import load_frame
from defer_emulator.store.rows import arguments_text


def run_in_foreground(session: Session, name: str, arguments: Arguments, metadata: dict[str, str]) -> int:
    """Run it here, or in the project's own Python, which takes the place of this process; the exit code.

    Raises `Conflict` when the function's limit is reached, `WorkersUnavailable`, `UnknownFunction`.
    """
    session.store  # noqa: B018 (says what is wrong where there is no project's file)
    request = _request(session, name, arguments, metadata)
    session.output.flush()
    interpreter = session.interpreter
    if not interpreter.is_own:
        _require_emulator(interpreter.path)
        execute(interpreter.path, request)
    return run(request)


def _request(session: Session, name: str, arguments: Arguments, metadata: dict[str, str]) -> Request:
    loaded = load_request(find_project(session.root, session.config), session.config)
    modules = [module for module in loaded.modules if module.function == name]
    if not modules:
        raise UnknownFunction(
            f"no function named {name!r} in {session.root}", hint="see what there is: defer functions"
        )
    frame = load_frame(session.root, replace(loaded, modules=modules[:1]), modules[:1])
    parent = session.environment.get("DEFER_EXECUTION_TOKEN", "").partition(".")[0]
    return Request(
        root=str(session.root),
        load=asdict(frame),
        arguments=arguments_text(arguments),
        metadata=metadata,
        parent=parent or None,
        as_json=not session.output.is_text,
    )


def _require_emulator(python: str) -> None:
    command = [python, "-c", "import defer_emulator.foreground"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        reason = (found.stderr.strip().splitlines() or ["it does not start"])[-1]
        raise WorkersUnavailable(
            f"the project's Python ({python}) cannot run an execution in the foreground: {reason}",
            hint=f"install it there: {python} -m pip install --no-deps defer-cli=={__version__}",
        )
