"""Jobs that a worker was given: each goes to the worker, or back, never to both."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from defer_emulator.runner.frames import LONGEST_JOB, Run, decode, packet
from defer_emulator.runner.queue import JobQueue

RUN = Run(
    execution_id="one",
    attempt=1,
    function="send_mail",
    module="defer.send_mail",
    arguments='{"positional":["ü"],"keyword":{}}',
    token="",
    endpoint="",
    mark="",
    slow=0.0,
    debug_port=0,
    fail="",
)


class Ends:
    """The pool's end and the worker's."""

    def __init__(self) -> None:
        self.pool = JobQueue()
        self.worker = self.pool.workers_end()

    def next(self) -> bytes:
        return self.worker.recv(LONGEST_JOB)


@pytest.fixture
def ends() -> Iterator[Ends]:
    both = Ends()
    yield both
    both.worker.close()
    both.pool.close()


def put(ends: Ends, *ids: str) -> None:
    for one in ids:
        ends.pool.put(packet(replace(RUN, execution_id=one)))


def test_a_worker_gets_one_job_at_a_time_in_their_order(ends: Ends) -> None:
    put(ends, "a", "b")
    assert [decode(ends.next()), decode(ends.next())] == [
        replace(RUN, execution_id="a"),
        replace(RUN, execution_id="b"),
    ]


def test_what_it_has_not_begun_can_be_taken_back(ends: Ends) -> None:
    put(ends, "a", "b", "c")
    ends.next()
    assert ends.pool.take_back() == 2
    assert ends.pool.take_back() == 0
    put(ends, "d")
    assert decode(ends.next()) == replace(RUN, execution_id="d")


def test_the_worker_sees_the_end_after_what_it_was_given(ends: Ends) -> None:
    put(ends, "a")
    ends.pool.close()
    assert decode(ends.next()) == replace(RUN, execution_id="a")
    assert ends.next() == b""


def test_a_full_queue_says_so(ends: Ends) -> None:
    with pytest.raises(OSError):
        for _ in range(os.sysconf("SC_PAGE_SIZE")):
            ends.pool.put(packet(replace(RUN, arguments="x" * 10_000)))
