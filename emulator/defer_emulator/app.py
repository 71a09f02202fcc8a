"""The only place that wires the emulator's objects together: the life of `defer dev`."""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import signal
from contextlib import closing
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from defer_client import __version__
from defer_client.errors import Conflict
from defer_emulator.backend import LocalBackend
from defer_emulator.config import Config, Retention
from defer_emulator.dev import DevInfo, DevOptions
from defer_emulator.domain.jobs import PoolListener
from defer_emulator.generations import Generations
from defer_emulator.interpreter import choose_python
from defer_emulator.lock import LockHeld, ProjectLock
from defer_emulator.notify.events import Bus, Trouble
from defer_emulator.operations import LocalOperations
from defer_emulator.operations.following import keep_up
from defer_emulator.operations.live import Live
from defer_emulator.presence import Presence, own_presence, read_presence, remove_presence, write_presence
from defer_emulator.project.finder import find_project
from defer_emulator.runner.faults import FaultInjector
from defer_emulator.runner.leftovers import end_leftovers
from defer_emulator.runner.loading import LoadResult, PoolOptions
from defer_emulator.runner.pool import ProcessPool
from defer_emulator.scheduler.loop import Scheduler
from defer_emulator.store.checkpoints import keep_checkpointing
from defer_emulator.store.shared_writes import SharedWrites
from defer_emulator.store.store import Store
from defer_emulator.wakeup import WakeSocket, remove_stale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from defer_emulator.operations.notifier import NotifierOptions, NotifierThread
    from defer_emulator.project.diagnostics import Diagnostic
    from defer_emulator.store.statistics import StatisticsReader
    from defer_emulator.web.server import Server


NOTIFIER_PATIENCE = 2.0  # seconds, at the end, for messages that are still to be sent
GARBAGE = 20_000  # objects after which a collection pays; each execution makes dozens that need none


class AlreadyRunning(Conflict):
    """Another emulator serves the project."""


def run_dev(root: Path, options: DevOptions) -> int:
    """Serve the project until a signal ends it; the exit code.

    Raises `AlreadyRunning`, `ConfigError`, `ProjectNotFound`, `TooManyFolders`, `StateFileError`,
    `PortTaken`, `WorkersUnavailable`.
    """
    config = _merged(Config.load(root, os.environ), options)
    find_project(root, config)  # before anything is written: where there is none, nothing is left behind
    lock = ProjectLock(root)
    try:
        lock.acquire()
    except LockHeld as held:
        raise _already_running(root, held.pid) from None
    try:
        store = Store.open(root, durability=config.durability)
        return uvloop.run(Emulator(root, config, options, store).serve())
    finally:
        lock.release()


def _merged(config: Config, options: DevOptions) -> Config:
    """The configuration with what the command line says instead."""
    return replace(
        config,
        host=options.host or config.host,
        port=config.port if options.port is None else options.port,
        token=options.token or config.token,
        allowed_hosts=(*config.allowed_hosts, *options.allowed_hosts),
        python=options.python or config.python,
    )


def _already_running(root: Path, pid: int) -> AlreadyRunning:
    presence = read_presence(root)
    where = f" at {presence.url}" if presence is not None and presence.pid == pid else ""
    return AlreadyRunning(
        f"defer dev already serves {root}{where}: process {pid}",
        hint=f"use that one, or stop it first: kill {pid}",
    )


class Emulator:
    """One life of an emulator, from the lock to the last process."""

    def __init__(self, root: Path, config: Config, options: DevOptions, store: Store) -> None:
        self._root = root
        self._config = config
        self._interpreter = choose_python(
            root, asked=options.python, configured=config.python, environment=os.environ
        )
        self._options = options
        self._store = store
        self._shared = SharedWrites(store)
        self._view = options.view
        self._notes: list[str] = []
        self._bus = Bus()
        self._live = Live()
        for listener in (self._view.event, self._live.event):
            self._bus.subscribe(listener)
        self._scheduler = Scheduler(
            store=store,
            pool=self._make_pool,
            bus=self._bus,
            backend_for=self._backend,
            max_concurrency=config.max_concurrency,
            only=options.only,
            debug=self._debug_ports(),
        )
        self._generations = Generations(
            root=root,
            config=config,
            pool=self._pool,
            scheduler=self._scheduler,
            bus=self._bus,
            on_diagnostics=self._show_findings,
        )
        self._is_ready = False
        self._url: str | None = None  # of the console
        self._notifier: NotifierThread | None = None
        if options.send_notifications:
            self._notifier_options()  # says at once why they cannot be
        self._beside: list[asyncio.Task[None]] = []  # what is done beside the scheduler

    def _make_pool(self, listener: PoolListener) -> FaultInjector:
        return FaultInjector(listener, self._make_process_pool, now=self._store.now)

    def _make_process_pool(self, listener: PoolListener) -> ProcessPool:
        self._pool = ProcessPool(
            listener,
            PoolOptions(
                root=self._root,
                python=self._interpreter.path,
                client="" if self._interpreter.is_own else __version__,
                project=self._store.project_id,
                emulator_id=secrets.token_hex(8),
                worker_start=self._config.worker_start,
                memory_limit=self._config.memory_limit,
                warm=min(2, self._config.max_concurrency),
            ),
            now=self._store.now,
            on_trouble=self._trouble,
        )
        return self._pool

    def _backend(self, parent: str | None = None) -> LocalBackend:
        return LocalBackend(
            self._store,
            parent=parent,
            wake=self._scheduler.poke,
            wake_later=self._scheduler.poke_later,
            shared=self._shared,
        )

    def _operations(self) -> LocalOperations:
        return LocalOperations(
            self._store,
            wake=self._scheduler.poke,
            live=self._live,
            reader=self._statistics,
            notifier=self._notifier_options,
        )

    @lru_cache(maxsize=1)  # noqa: B019 (there is one emulator in a process)
    def _statistics(self) -> StatisticsReader:
        from defer_emulator.store.statistics import StatisticsReader

        return StatisticsReader(Store.open(self._root))

    def _notifier_options(self) -> NotifierOptions:
        """Raises `NothingToSendTo`, `UnsafeAddress`."""
        from defer_emulator.operations.notifier import options_of

        return options_of(
            self._config.notifications,
            project=self._root.name,
            console=self._url,
            send=self._options.send_notifications,
            secrets=[self._config.token] if self._config.token else [],
        )

    def _show_findings(self, found: Sequence[Diagnostic]) -> None:
        self._view.diagnostics(found)
        self._live.diagnostics(found)

    # --- life -----------------------------------------------------------------------------

    async def serve(self) -> int:
        """From the first process to the last; returns the exit code."""
        self._loop = asyncio.get_running_loop()
        stop = Stop()
        stop.listen()
        end_leftovers(self._store.project_id)
        if (old := read_presence(self._root)) is not None:
            remove_stale(old.socket)
        self._prepare_retention()
        try:
            await self._pool.open()
            self._scheduler.recover()
            if (started := await self._start(stop)) is not None:
                with closing(WakeSocket()) as wake:  # not before: what a kill leaves, only its note names
                    await self._serve(stop, wake, *started)
        finally:
            self._generations.close()
            for task in self._beside:
                task.cancel()
            remove_presence(self._root)
            await self._pool.close()
            self._scheduler.close()
            if self._notifier is not None:
                self._notifier.close(NOTIFIER_PATIENCE)
        self._view.stopped()
        return 0

    async def _serve(self, stop: Stop, wake: WakeSocket, server: Server, loaded: LoadResult) -> None:
        """From the first execution that may start to the last answer."""
        wake.listen(self._scheduler.poke, self._scheduler.poke_later)
        write_presence(self._root, self._presence(server, wake))
        self._is_ready = True
        gc.freeze()  # what was imported stays: a collection need not look at it again and again
        gc.set_threshold(GARBAGE)
        await self._show(server, loaded)
        self._scheduler.start()
        self._generations.check(loaded)
        self._beside += [
            asyncio.create_task(keep_up(self._statistics)),
            asyncio.create_task(keep_checkpointing(self._store)),
        ]
        self._notify()
        self._keep()
        await self._follow_changes_until(stop)
        await self._drain(stop)
        await server.close()

    def _debug_ports(self) -> dict[str, int]:
        """Raises `DebuggerMissing`, `DebugPortTaken`."""
        if not self._options.debug:
            return {}
        from defer_emulator.runner.debugging import HOST, debug_ports, require_debugger

        require_debugger(self._interpreter.path)
        ports = debug_ports(self._options.debug, self._options.debug_port)
        for name, port in ports.items():
            self._notes.append(f"executions of {name} wait for a debugger to attach to {HOST}:{port}")
        self._notes.append("no execution times out while functions are debugged")
        return ports

    def _prepare_retention(self) -> None:
        if self._config.retention != Retention():
            from defer_emulator.operations.retention import described, prepare

            self._notes.append(described(self._config.retention, rewritten=prepare(self._store)))

    def _keep(self) -> None:
        """Delete beside the scheduler what the retention does not keep."""
        if self._config.retention != Retention():
            from defer_emulator.operations.retention import keep

            keeping = keep(self._root, self._config.retention, on_trouble=self._trouble)
            self._beside.append(asyncio.create_task(keeping))

    def _trouble(self, message: str, hint: str = "") -> None:
        self._bus.publish(Trouble(message=message, hint=hint))

    def _notify(self) -> None:
        """Tell of failures, from now on and since the last time."""
        from defer_emulator.operations.notifier import Notifier, NotifierThread

        options = self._notifier_options()
        self._notifier = NotifierThread(
            lambda: Notifier(Store.open(self._root), options), on_trouble=self._trouble_elsewhere
        )
        self._bus.subscribe(self._notifier.event)
        self._notifier.start()

    def _trouble_elsewhere(self, message: str) -> None:
        """In another thread."""
        self._loop.call_soon_threadsafe(self._trouble, message)

    def _presence(self, server: Server, wake: WakeSocket) -> Presence:
        return own_presence(
            server.url,
            str(wake.path),
            max_concurrency=self._config.max_concurrency,
            only=self._options.only,
        )

    async def _start(self, stop: Stop) -> tuple[Server, LoadResult] | None:
        """Import the project in its process while this one imports the web layer; None when a signal comes
        first, for an import may hang."""
        loading = asyncio.create_task(self._generations.load_first())
        asked = asyncio.create_task(stop.asked.wait())
        try:
            await asyncio.sleep(0)  # else it would begin only after the imports of this process
            server = await self._start_server()
            await asyncio.wait({loading, asked}, return_when=asyncio.FIRST_COMPLETED)
            if loading.done():
                return server, loading.result()
            await server.close()
            return None
        finally:
            loading.cancel()
            asked.cancel()

    async def _start_server(self) -> Server:
        from defer_emulator.web.app import create_app
        from defer_emulator.web.security import generate_token, is_loopback
        from defer_emulator.web.server import DEFAULT_PORT, Server, address_of, bind
        from defer_emulator.web.settings import WebSettings

        config = self._config
        if config.token is None and not is_loopback(config.host):
            config = self._config = replace(config, token=generate_token())
            self._notes.append(f"it listens beyond this machine: requests need the token {config.token}")
        listener = bind(config.host, config.port)
        self._url = address_of(listener)
        port = listener.getsockname()[1]
        if config.port is None and port != DEFAULT_PORT:
            self._notes.append(f"port {DEFAULT_PORT} is taken, so it listens on {port}")
        settings = WebSettings(
            project=self._root.name,
            version=__version__,
            host=config.host,
            token=config.token,
            allowed_hosts=config.allowed_hosts,
            root=self._root,
            max_concurrency=config.max_concurrency,
        )
        backend = self._backend()
        app = create_app(
            backend,
            self._operations(),
            settings,
            parent_of=self._pool.execution_of,
            backend_for=self._backend,
            is_ready=lambda: self._is_ready,
            start=partial(backend.enqueue, allow_cron=True),
        )
        server = Server(app, listener)
        self._pool.endpoint = server.url
        await server.start()
        return server

    async def _show(self, server: Server, loaded: LoadResult) -> None:
        if loaded.unforkable is not None:
            self._notes.append(f"workers are started afresh, not forked: {loaded.unforkable}")
        if self._options.only:
            self._notes.append(f"only {', '.join(self._options.only)} runs; all others queue")
        operations = self._operations()
        functions = await operations.functions()
        missing = set(self._options.only) - {one.spec.name for one in functions if one.status != "removed"}
        self._notes += [f"there is no function {name!r} yet" for name in sorted(missing)]
        self._view.started(
            DevInfo(
                root=self._root,
                url=server.url,
                pid=os.getpid(),
                version=__version__,
                functions=functions,
                clock=await operations.clock(),
                token=self._config.token,
                python=self._interpreter.described(self._root, loaded.python),
                notes=self._notes,
            )
        )
        if self._options.open_console:
            import webbrowser

            webbrowser.open(server.url)

    async def _follow_changes_until(self, stop: Stop) -> None:
        from defer_emulator.reload import watch

        async def follow() -> None:
            is_first = True
            try:
                async for changed in watch(self._root, self._root / self._config.env_file):
                    if changed:
                        await self._generations.reload(changed)
                    else:
                        await self._generations.catch_up(at_start=is_first)
                    is_first = False
            except Exception as error:  # the operating system's limit of watches, for example
                message = f"saved files are not noticed any more: {type(error).__name__}: {error}"
                self._trouble(message, "restart defer dev to run new code")

        following = asyncio.create_task(follow())
        await stop.asked.wait()
        following.cancel()
        await asyncio.wait({following})

    async def _drain(self, stop: Stop) -> None:
        """Let what runs finish, until a second signal."""
        if stop.at_once.is_set():
            return
        if self._scheduler.running_count:
            self._view.stopping(self._scheduler.running_count)
        draining = asyncio.create_task(self._scheduler.drain(self._view.stopping))
        impatient = asyncio.create_task(stop.at_once.wait())
        await asyncio.wait({draining, impatient}, return_when=asyncio.FIRST_COMPLETED)
        for task in (draining, impatient):
            task.cancel()


class Stop:
    """What the signals ask for: Ctrl-C once drains, twice is a crash; SIGTERM and SIGHUP do not drain."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.at_once = asyncio.Event()

    def listen(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._terminate)

    def _interrupt(self) -> None:
        if self.asked.is_set():
            self.at_once.set()
        self.asked.set()

    def _terminate(self) -> None:
        self.at_once.set()
        self.asked.set()
