"""A worker process, seen from the pool, before it exists."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from defer_emulator.runner.process import WorkerProcess

NEEDED = 9  # descriptors: two sockets with both their ends, the worker's end of its queue, two pipes


def open_descriptors() -> set[str]:
    listed = list(Path("/proc/self/fd").iterdir())
    return {file.name for file in listed if file.exists()}  # without the one that listed them


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """Only so many more can be opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open(os.devnull, os.O_RDONLY)]
    while taken[-1] < max(map(int, open_descriptors())):  # the gaps below the highest one
        taken.append(os.open(os.devnull, os.O_RDONLY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken[-1] + 1 + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)


@pytest.mark.parametrize("left", range(NEEDED))
def test_where_descriptors_are_short_a_worker_that_cannot_be_made_keeps_none(left: int) -> None:
    def nothing(*_: Any) -> None: ...

    async def main() -> None:
        loop = asyncio.get_running_loop()
        before = open_descriptors()
        with descriptors_left(left), pytest.raises(OSError, match="Too many open files"):
            WorkerProcess(1, cast(Any, None), loop, on_frame=nothing, on_output=nothing, on_end=nothing)
        assert open_descriptors() == before

    asyncio.run(main())
