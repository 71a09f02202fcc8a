"""One emulator per project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from defer_client.errors import StateFileError
from defer_emulator.lock import LockHeld, ProjectLock


def test_only_one_holds_the_lock_and_it_says_who(tmp_path: Path) -> None:
    lock = ProjectLock(tmp_path)
    assert lock.holder() is None
    lock.acquire()
    assert ProjectLock(tmp_path).holder() == os.getpid()
    with pytest.raises(LockHeld) as caught:
        ProjectLock(tmp_path).acquire(timeout=0)
    assert caught.value.pid == os.getpid()
    lock.release()
    assert lock.holder() is None
    with ProjectLock(tmp_path):
        pass


def test_a_file_that_a_dead_process_left_is_no_obstacle(tmp_path: Path) -> None:
    code = "import os, sys; from pathlib import Path; from defer_emulator.lock import ProjectLock as L;"
    code += "L(Path(sys.argv[1])).acquire(); os._exit(1)"
    subprocess.run([sys.executable, "-c", code, tmp_path], check=False)
    assert (tmp_path / ".defer" / "lock").read_text().strip().isdigit()
    assert ProjectLock(tmp_path).holder() is None
    ProjectLock(tmp_path).acquire(timeout=0)


def test_where_it_cannot_be_written_the_file_and_the_reason_are_named(tmp_path: Path) -> None:
    (tmp_path / ".defer").touch()
    with pytest.raises(StateFileError, match=r"\.defer/lock cannot be written: File exists"):
        ProjectLock(tmp_path).acquire(timeout=0)


def test_no_child_inherits_the_lock(tmp_path: Path) -> None:
    lock = ProjectLock(tmp_path)
    lock.acquire()
    inherited, answer = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(inherited, 1)  # lives on after the parent has let go
        os._exit(0)
    spawned = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    try:
        assert lock.holder() == os.getpid(), "a fork does not unlock it"
        lock.release()
        ProjectLock(tmp_path).acquire(timeout=2)
    finally:
        os.write(answer, b"x")
        os.waitpid(child, 0)
        spawned.communicate(b"\n")
