"""The only place that wires the emulator's objects together: the life of `defer dev`."""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from defer_client import __version__
from defer_client.errors import Conflict
from defer_emulator.backend import LocalBackend
from defer_emulator.config import Config
from defer_emulator.dev import DevInfo, DevOptions
from defer_emulator.domain.jobs import PoolListener
from defer_emulator.generations import Generations
from defer_emulator.lock import LockHeld, ProjectLock
from defer_emulator.notify.events import Bus, Trouble
from defer_emulator.operations import LocalOperations
from defer_emulator.presence import Presence, own_presence, read_presence, remove_presence, write_presence
from defer_emulator.runner.leftovers import end_leftovers
from defer_emulator.runner.loading import LoadResult, PoolOptions
from defer_emulator.runner.pool import ProcessPool
from defer_emulator.scheduler.loop import Scheduler
from defer_emulator.store.store import Store
from defer_emulator.wakeup import WakeSocket, remove_stale

if TYPE_CHECKING:
    from defer_emulator.web.server import Server


GARBAGE = 20_000  # objects after which a collection pays; each execution makes dozens that need none


class AlreadyRunning(Conflict):
    """Another emulator serves the project."""


def run_dev(root: Path, options: DevOptions) -> int:
    """Serve the project until a signal ends it; the exit code.

    Raises `AlreadyRunning`, `ConfigError`, `ProjectNotFound`, `StateFileError`, `PortTaken`,
    `WorkersUnavailable`.
    """
    config = _merged(Config.load(root, os.environ), options)
    lock = ProjectLock(root)
    try:
        lock.acquire()
    except LockHeld as held:
        raise _already_running(root, held.pid) from None
    try:
        store = Store.open(root, durability=config.durability)
        return asyncio.run(Emulator(root, config, options, store).serve())
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
        self._options = options
        self._store = store
        self._view = options.view
        self._bus = Bus()
        self._bus.subscribe(self._view.event)
        self._scheduler = Scheduler(
            store=store,
            pool=self._make_pool,
            bus=self._bus,
            backend_for=self._backend_for,
            max_concurrency=config.max_concurrency,
            only=options.only,
        )
        self._generations = Generations(
            root=root,
            config=config,
            pool=self._pool,
            scheduler=self._scheduler,
            bus=self._bus,
            on_diagnostics=self._view.diagnostics,
        )
        self._notes: list[str] = []
        self._is_ready = False

    def _make_pool(self, listener: PoolListener) -> ProcessPool:
        self._pool = ProcessPool(
            listener,
            PoolOptions(
                root=self._root,
                python=self._config.python or sys.executable,
                project=self._store.project_id,
                emulator_id=secrets.token_hex(8),
                worker_start=self._config.worker_start,
                memory_limit=self._config.memory_limit,
                warm=min(2, self._config.max_concurrency),
            ),
            now=self._store.now,
            on_trouble=lambda message: self._bus.publish(Trouble(message=message)),
        )
        return self._pool

    def _backend_for(self, parent: str) -> LocalBackend:
        return LocalBackend(self._store, parent=parent, wake=self._scheduler.poke)

    # --- life -----------------------------------------------------------------------------

    async def serve(self) -> int:
        """From the first process to the last; returns the exit code."""
        stop = Stop()
        stop.listen()
        end_leftovers(self._store.project_id)
        if (old := read_presence(self._root)) is not None:
            remove_stale(old.socket)
        wake = WakeSocket()
        try:
            await self._pool.open()
            self._scheduler.recover()
            server, loaded = await self._start()
            wake.listen(self._scheduler.poke)
            write_presence(self._root, self._presence(server, wake))
            self._is_ready = True
            gc.freeze()  # what was imported stays: a collection need not look at it again and again
            gc.set_threshold(GARBAGE)
            await self._show(server, loaded)
            self._scheduler.start()
            self._generations.check(loaded)
            await self._follow_changes_until(stop)
            await self._drain(stop)
            await server.close()
        finally:
            self._generations.close()
            remove_presence(self._root)
            wake.close()
            await self._pool.close()
            self._scheduler.close()
        self._view.stopped()
        return 0

    def _presence(self, server: Server, wake: WakeSocket) -> Presence:
        return own_presence(
            server.url,
            str(wake.path),
            max_concurrency=self._config.max_concurrency,
            only=self._options.only,
        )

    async def _start(self) -> tuple[Server, LoadResult]:
        """Import the project in its process while this one imports the web layer."""
        loading = asyncio.create_task(self._generations.load_first())
        try:
            return await self._start_server(), await loading
        finally:
            loading.cancel()

    async def _start_server(self) -> Server:
        from defer_emulator.web.app import create_app
        from defer_emulator.web.security import generate_token, is_loopback
        from defer_emulator.web.server import DEFAULT_PORT, Server, bind
        from defer_emulator.web.settings import WebSettings

        config = self._config
        if config.token is None and not is_loopback(config.host):
            config = self._config = replace(config, token=generate_token())
            self._notes.append(f"it listens beyond this machine: requests need the token {config.token}")
        listener = bind(config.host, config.port)
        port = listener.getsockname()[1]
        if config.port is None and port != DEFAULT_PORT:
            self._notes.append(f"port {DEFAULT_PORT} is taken, so it listens on {port}")
        settings = WebSettings(
            project=self._root.name,
            version=__version__,
            host=config.host,
            token=config.token,
            allowed_hosts=config.allowed_hosts,
        )
        app = create_app(
            LocalBackend(self._store, wake=self._scheduler.poke),
            LocalOperations(self._store, wake=self._scheduler.poke),
            settings,
            parent_of=self._pool.execution_of,
            backend_for=self._backend_for,
            is_ready=lambda: self._is_ready,
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
        operations = LocalOperations(self._store, wake=self._scheduler.poke)
        self._view.started(
            DevInfo(
                root=self._root,
                url=server.url,
                pid=os.getpid(),
                version=__version__,
                functions=await operations.functions(),
                clock=await operations.clock(),
                token=self._config.token,
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
                self._bus.publish(Trouble(message=message, hint="restart defer dev to run new code"))

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
