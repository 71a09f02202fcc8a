"""The file itself: how it is made, checked, shared and what happens when it cannot be used."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from defer_client.errors import NoBackendError, StateFileError
from defer_client.models import ExecutionFilters, Page, State
from defer_emulator.clock import ManualClock
from defer_emulator.lock import ProjectLock
from defer_emulator.store import database, opening
from defer_emulator.store.database import Database, check_sqlite, connect, latest_version
from defer_emulator.store.filesystem import network_file_system
from defer_emulator.store.queries import SQL, load_queries
from defer_emulator.store.store import Store
from defer_emulator.store.transaction import NewExecution
from tests.unit.store.world import World

JOB = NewExecution(function="job", arguments='{"positional":[],"keyword":{}}', scheduled_at=0, metadata={})


def state_file(root: Path) -> Path:
    return root / ".defer" / "state.db"


def insert(store: Store) -> str:
    with store.write() as tx:
        return tx.insert(JOB).id


def count(store: Store) -> int:
    with store._database.read() as connection:
        total: int = connection.execute("SELECT count(*) FROM executions").fetchone()[0]
        return total


def pragma(store: Store, name: str) -> object:
    with store._database.read() as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


# --- making it ------------------------------------------------------------------------------


def test_a_new_project_gets_a_file_that_git_ignores(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    assert (tmp_path / ".defer" / ".gitignore").read_text() == "*\n"
    assert pragma(store, "journal_mode") == "wal"
    assert pragma(store, "synchronous") == 1
    assert pragma(store, "user_version") == latest_version()
    assert store.root == tmp_path


def test_a_project_keeps_its_id_and_its_executions(tmp_path: Path) -> None:
    first = Store.open(tmp_path)
    execution_id = insert(first)
    first.close()
    again = Store.open(tmp_path)
    assert again.project_id == first.project_id
    assert again.get(execution_id).id == execution_id


def test_a_long_path_with_spaces_and_letters_of_all_kinds_works(tmp_path: Path) -> None:
    root = tmp_path / ("a b ü%20?#&;'" + "x" * 120) / "日本"
    root.mkdir(parents=True)
    insert(Store.open(root))
    assert count(Store.open(root)) == 1
    assert state_file(root).exists()


def test_a_missing_file_is_not_made_when_that_is_not_wanted(tmp_path: Path) -> None:
    with pytest.raises(NoBackendError, match="defer init"):
        Store.open(tmp_path, create=False)
    assert not (tmp_path / ".defer").exists()


def test_many_processes_can_make_the_file_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from defer_emulator.store.store import Store;"
        "print(Store.open(Path(sys.argv[1])).project_id)"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert len({run.communicate(timeout=60)[0] for run in runs}) == 1
    assert {run.returncode for run in runs} == {0}


def test_an_empty_file_that_a_crash_left_is_completed(tmp_path: Path) -> None:
    state_file(tmp_path).parent.mkdir()
    state_file(tmp_path).touch()
    insert(Store.open(tmp_path))


def test_the_holder_of_the_lock_makes_the_file_itself(tmp_path: Path) -> None:
    with ProjectLock(tmp_path):
        insert(Store.open(tmp_path))


def test_a_file_is_not_migrated_under_another_emulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_LOCK_PATIENCE", 0.05)
    code = "import sys; from pathlib import Path; from defer_emulator.lock import ProjectLock as L;"
    code += "l = L(Path(sys.argv[1])); l.acquire(); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with pytest.raises(StateFileError, match=f"is missing.*{holder.pid}"):
        Store.open(tmp_path)
    (tmp_path / ".defer" / "state.db").touch()
    with pytest.raises(StateFileError, match=f"older version.*{holder.pid}"):
        Store.open(tmp_path)
    holder.communicate("")
    Store.open(tmp_path)


@pytest.mark.parametrize("version", range(1, latest_version()))
def test_a_file_of_any_older_version_is_brought_up_to_date_with_all_that_is_in_it(
    tmp_path: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = database.migrations()
    with monkeypatch.context() as past:
        past.setattr(database, "migrations", lambda: scripts[:version])
        connection = connect(opening.prepare(tmp_path, create=True))
        _insert_some(connection)
        assert database.stored_version(connection, None) == version
        connection.close()
    world = World(Store.open(tmp_path), ManualClock())
    (execution,) = world.call(world.backend.list_executions(Page(), ExecutionFilters())).data
    assert execution.function_name == "job"
    statistics = world.call(world.operations.statistics(window=None))
    assert statistics.counts[State.FAILED] == 1
    assert world.call(world.operations.outbox()) == []
    world.run(world.enqueue(), state=State.FAILED)
    world.store.close()


def _insert_some(connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT INTO executions (sequence, id, function, state, scheduled_at, created_at, updated_at,"
        " started_at, finished_at, attempt, error_code, revision, metadata, arguments, failure)"
        " VALUES (1, '0191d1a0-0000-7000-8000-00009e3779b1', 'job', 'failed', 1, 1, 1, 1, 1, 1, 'ER0003', 1,"
        """ '{}', '{"positional":[],"keyword":{}}', '{"name":"E","message":"","stack":"","code":"ER0003"}')"""
    )


def test_durability_is_remembered_in_the_file(tmp_path: Path) -> None:
    full = Store.open(tmp_path, durability="full")
    assert pragma(full, "synchronous") == 2
    assert pragma(Store.open(tmp_path), "synchronous") == 2
    assert pragma(Store.open(tmp_path, durability="normal"), "synchronous") == 1


# --- files that cannot be used --------------------------------------------------------------


def test_what_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
    state_file(tmp_path).parent.mkdir()
    state_file(tmp_path).write_text("not a database at all, but long enough to be taken for a header" * 20)
    before = state_file(tmp_path).read_bytes()
    with pytest.raises(StateFileError, match="is not a database") as caught:
        Store.open(tmp_path)
    assert str(state_file(tmp_path)) in caught.value.message
    assert "defer init" in caught.value.hint
    assert state_file(tmp_path).read_bytes() == before


def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    state_file(tmp_path).parent.mkdir()
    sqlite3.connect(state_file(tmp_path)).execute("CREATE TABLE mine (a)").connection.close()
    with pytest.raises(StateFileError, match="another program"):
        Store.open(tmp_path)


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    connection = sqlite3.connect(state_file(tmp_path))
    connection.execute(f"PRAGMA user_version = {latest_version() + 1}")
    connection.close()
    with pytest.raises(StateFileError, match="newer defer") as caught:
        Store.open(tmp_path)
    assert "upgrade" in caught.value.hint


def test_a_folder_in_the_files_place_is_an_error_that_names_it(tmp_path: Path) -> None:
    state_file(tmp_path).mkdir(parents=True)
    with pytest.raises(StateFileError, match=r"state\.db cannot be opened"):
        Store.open(tmp_path)


def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    kept = insert(store)
    with store._database.read() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
    big = NewExecution(function="job", arguments='"' + "x" * 500_000 + '"', scheduled_at=0, metadata={})
    with pytest.raises(StateFileError, match="disk is full"), store.write() as tx:
        tx.insert(big)
    assert count(store) == 1
    with store._database.read() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    insert(store)
    assert store.get(kept).id == kept
    assert count(store) == 2


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    with store._database.read() as connection:
        connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StateFileError, match="read-only"):
        insert(store)


def test_another_writer_is_waited_for_and_named_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path)
    other = sqlite3.connect(state_file(tmp_path), isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.1, other.execute, ["COMMIT"])
    timer.start()
    insert(store)
    timer.join()
    monkeypatch.setattr(database, "PATIENCE", 0.05)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StateFileError, match="locked by another process"):
        insert(store)
    assert count(store) == 1, "readers do not wait"
    other.execute("ROLLBACK")
    insert(store)
    other.close()


def test_a_file_that_was_deleted_and_made_anew_gets_what_is_written_next(tmp_path: Path) -> None:
    old = Store.open(tmp_path)
    insert(old)
    shutil.rmtree(tmp_path / ".defer")
    with pytest.raises(StateFileError, match="cannot be opened"):
        insert(old)
    new = Store.open(tmp_path)
    insert(old)
    assert count(new) == 1


def test_an_old_sqlite_is_refused_with_both_versions() -> None:
    check_sqlite((3, 37, 0))
    with pytest.raises(StateFileError, match=r"3\.36\.1.*3\.37\.0"):
        check_sqlite((3, 36, 1))


# --- sharing it -----------------------------------------------------------------------------


def test_threads_share_a_store(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    threads = [threading.Thread(target=lambda: [insert(store) for _ in range(20)]) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(store) == 100


def test_processes_write_at_once_and_lose_nothing(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    code = (
        "import sys; from pathlib import Path; from tests.unit.store.test_database import insert, Store;"
        "s = Store.open(Path(sys.argv[1])); [insert(s) for _ in range(100)]"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code, tmp_path]) for _ in range(3)]
    assert [run.wait(timeout=60) for run in runs] == [0, 0, 0]
    assert count(Store.open(tmp_path)) == 300


def test_a_forked_child_opens_its_own_connection(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    insert(store)
    child = os.fork()
    if child == 0:
        try:
            insert(store)
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    insert(store)
    assert count(store) == 3
    assert pragma(store, "integrity_check") == "ok"


def test_data_version_changes_when_another_connection_writes(tmp_path: Path) -> None:
    one, other = Store.open(tmp_path), Store.open(tmp_path)
    before = one.data_version()
    insert(one)
    assert one.data_version() == before
    insert(other)
    assert one.data_version() != before


def test_a_new_connection_is_not_taken_for_the_one_before(tmp_path: Path) -> None:
    """Each counts for itself: what was read by an old one would pass as fresh, in a forked child too."""
    store, other = Store.open(tmp_path), Store.open(tmp_path)
    before, hour = store.clock(), 3_600_000_000
    store.database.close()
    with other.write() as tx:
        tx.set_clock(offset=hour, frozen_at=None)
    assert (before.offset, store.clock().offset) == (0, hour)


def test_the_revision_grows_with_every_write(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    before = store.revision()
    insert(store)
    assert store.revision() == before + 1


def test_a_write_inside_a_write_is_a_bug_that_is_told() -> None:
    store = Store.in_memory()
    with store.write(), pytest.raises(RuntimeError), store.write():
        pass
    insert(store)


def test_a_read_sees_one_moment(tmp_path: Path) -> None:
    reader, writer = Database(state_file(tmp_path)), Store.open(tmp_path)
    with reader.read() as connection:
        insert(writer)
        assert connection.execute("SELECT count(*) FROM executions").fetchone()[0] == 0
    with reader.read() as connection:
        assert connection.execute("SELECT count(*) FROM executions").fetchone()[0] == 1


# --- where it lies --------------------------------------------------------------------------


def test_network_file_systems_are_recognised_by_the_longest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda / ext4 rw 0 0\n"
        "server:/home /home nfs4 rw 0 0\n"
        "tmpfs /home/me/local tmpfs rw 0 0\n"
        "host /mnt/my\\040files fuse.sshfs rw 0 0\n"
        "broken line\n"
    )

    def kind(path: str) -> str | None:
        return network_file_system(Path(path), mounts)

    assert kind("/home/me/project/.defer/state.db") == "nfs4"
    assert kind("/home/me/local/project") is None
    assert kind("/homestead/project") is None
    assert kind("/mnt/my files/project") == "fuse.sshfs"
    assert network_file_system(tmp_path, tmp_path / "no such file") is None


def test_a_project_on_a_network_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "network_file_system", lambda path: "nfs4")
    with pytest.raises(StateFileError, match="nfs4") as caught:
        Store.open(tmp_path)
    assert "DEFER_ENDPOINT" in caught.value.hint


# --- statements -----------------------------------------------------------------------------


def test_every_statement_compiles() -> None:
    with Store.in_memory()._database.read() as connection:
        for name, statement in SQL.items():
            if name not in ("summary", "tally_row"):  # lists of columns
                connection.execute(f"EXPLAIN {statement}", _Anything(statement))


class _Anything(dict):  # type: ignore[type-arg]
    """A value for each parameter, whatever its name."""

    def __new__(cls, statement: str) -> object:  # type: ignore[misc]
        if "?" in statement:
            return (1,) * statement.count("?")
        return super().__new__(cls)

    def __init__(self, statement: str) -> None:
        super().__init__()

    def __missing__(self, name: str) -> int:
        return 1


def test_two_statements_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two queries"):
        load_queries("-- name: one\nSELECT 1;\n-- name: one\nSELECT 2;\n")
