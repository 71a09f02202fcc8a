"""What a command works with: the project, its backend, the output. Everything is opened on first use."""

from __future__ import annotations

import os
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from defer_cli.output import Output, standard_output

if TYPE_CHECKING:  # `defer --help` and the like need none of these
    from defer_client.backend import Backend
    from defer_client.models import Call, Execution, Page, PageOf
    from defer_emulator.backend import LocalBackend
    from defer_emulator.config import Config
    from defer_emulator.domain.faults import Faults
    from defer_emulator.domain.functions import FunctionSpec
    from defer_emulator.interpreter import Interpreter
    from defer_emulator.operations import Operations, Search
    from defer_emulator.presence import Waker
    from defer_emulator.store.store import Store

T = TypeVar("T")


class Session:
    """One run of a command."""

    def __init__(self, output: Output, environment: Mapping[str, str], folder: Path) -> None:
        self.output = output
        self.environment = environment
        self.folder = folder  # where the command was typed
        self.project = environment.get("DEFER_PROJECT") or None  # --project
        self.python: str | None = None  # --python

    @classmethod
    def of_process(cls) -> Session:
        try:
            folder = Path.cwd()
        except FileNotFoundError:  # it was deleted
            folder = Path(os.environ.get("PWD", "/"))
        return cls(standard_output(), os.environ, folder)

    # --- where --------------------------------------------------------------------------------

    @property
    def start(self) -> Path:
        """The folder that `--project` names, else the current one. Raises `ProjectNotFound`."""
        start = self.folder / self.project if self.project is not None else self.folder
        if not start.is_dir():
            from defer_emulator.project.finder import ProjectNotFound

            raise ProjectNotFound(f"{start} is no folder", hint="name one that exists with --project")
        return start

    @cached_property
    def root(self) -> Path:
        """The project's root. Raises `ProjectNotFound`."""
        from defer_emulator.project.finder import find_root

        return find_root(self.start)

    @cached_property
    def config(self) -> Config:
        """Raises `ConfigError`."""
        from defer_emulator.config import Config

        config = Config.load(self.root, self.environment)
        return config if self.python is None else replace(config, python=self.python)

    @cached_property
    def interpreter(self) -> Interpreter:
        """The Python that runs the project's functions. Raises `ConfigError`, `WorkersUnavailable`."""
        from defer_emulator.interpreter import choose_python

        return choose_python(
            self.root, asked=self.python, configured=self.config.python, environment=self.environment
        )

    @property
    def endpoint(self) -> str:
        """The server that the environment names; "" where the project's own file is used."""
        environment = self.environment
        if self.project is not None or environment.get("DEFER_BACKEND") == "local":
            return ""
        token = environment.get("DEFER_EXECUTION_TOKEN", "")
        if token and environment.get("DEFER_TOKEN") == token:
            return ""  # inside an execution: that server is the emulator of this very file
        return environment.get("DEFER_ENDPOINT", "")

    # --- whom to ask --------------------------------------------------------------------------

    @cached_property
    def backend(self) -> Backend:
        """Raises `ProjectNotFound`, `StateFileError`."""
        if self.endpoint:
            from defer_client.http import HttpBackend

            return HttpBackend(self.endpoint, self.environment.get("DEFER_TOKEN", ""))
        return self.local

    @cached_property
    def local(self) -> LocalBackend:
        """The backend over the project's file. Raises `ProjectNotFound`, `StateFileError`."""
        from defer_emulator.backend import LocalBackend

        parent = self.environment.get("DEFER_EXECUTION_TOKEN", "").partition(".")[0]
        return LocalBackend(self.store, parent=parent or None, wake=self._wake)

    @cached_property
    def operations(self) -> Operations:
        """What only the project's file can do. Raises `ProjectNotFound`, `StateFileError`."""
        from defer_emulator.operations import LocalOperations

        return LocalOperations(self.store, wake=self._wake)

    def _wake(self) -> None:
        """Tell the emulator, where there is one, that something was written."""
        self._waker()

    @cached_property
    def _waker(self) -> Waker:
        from defer_emulator.presence import Waker

        return Waker(self.root)

    @cached_property
    def store(self) -> Store:
        """The project's file. Raises `ProjectNotFound`, `StateFileError`."""
        from defer_emulator.project.finder import ProjectNotFound
        from defer_emulator.store.store import Store

        if self.endpoint:
            raise ProjectNotFound(
                f"this needs the project's file, but DEFER_ENDPOINT={self.endpoint} is set",
                hint="run it in the project without DEFER_ENDPOINT, or with --project DIR",
            )
        if not self.has_file:
            raise ProjectNotFound(
                f"{self.root} has no folder .defer/ yet, where executions are kept",
                hint="create it with: defer init, or start the emulator with: defer dev",
            )
        return Store.open(self.root)

    @property
    def has_file(self) -> bool:
        """Whether the project has a file of executions."""
        return (self.root / ".defer").is_dir()

    def call(self, coroutine: Coroutine[Any, Any, T], *, waits: bool = False) -> T:
        """The answer of the backend or of operations. `waits`: it may suspend."""
        from defer_client.sync import run

        return run(coroutine, immediate=not (self.endpoint or waits))

    # --- what commands ask --------------------------------------------------------------------

    def enqueue(self, call: Call, faults: Faults | None = None) -> Execution:
        """Store a call. Where the project's file is at hand, a person may start a cron too, and ask for
        faults. Raises `ProjectNotFound` where they may not."""
        if self.endpoint and faults is None:
            return self.call(self.backend.enqueue(call))
        return self.call(self.local.enqueue(call, allow_cron=True, faults=faults))

    def resolve(self, text: str) -> str:
        """The id that a short form, `@last` or `@last-failed` means.

        Raises `ExecutionNotFound`, `AmbiguousId`.
        """
        if self.endpoint:
            from defer_cli.remote import resolve

            return self.call(resolve(self.backend, text))
        return self.call(self.operations.resolve_id(text))

    def search(self, page: Page, search: Search) -> PageOf[Execution]:
        if self.endpoint:
            from defer_cli.remote import find

            return self.call(find(self.backend, page, search))
        return self.call(self.operations.search(page, search))

    def children(self, execution_id: str, limit: int = 1_000) -> list[Execution]:
        """What an execution started, oldest first; a server gives the latest 1,000 at most."""
        if self.endpoint:
            from defer_client.models import ExecutionFilters, Page

            filters = ExecutionFilters(executed_by=execution_id)
            found = self.call(self.backend.list_executions(Page(first=1_000), filters))
            return list(reversed(found.data))
        return self.call(self.operations.children(execution_id, limit))

    def spec(self, function_name: str) -> FunctionSpec | None:
        """Of a function; None where it is gone, was never loaded, or a server alone knows it."""
        from defer_client.errors import DeferError

        if self.endpoint:
            return None
        try:
            return self.call(self.operations.find_function(function_name)).spec
        except DeferError:
            return None

    def now(self) -> datetime:
        """The emulator's clock."""
        if self.endpoint:
            return self.call(self.backend.now())
        from defer_emulator.clock import to_datetime

        return to_datetime(self.store.now())

    def server_runs(self) -> bool:
        """Whether somebody executes what is enqueued here."""
        if self.endpoint:
            return True
        from defer_emulator.presence import is_alive, read_presence

        return is_alive(read_presence(self.root))

    def version(self) -> int | None:
        """A number that changes when somebody else has written; None where that cannot be known."""
        return None if self.endpoint else self.store.data_version()
