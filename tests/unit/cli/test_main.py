"""Errors → exit codes and messages; the words of `reschedule`; start-up."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import click
import pytest

from defer_cli.commands.reschedule import split_when
from defer_cli.main import exit_code
from defer_cli.registry import COMMANDS, load
from defer_client import errors
from defer_emulator.clock import ManualClock
from defer_emulator.project.finder import ProjectNotFound
from defer_emulator.store.store import Store
from tests.unit.store.world import World


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (click.UsageError("x"), 2),
        (errors.InvalidDuration("x"), 2),
        (errors.InvalidMetadata("x"), 2),
        (errors.InvalidArguments("x"), 2),
        (errors.NotSerializable("x"), 2),
        (errors.InvalidRequest("x"), 2),
        (errors.AmbiguousId("x"), 2),
        (errors.UnknownFunction("x"), 3),
        (errors.ExecutionNotFound("x"), 3),
        (errors.ExecutionNotCancellable("x"), 4),
        (errors.ResultNotAvailableYet("x"), 4),
        (errors.ResultTimeout("x"), 5),
        (errors.NoBackendError("x"), 6),
        (errors.StateFileError("x"), 6),
        (errors.Unauthorized("x"), 6),
        (ProjectNotFound("x"), 6),
        (RuntimeError("x"), 1),
    ],
)
def test_every_error_has_its_exit_code(error: Exception, code: int) -> None:
    assert exit_code(error) == code


@pytest.mark.parametrize(
    ("words", "by_filter", "expected"),
    [
        ([], False, ([], None)),
        (["deadbeef"], False, (["deadbeef"], None)),
        (["12345678"], False, (["12345678"], None)),
        (["deadbeef", "2h"], False, (["deadbeef"], timedelta(hours=2))),
        (["deadbeef", "now"], False, (["deadbeef"], None)),
        (["deadbeef", "cafebabe"], False, (["deadbeef", "cafebabe"], None)),
        (["deadbeef", "@last"], False, (["deadbeef", "@last"], None)),
        (["a1b2", "c3d4", "1 day"], False, (["a1b2", "c3d4"], timedelta(days=1))),
        (["deadbeef", "2026-01-31"], False, (["deadbeef"], datetime(2026, 1, 31, tzinfo=timezone.utc))),
        (["deadbeef", "1f2e3d4c-0a"], False, (["deadbeef", "1f2e3d4c-0a"], None)),
        (["deadbeef", "95fe-DBB528B7BC6F.2"], False, (["deadbeef", "95fe-DBB528B7BC6F.2"], None)),
        (["10m"], True, ([], timedelta(minutes=10))),
    ],
)
def test_the_last_word_of_reschedule_is_the_time(words: list[str], by_filter: bool, expected: object) -> None:
    assert split_when(words, by_filter=by_filter) == expected


@pytest.mark.parametrize("word", ["tomorrow", "2026-02-30", "10000-01-01", "2026-1", "abc"])
def test_a_last_word_that_is_neither_time_nor_id_is_refused(word: str) -> None:
    with pytest.raises(errors.InvalidDuration):
        split_when(["deadbeef", word], by_filter=False)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    command = load(name)
    text = command.get_help(click.Context(command, info_name=name))
    assert COMMANDS[name].help
    assert "--output" in text


def test_help_loads_neither_the_store_nor_asyncio_nor_rich() -> None:
    script = (
        "import sys, io, json; sys.stdout = io.StringIO(); from defer_cli.main import run; run(['--help']);"
        "heavy = {'asyncio', 'sqlite3', 'rich', 'httpx'} & set(sys.modules);"
        "sys.__stdout__.write(json.dumps(sorted(heavy)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize("words", [["list"], ["list", "--help"]])
def test_a_list_loads_only_what_a_list_needs(tmp_path: Path, words: list[str]) -> None:
    """Each of these modules would cost some milliseconds of every `defer list`."""
    heavy = (
        "asyncio",
        "httpx",
        "rich",
        "hashlib",
        "defer_emulator.backend",
        "defer_emulator.config",
        "defer_emulator.domain.functions",
        "defer_emulator.domain.insight",
        "defer_emulator.domain.why",
        "defer_emulator.domain.work",
        "defer_emulator.presence",
        "defer_emulator.store.transaction",
    )
    store = Store.open(tmp_path)
    World(store, ManualClock()).enqueue("job")
    store.close()
    script = (
        "import sys, io, json; sys.stdout = io.StringIO(); from defer_cli.main import run;"
        f"assert run({words!r}) == 0;"
        f"sys.__stdout__.write(json.dumps(sorted({set(heavy)!r} & set(sys.modules))))"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert json.loads(done.stdout) == []
