"""Knowing the living emulator, and poking it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from defer_client.models import Call
from defer_client.sync import run
from defer_emulator.backend import open_backend
from defer_emulator.presence import (
    DUE,
    LATER,
    Waker,
    is_alive,
    own_presence,
    presence_file,
    read_presence,
    remove_presence,
    start_time,
    write_presence,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".defer").mkdir()
    return tmp_path


def test_a_note_comes_back_as_it_was_written(root: Path) -> None:
    assert read_presence(root) is None
    presence = own_presence("http://127.0.0.1:3337", "/tmp/ü/wake")
    write_presence(root, presence)
    assert read_presence(root) == presence
    assert is_alive(presence)
    assert [path.name for path in (root / ".defer").iterdir()] == ["emulator.json"]
    remove_presence(root)
    remove_presence(root)
    assert read_presence(root) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"pid": 1}', '{"pid": "x", "url": 3}', "\xff\x00"])
def test_a_note_that_cannot_be_read_is_none(root: Path, text: str) -> None:
    presence_file(root).write_text(text, encoding="latin-1")
    assert read_presence(root) is None


def test_a_dead_process_and_another_one_with_its_pid_are_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    presence = replace(own_presence("", ""), pid=child.pid, start_time=start_time(child.pid) or "")
    assert is_alive(presence)
    assert not is_alive(replace(presence, start_time="1"))
    assert child.stdin is not None
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(presence), "it has ended, though nobody has reaped it"
    child.wait()
    assert not is_alive(presence)
    assert not is_alive(None)
    assert not is_alive(replace(presence, pid=0))


def listening(path: Path) -> socket.socket:
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(str(path))
    receiver.setblocking(False)
    return receiver


def test_a_waker_pokes_the_socket_that_the_note_names(root: Path) -> None:
    with listening(root / "wake") as receiver:
        write_presence(root, own_presence("", str(root / "wake")))
        wake = Waker(root)
        wake()
        wake()
        assert (receiver.recv(16), receiver.recv(16)) == (b"\0", b"\0")
        for _ in range(5_000):
            wake()  # a full queue is no trouble


def test_a_waker_says_when_there_is_time(root: Path) -> None:
    with listening(root / "wake") as receiver:
        write_presence(root, own_presence("", str(root / "wake")))
        backend = open_backend(root)
        for delay in (timedelta(days=1), None):
            run(backend.enqueue(Call(function_name="send", delay=delay)), immediate=True)
            assert receiver.recv(16) == (LATER if delay else DUE)


def test_a_waker_without_an_emulator_does_nothing(root: Path) -> None:
    wake = Waker(root)
    wake()
    write_presence(root, own_presence("", str(root / "nobody")))
    Waker(root)()
    Waker(root / "missing")()


def test_what_is_stored_is_no_error_where_no_socket_can_be_made(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*kind: int) -> socket.socket:
        raise OSError("Too many open files")

    with listening(root / "wake"):
        write_presence(root, own_presence("", str(root / "wake")))
        monkeypatch.setattr(socket, "socket", refuse)
        Waker(root)()


def test_a_waker_finds_the_next_emulator(root: Path) -> None:
    with listening(root / "first") as first:
        write_presence(root, own_presence("", str(root / "first")))
        wake = Waker(root)
        wake()
        assert first.recv(16)
    with listening(root / "second") as second:
        write_presence(root, own_presence("", str(root / "second")))
        wake()
        assert second.recv(16)
