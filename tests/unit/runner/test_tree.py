from __future__ import annotations

import os
import subprocess
import sys

from defer_emulator.runner.limits import died, how, out_of_memory, timed_out
from defer_emulator.workers import tree


def test_children_of_a_process_that_does_not_exist_are_none() -> None:
    assert tree.children(2**22 + 1) == []
    assert tree.descendants(2**22 + 1) == []
    assert not tree.is_zombie(2**22 + 1)


def test_descendants_are_found_through_their_parents() -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as top:
        assert top.stdout is not None
        top.stdout.readline()
        (below,) = tree.children(top.pid)
        assert top.pid in tree.descendants(os.getpid()) and below in tree.descendants(os.getpid())
        assert tree.ancestors(below)[:2] == [top.pid, os.getpid()]
        assert tree._children_by_stat(top.pid) == [below]
        assert "input()" in tree.command(below)
        own, both = tree.resident_bytes(top.pid), tree.family_bytes(top.pid, most=2**40)
        assert both > own > 1_000_000
        assert 1_000_000 < tree.family_bytes(top.pid, most=0) < both, "what they share counts once"
        for pid in (below, top.pid):
            tree.kill(pid)
        tree.kill(2**22 + 1)


def test_how_a_process_ended_is_said_in_words() -> None:
    assert (how(0), how(3), how(-9), how(-64)) == (
        "exit code 0",
        "exit code 3",
        "killed by SIGKILL",
        "killed by SIGRTMAX",
    )
    assert died(1).message == "its process ended: exit code 1"
    assert timed_out(1800.0).message == "it ran longer than its max_duration of 1800 s"
    said = out_of_memory(2**30, 2**29).message
    assert said == "it used 1,024 MiB of memory; memory_limit is 512 MiB"
