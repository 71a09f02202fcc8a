"""Copies of the file, and the way back."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from defer_client.errors import Conflict, InvalidOption, StateFileError
from defer_client.models import Execution
from defer_emulator.clock import ManualClock
from defer_emulator.lock import ProjectLock
from defer_emulator.operations.snapshots import KEPT, SnapshotNotFound, Snapshots, name_of
from defer_emulator.store import snapshots
from defer_emulator.store.store import Store
from tests.unit.store.world import World


@pytest.fixture
def kept(world: World) -> Snapshots:
    assert world.store.root is not None
    return Snapshots(world.store.root)


@pytest.fixture
def application(tmp_path: Path) -> Iterator[World]:
    """Another process, as far as the file can tell."""
    store = Store.open(tmp_path, clock=ManualClock())
    yield World(store, ManualClock())
    store.close()


def known(world: World) -> list[str]:
    return [row["id"] for row in world.store.database.select("SELECT id FROM executions ORDER BY sequence")]


def test_the_queue_the_history_and_the_clock_come_back(world: World, kept: Snapshots) -> None:
    done, waits = world.enqueue(), world.enqueue("add", delay=timedelta(days=1))
    world.run(done)
    with world.store.write() as tx:
        tx.set_clock(offset=0, frozen_at=tx.now + 5)
    saved = kept.save(world.store, "before")
    assert (saved.executions, saved.unfinished) == (2, 1)
    world.call(world.backend.cancel_execution(waits.id))
    later = world.enqueue()
    with world.store.write() as tx:
        tx.set_clock(offset=0, frozen_at=tx.now + 1_000)
    shown = saved.now
    kept.restore(world.store, "before")
    assert world.states(done, waits) == ["succeed", "created"]
    assert later.id not in known(world)
    assert world.call(world.operations.clock()).now == shown


def test_the_state_before_is_kept_and_can_come_back_too(world: World, kept: Snapshots) -> None:
    kept.save(world.store, "empty")
    execution = world.enqueue()
    _, before = kept.restore(world.store, "empty")
    assert known(world) == []
    assert name_of(before).startswith(KEPT)
    kept.restore(world.store, name_of(before))
    assert known(world) == [execution.id]


def test_applications_that_have_the_file_open_see_the_restored_state(
    world: World, kept: Snapshots, application: World
) -> None:
    execution = application.enqueue()
    version = application.store.data_version()
    revision = application.store.revision()
    kept.save(world.store, "one")
    application.enqueue()
    kept.restore(world.store, "one")
    assert known(application) == [execution.id]
    assert application.store.data_version() != version
    assert application.store.revision() > revision
    assert application.enqueue().id in known(world)


def test_a_call_that_is_acknowledged_meanwhile_is_not_lost(
    world: World, kept: Snapshots, application: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An application calls just after the present state was kept: it is kept once more."""
    kept.save(world.store, "empty")
    called: list[Execution] = []
    overwrite = snapshots._overwrite

    def overwrite_after_a_call(source: Path, target: Path, revision: int) -> bool:
        if not called:
            called.append(application.enqueue())
        return overwrite(source, target, revision)

    monkeypatch.setattr(snapshots, "_overwrite", overwrite_after_a_call)
    _, before = kept.restore(world.store, "empty")
    assert before.executions == 1
    kept.restore(world.store, name_of(before))
    assert known(world) == [called[0].id]


def test_it_is_consistent_while_others_write(world: World, kept: Snapshots, application: World) -> None:
    stop, made = threading.Event(), list[Execution]()

    def write() -> None:
        while not stop.is_set():
            made.append(application.enqueue("job", metadata={"a": "b"}))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        copies = [kept.save(world.store, f"copy-{number}") for number in range(5)]
    finally:
        stop.set()
        writer.join()
    for copy in copies:
        connection = sqlite3.connect(copy.path)
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert connection.execute("SELECT count(*) FROM metadata").fetchone()[0] == copy.executions
        connection.close()


def test_the_draft_of_a_process_that_was_killed_goes_with_the_next_snapshot(
    world: World, kept: Snapshots
) -> None:
    folder = kept.save(world.store, "first").path.parent
    left, used, new = (folder / f".draft-{name}" for name in ("left", "used", "new"))
    for draft in (left, used, new):
        draft.mkdir()
        (draft / "first.db").write_text("half")
    for draft in (left, used):
        os.utime(draft, (0, 0))
    with snapshots._locked(used):
        kept.save(world.store, "second")
    assert set(folder.glob(".draft-*")) == {used, new}


def test_what_ran_is_interrupted_by_the_next_emulator(world: World, kept: Snapshots) -> None:
    execution = world.enqueue()
    (running,) = world.claim().started
    kept.save(world.store, "running")
    world.end(running)
    kept.restore(world.store, "running")
    assert world.states(execution) == ["started"]
    with world.store.write() as tx:
        assert [one.id for one in tx.running()] == [execution.id]


def test_a_copy_of_an_older_version_is_brought_up_to_date(world: World, kept: Snapshots) -> None:
    execution = world.enqueue()
    path = kept.save(world.store, "old").path
    connection = sqlite3.connect(path, isolation_level=None)
    for (name,) in connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name IN ('faults', 'foreground')"
    ).fetchall():
        connection.execute(f"DROP TABLE {name}")
    connection.execute("DROP INDEX executions_by_rerun")
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    (listed,) = kept.all()
    assert (listed.version, listed.executions) == (2, None)
    kept.restore(world.store, "old")
    assert known(world) == [execution.id]
    assert world.store.faults(execution.id) is None


def test_a_copy_of_a_newer_version_is_refused_and_nothing_changes(world: World, kept: Snapshots) -> None:
    execution = world.enqueue()
    path = kept.save(world.store, "new").path
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(StateFileError, match="newer defer"):
        kept.restore(world.store, "new")
    assert known(world) == [execution.id]
    assert [name_of(copy) for copy in kept.all()] == ["new"]


def test_a_copy_with_other_pages_can_be_restored(world: World, kept: Snapshots) -> None:
    execution = world.enqueue()
    path = kept.save(world.store, "pages").path
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript("PRAGMA page_size = 8192; VACUUM")
    connection.close()
    world.enqueue()
    kept.restore(world.store, "pages")
    assert known(world) == [execution.id]


def test_what_is_no_copy_is_refused_and_not_listed(world: World, kept: Snapshots) -> None:
    path = kept.save(world.store, "damaged").path
    path.write_bytes(b"this is no database" * 100)
    assert kept.all() == []
    with pytest.raises(StateFileError, match="not a database"):
        kept.restore(world.store, "damaged")


def test_nothing_is_restored_under_a_running_emulator(world: World, kept: Snapshots, tmp_path: Path) -> None:
    kept.save(world.store, "one")
    execution = world.enqueue()
    with ProjectLock(tmp_path), pytest.raises(Conflict, match=f"process {os.getpid()}"):
        kept.restore(world.store, "one")
    assert known(world) == [execution.id]


def test_the_lock_is_free_again_after_a_restore(world: World, kept: Snapshots, tmp_path: Path) -> None:
    kept.save(world.store, "one")
    kept.restore(world.store, "one")
    assert ProjectLock(tmp_path).holder() is None


def test_names_are_taken_once_unless_they_are_to_be_replaced(world: World, kept: Snapshots) -> None:
    kept.save(world.store, "one")
    world.enqueue()
    with pytest.raises(Conflict, match="already"):
        kept.save(world.store, "one")
    assert kept.save(world.store, "one", replace=True).executions == 1


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "-x", "a b", "é", "x" * 101, "a\n"])
def test_names_that_are_no_plain_file_names_are_refused(world: World, kept: Snapshots, name: str) -> None:
    with pytest.raises(InvalidOption):
        kept.save(world.store, name)


def test_an_unknown_name_is_not_found(world: World, kept: Snapshots) -> None:
    for action in (lambda: kept.delete("nope"), lambda: kept.restore(world.store, "nope")):
        with pytest.raises(SnapshotNotFound):
            action()


def test_a_deleted_one_is_gone(world: World, kept: Snapshots) -> None:
    kept.save(world.store, "one")
    kept.delete("one")
    assert kept.all() == []


# --- forks --------------------------------------------------------------------------------------


def test_a_fork_is_another_project_with_the_same_state(
    world: World, kept: Snapshots, tmp_path_factory: pytest.TempPathFactory
) -> None:
    execution = world.enqueue()
    kept.save(world.store, "one")
    folder = kept.fork("one", tmp_path_factory.mktemp("elsewhere") / "fork")
    forked = Store.open(folder, create=False)
    assert forked.get(execution.id).state == "created"
    assert forked.project_id != world.store.project_id  # else each would end the other's processes
    with forked.write() as tx:
        tx.cancel(tx.require(execution.id), force=False)
    forked.close()
    assert world.states(execution) == ["created"]


def test_a_fork_has_the_code_but_refers_to_environments(
    world: World, kept: Snapshots, tmp_path: Path
) -> None:
    for name in ("defer/send.py", ".env", ".git/config", ".venv/pyvenv.cfg", "__pycache__/x.pyc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text")
    os.mkfifo(tmp_path / "pipe")
    kept.save(world.store, "one")
    folder = kept.fork("one")
    assert folder == tmp_path / ".defer" / "forks" / "one"
    assert (folder / "defer" / "send.py").read_text() == "text"
    assert sorted(path.name for path in folder.iterdir()) == [".defer", ".env", ".venv", "defer"]
    assert (folder / ".venv").resolve() == (tmp_path / ".venv").resolve()


def test_a_fork_inside_of_its_project_does_not_copy_itself(
    world: World, kept: Snapshots, tmp_path: Path
) -> None:
    kept.save(world.store, "one")
    folder = kept.fork("one", tmp_path / "copies" / "fork")
    assert not (folder / "copies" / "fork").exists()


def test_a_folder_that_exists_gets_the_state_alone(
    world: World, kept: Snapshots, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tmp_path / "code.py").write_text("")
    folder = tmp_path_factory.mktemp("worktree")
    kept.save(world.store, "one")
    kept.fork("one", folder)
    assert [path.name for path in folder.iterdir()] == [".defer"]


def test_a_state_that_exists_is_never_replaced_by_a_fork(
    world: World, kept: Snapshots, tmp_path: Path
) -> None:
    kept.save(world.store, "one")
    kept.fork("one")
    for folder in (None, tmp_path):
        with pytest.raises(Conflict, match="has a state already"):
            kept.fork("one", folder)


def test_the_log_of_a_file_that_was_deleted_does_not_get_into_a_fork(
    world: World, kept: Snapshots, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    execution = world.enqueue()
    kept.save(world.store, "one")
    folder = tmp_path_factory.mktemp("stale")
    (folder / ".defer").mkdir()
    shutil.copy(tmp_path / ".defer" / "state.db-wal", folder / ".defer" / "state.db-wal")
    kept.fork("one", folder)
    forked = Store.open(folder, create=False)
    assert forked.get(execution.id).id == execution.id
    forked.close()
