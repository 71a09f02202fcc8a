"""A generation, as far as it can be told without processes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import pytest

from defer_emulator.runner.frames import Fork, Frame, Importing, Load, encode
from defer_emulator.runner.zygote import Generation, ImportStopped

LOAD = Load(root="/", import_paths=[], env={}, setup=None, after_fork=None, modules=[])


class Base:
    """Forks nothing, and keeps the other end of the generation's channel."""

    def __init__(self) -> None:
        self.connection = self
        self.channel: socket.socket | None = None

    def send(self, frame: Frame, descriptors: Sequence[int] = ()) -> None:
        assert isinstance(frame, Fork)
        channel, *rest = descriptors
        self.channel = socket.socket(fileno=channel)
        for end in rest:
            socket.close(end)


def test_a_generation_that_dies_has_its_last_words_heard() -> None:
    async def scenario() -> str:
        base: Any = Base()
        generation = Generation(1, LOAD, base, asyncio.get_running_loop(), on_frame=lambda _frame: None)
        base.channel.sendall(encode(Importing(file="defer/a.py")) + encode(Importing(file="defer/b.py")))
        base.channel.close()
        generation.ended(3)  # the base tells it before the loop has looked at the channel
        with pytest.raises(ImportStopped) as caught:
            await generation.described(1.0)
        return caught.value.file

    assert asyncio.run(scenario()) == "defer/b.py"
