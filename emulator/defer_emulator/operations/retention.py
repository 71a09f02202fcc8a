"""What is kept of finished executions: looked after while an emulator runs, or cleared on request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from defer_client.errors import StateFileError
from defer_emulator.config import Retention
from defer_emulator.domain.texts import duration, size
from defer_emulator.lock import ProjectLock
from defer_emulator.store import shrinking
from defer_emulator.store.retention import NO_REVISION, Limit, Pruned, preview, prune
from defer_emulator.store.store import Store

PAUSE = 0.01  # seconds between two steps, which take about 2 ms
LONGEST_INTERVAL = 60.0  # seconds between two looks at what has become old
SIZE_INTERVAL = 2.0  # seconds between two looks at the size of the file
QUICKLY_REWRITTEN = 64_000_000  # bytes: a file that is written anew in less than a second
_TRIES = 100  # steps in which the file's log waits for those who use it, about a second
_THE_END = object()


class Clearing:
    """Deletes what `retention` does not keep. Ages are measured on the emulated clock.

    With `revision`, nothing that was written later is touched.
    """

    def __init__(self, store: Store, retention: Retention, revision: int = NO_REVISION) -> None:
        self._store = store
        age, now = retention.age, store.now()
        begun = now if age is None else now - round(age.total_seconds() * 1_000_000)
        # Inclusive: on a clock that stands, all ends at the same instant.
        self._limit = Limit(before=begun + 1, revision=revision, size=retention.size)

    def preview(self) -> Pruned:
        """What would be deleted now; its size is an estimate."""
        return preview(self._store, self._limit)

    def steps(self) -> Iterator[Pruned]:
        """Delete it, a few milliseconds each time that the iterator is asked to go on."""
        return prune(self._store, self._limit)


def is_small_enough(store: Store) -> bool:
    """Whether the file may be written anew now, at once: nobody else uses it, or it does not take long."""
    assert store.root is not None
    return ProjectLock(store.root).holder() is None or shrinking.file_size(store) <= QUICKLY_REWRITTEN


def shrink(store: Store) -> Iterator[None]:
    """Make the file as small as its contents: step by step where it can, else at once where that is quick."""
    if shrinking.is_shrinkable(store):
        yield from shrinking.shrink(store)
    elif shrinking.free_size(store) and is_small_enough(store):
        shrinking.rewrite(store)
    else:
        return
    for _ in range(_TRIES):
        if shrinking.give_back(store):
            return
        yield


def prepare(store: Store) -> int:
    """Make the file one that can become smaller while it is used. Returns how many bytes that rewrote; 0
    where it is one already."""
    if shrinking.is_shrinkable(store):
        return 0
    rewritten = shrinking.file_size(store)
    shrinking.make_shrinkable(store)
    return rewritten


def described(retention: Retention, *, rewritten: int) -> str:
    """What is kept, for a person who starts an emulator."""
    if retention.age is not None:
        kept = f"finished executions are kept for {duration(retention.age.total_seconds())}"
    else:
        kept = f"finished executions are kept until the file has {size(retention.size or 0)}"
    once = f"; the file ({size(rewritten)}) was rewritten, once, so that it can become smaller"
    return kept + (once if rewritten else "")


def interval_of(retention: Retention) -> float:
    """Seconds between two looks: what is old is gone a tenth of its age later, at most a minute.

    >>> from datetime import timedelta
    >>> interval_of(Retention(age=timedelta(days=7))), interval_of(Retention(age=timedelta(seconds=30)))
    (60.0, 3.0)
    """
    if retention.age is None:
        return SIZE_INTERVAL
    return min(LONGEST_INTERVAL, max(1.0, retention.age.total_seconds() / 10))


async def keep(root: Path, retention: Retention, *, on_trouble: Callable[[str, str], None]) -> None:
    """Do so for as long as an emulator runs, beside its event loop. Never returns.

    What was written after the look before stays: whoever waits for its end still has to read it.
    `on_trouble` hears what went wrong with the file, and what helps.
    """
    import asyncio

    store = await asyncio.to_thread(Store.open, root, create=False)
    seen = store.revision()
    while True:
        await asyncio.sleep(interval_of(retention))
        try:
            latest = store.revision()
            steps = _look(store, retention, seen)
            while True:
                if await asyncio.to_thread(next, steps, _THE_END) is _THE_END:
                    break
                await asyncio.sleep(PAUSE)
            seen = latest
        except StateFileError as error:
            on_trouble(error.message, error.hint)


def _look(store: Store, retention: Retention, revision: int) -> Iterator[None]:
    deleted = False
    for _ in Clearing(store, retention, revision).steps():
        deleted = True
        yield
    if deleted:
        yield from shrink(store)
