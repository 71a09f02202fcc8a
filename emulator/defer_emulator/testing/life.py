"""One life of an emulator inside of this process: from its start, or the last crash, to the next one."""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from defer_client.backend import Backend
from defer_client.functions import DeferredFunction
from defer_client.models import Outcome
from defer_emulator.backend import ExecutionBackend, LocalBackend
from defer_emulator.domain.jobs import Job, PoolListener
from defer_emulator.notify.events import Bus
from defer_emulator.runner.inline import InlinePool
from defer_emulator.scheduler.loop import Scheduler
from defer_emulator.store.store import Store

_GRACE = 1.0  # seconds for tasks that are cancelled at the end


class _Selector(selectors.DefaultSelector):
    """Tells when its event loop has nothing to do at this moment, which only a selector is told."""

    def __init__(self, on_busy: Callable[[], None], on_idle: Callable[[], bool]) -> None:
        super().__init__()
        self._on_busy = on_busy
        self._on_idle = on_idle  # returns whether there is something to do after all

    def select(self, timeout: float | None = None) -> list[Any]:
        found = super().select(0)
        if found or (timeout is not None and timeout <= 0):
            self._on_busy()
            return found
        return super().select(0 if self._on_idle() else timeout)


class Life:
    """A scheduler with its event loop, which runs in whichever thread drives it, and stands in between.

    `adopt` gives the scheduler functions that are new, and says whether there were any. `on_settled` is
    called when nothing is left to do at the instant that the clock shows, but to wait for something outside.
    """

    def __init__(
        self,
        store: Store,
        *,
        max_concurrency: int,
        find: Callable[[Job], DeferredFunction[..., Any]],
        before: Callable[[Job], None],
        adopt: Callable[[Scheduler], bool],
        on_settled: Callable[[], None],
    ) -> None:
        self._store = store
        self._find = find
        self._before = before
        self._adopt = adopt
        self._on_settled = on_settled
        self._is_idle = False
        self._is_settled = False
        self._is_started = False
        self._is_lost = False
        self.thread: int | None = None  # that runs it now
        self._bug: BaseException | None = None
        self.loop = asyncio.SelectorEventLoop(_Selector(self._busy, self._idle))
        self.loop.set_exception_handler(self._on_error)
        self.scheduler = Scheduler(
            store=store,
            pool=self._make_pool,
            bus=Bus(),
            backend_for=lambda parent: LocalBackend(store, parent=parent, wake=self.wake),
            max_concurrency=max_concurrency,
            chance=lambda: 0.5,  # a retry comes exactly after its interval
            quiet_in=lambda _latest: 0.0 if self._is_idle else None,
        )
        self.scheduler.recover()

    def _make_pool(self, listener: PoolListener) -> InlinePool:
        self._pool = InlinePool(
            listener, backend_for=self._backend_for, now=self._store.now, find=self._find, before=self._before
        )
        return self._pool

    def _backend_for(self, execution_id: str, ask: Callable[[str], Awaitable[Outcome]]) -> Backend:
        return ExecutionBackend(self._store, parent=execution_id, wake=self.wake, ask=ask)

    def run(self, is_done: Callable[[], bool]) -> None:
        """Run in this thread until `is_done`, which is asked when all has settled, or until it was lost."""
        self.thread = threading.get_ident()
        self._is_done = is_done
        self._is_settled = False
        self.loop.call_soon(self._start)
        try:
            self.loop.run_forever()
        finally:
            self.thread = None
        if self._bug is not None:
            raise self._bug

    def _start(self) -> None:
        self._adopt(self.scheduler)
        if not self._is_started:
            self._is_started = True
            self.scheduler.start()

    def wake(self) -> None:
        """Something was written. From any thread."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.scheduler.wake)

    def lose(self) -> None:
        """As when the process is killed. In its thread, or while it stands."""
        self._is_lost = True
        self.scheduler.halt()
        self._pool.lose_all()
        if self.thread is not None:
            self.loop.stop()

    def close(self) -> None:
        """End what it has left behind. Not in a thread that runs an event loop."""
        self.lose()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks, timeout=_GRACE))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def _on_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What the scheduler raises must not become a test that hangs."""
        error = context.get("exception")
        trace = None if error is None else error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_globals.get("__name__") == Scheduler.__module__:
                self._bug = error
                loop.stop()
            trace = trace.tb_next
        if self._bug is None:
            loop.default_exception_handler(context)

    def _busy(self) -> None:
        self._is_idle = self._is_settled = False

    def _idle(self) -> bool:
        if self._is_lost:
            return False
        self._is_idle = True
        if not self._is_settled:  # one more tick, which has nothing new to do
            self._is_settled = True
            self.scheduler.wake()
            return True
        if self._adopt(self.scheduler):
            self._is_settled = False
            return True
        self._on_settled()
        if self._is_done():
            self.loop.stop()
            return True
        return False
