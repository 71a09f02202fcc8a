"""The numbers, errors, logs and schedules of a whole project."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from defer_client.errors import InvalidRequest
from defer_client.models import ErrorCode, Execution, ExecutionFilters, Failure, State
from defer_emulator.domain.insight import LogPage, LogSearch, QueueDepth, Statistics
from defer_emulator.domain.work import LogChunk
from defer_emulator.operations import Search
from defer_emulator.store import statistics
from defer_emulator.store.statistics import StatisticsReader
from tests.unit.store.world import BOOM, SECOND, World, ids, limits, spec

HOUR = timedelta(hours=1)


def stats(world: World, window: timedelta | None = timedelta(days=1), buckets: int = 48) -> Statistics:
    return world.call(world.operations.statistics(window=window, buckets=buckets))


def some_of_each(world: World) -> None:
    done, failed, cancelled = world.enqueue("add"), world.enqueue("add"), world.enqueue("send")
    world.call(world.backend.cancel_execution(cancelled.id))
    running = {one.id: one for one in world.claim().started}
    world.clock.advance(timedelta(seconds=3))
    world.end(running[done.id])
    world.end(running[failed.id], State.FAILED)
    world.enqueue("job")
    world.claim()
    world.enqueue("job", delay=HOUR)
    world.enqueue("send")


# --- statistics ---------------------------------------------------------------------------------


def test_all_that_is_stored_is_counted_by_state(world: World) -> None:
    some_of_each(world)
    found = stats(world)
    assert found.is_complete and found.total == 6
    assert {state.value: count for state, count in found.counts.items() if count} == {
        "succeed": 1,
        "failed": 1,
        "cancelled": 1,
        "started": 1,
        "created": 2,
    }
    assert set(found.counts) == set(State)
    assert found.activity.failure_rate == 0.5
    assert found.queue == QueueDepth(due=1, delayed=1)
    assert found.places_taken == 1


def test_each_function_has_its_own_numbers(world: World) -> None:
    world.register(spec("add"), spec("never"))
    some_of_each(world)
    functions = stats(world).functions
    assert list(functions) == ["add", "job", "never", "send"]
    add, job, never = functions["add"], functions["job"], functions["never"]
    assert add.counts == {State.SUCCEED: 1, State.FAILED: 1} and add.activity.failure_rate == 0.5
    assert add.activity.run_time is not None and add.activity.run_time.p50 == 3
    assert add.last is not None and add.last.run_time == 3
    assert (job.places_taken, job.queue) == (1, QueueDepth(delayed=1))
    assert job.counts == {State.STARTED: 1, State.CREATED: 1}
    assert (never.counts, never.last, never.activity.failure_rate) == ({}, None, None)


def test_queue_time_begins_when_an_execution_is_due(world: World) -> None:
    execution = world.enqueue(delay=HOUR)
    world.clock.advance(HOUR + timedelta(seconds=5))
    world.run(execution)
    queue_time = stats(world).activity.queue_time
    assert queue_time is not None and queue_time.p50 == queue_time.highest == 5


def test_one_that_is_tried_again_waits_for_its_retry(world: World) -> None:
    world.enqueue()
    (running,) = world.claim().started
    assert stats(world).queue == QueueDepth()
    due = world.store.now() + 60 * SECOND
    world.end(running, State.CREATED, failure=BOOM, due=due)
    assert stats(world).queue == QueueDepth(retrying=1)
    world.clock.advance(timedelta(minutes=1))
    assert stats(world).queue == QueueDepth(due=1)


def test_what_ended_before_the_window_is_stored_but_did_not_happen_in_it(world: World) -> None:
    world.run(world.enqueue())
    world.clock.advance(timedelta(days=2))
    found = stats(world)
    assert found.counts[State.SUCCEED] == 1 and found.activity.counts == {}
    assert stats(world, window=None).activity.counts == {State.SUCCEED: 1}
    assert len(found.activity.buckets) == 49
    assert found.activity.buckets[0].start == found.since


def test_a_reader_follows_what_is_written_after_it_has_begun(world: World) -> None:
    reader = StatisticsReader(world.store)
    for number in range(1, 4):
        world.run(world.enqueue())
        assert reader.catch_up()
        assert reader.statistics(None, 10).counts[State.SUCCEED] == number


def test_a_long_history_is_read_newest_first_and_bit_by_bit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "CHUNK", 2)
    for _ in range(7):
        world.run(world.enqueue())
        world.clock.advance(HOUR)
    reader = StatisticsReader(world.store)
    assert not reader.catch_up(patience=0) and not reader.is_complete
    found = reader.statistics(None, 48)
    assert not found.is_complete
    assert found.counts[State.SUCCEED] == 7, "what is stored is counted at once"
    newest = max(bucket.start for bucket in found.activity.buckets if bucket.total)
    assert found.now - newest < 2 * HOUR
    assert reader.catch_up() and reader.is_complete
    assert reader.statistics(None, 48).activity.counts == {State.SUCCEED: 7}


def test_who_opens_the_file_later_need_not_read_it_all_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "KEEP_AFTER", 1)
    for _ in range(3):
        world.run(world.enqueue(), state=State.FAILED)
    first = StatisticsReader(world.store)
    first.catch_up()
    first.keep()
    with world.store.database.write() as connection:  # so that reading it again could not give the same
        connection.execute("UPDATE executions SET finished_at = 1")
    world.run(world.enqueue())
    second = StatisticsReader(world.store)
    assert second.catch_up()
    found = second.statistics(timedelta(hours=1) // timedelta(microseconds=1), 10)
    assert found.activity.counts == {State.SUCCEED: 1, State.FAILED: 3}
    assert [group.count for group in second.error_groups()] == [3]


def test_what_was_deleted_is_not_counted_any_more(world: World) -> None:
    executions = [world.enqueue() for _ in range(3)]
    world.run(*executions)
    reader = StatisticsReader(world.store)
    reader.catch_up()
    assert reader.statistics(None, 10).counts[State.SUCCEED] == 3
    with world.store.database.write() as connection:
        connection.execute("DELETE FROM executions WHERE id = ?", (executions[0].id,))
    found = reader.statistics(None, 10)
    assert found.counts[State.SUCCEED] == found.functions["job"].counts[State.SUCCEED] == 2


# --- errors -------------------------------------------------------------------------------------


def fail(world: World, function: str, message: str, *, line: int = 1) -> Execution:
    execution = world.enqueue(function)
    stack = f'Traceback:\n  File "{world.store.root}/defer/{function}.py", line {line}, in {function}\n'
    failure = Failure(name="ValueError", message=message, stack=stack, code=ErrorCode.USER)
    world.run(execution, state=State.FAILED, failure=failure)
    world.clock.advance(timedelta(minutes=1))
    return execution


def test_failures_that_are_alike_are_one_group(world: World) -> None:
    same = [fail(world, "add", f"no user {number}", line=number) for number in range(1, 4)]
    fail(world, "send", "no mail")
    groups = world.call(world.operations.error_groups())
    assert [(group.message, group.count) for group in groups] == [("no mail", 1), ("no user 3", 3)]
    group = groups[1]
    assert group.place == "defer/add.py:3 in add"
    assert group.functions == {"add": 3} and list(group.latest) == ids(same[::-1])
    assert group.last_seen - group.first_seen == timedelta(minutes=2)
    assert world.call(world.operations.executions_with_error(group.fingerprint)) == ids(same[::-1])
    assert world.call(world.operations.executions_with_error(group.fingerprint, limit=2)) == ids(same[:0:-1])


def test_groups_are_chosen_by_function_and_time(world: World) -> None:
    fail(world, "add", "old")
    world.clock.advance(HOUR)
    fail(world, "send", "new")
    operations = world.operations

    def messages(**values: Any) -> list[str]:
        return [group.message for group in world.call(operations.error_groups(**values))]

    assert messages() == ["new", "old"]
    assert messages(limit=1) == ["new"]
    assert messages(function="add") == ["old"]
    assert messages(since=timedelta(minutes=30)) == ["new"]
    assert messages(since=datetime(2030, 1, 1, tzinfo=timezone.utc)) == []
    assert world.call(operations.error_group("nothing")) is None
    assert world.call(operations.executions_with_error("nothing")) == []


# --- logs ---------------------------------------------------------------------------------------


def say(world: World, function: str, *lines: str, stream: Any = "stdout") -> Execution:
    execution = world.enqueue(function)
    (running,) = [one for one in world.claim().started if one.id == execution.id]
    with world.store.write() as tx:
        tx.append_logs(
            LogChunk(sequence=running.sequence, attempt=1, time=tx.now, stream=stream, message=line)
            for line in lines
        )
    world.end(running)
    return execution


def search(world: World, cursor: str | None = None, limit: int = 200, **values: Any) -> LogPage:
    return world.call(world.operations.search_logs(LogSearch(**values), cursor=cursor, limit=limit))


def messages_of(page: LogPage) -> Sequence[str]:
    return [line.message for line in page.lines]


def test_lines_of_all_executions_are_found_newest_first(world: World) -> None:
    first = say(world, "add", "one", "two")
    second = say(world, "send", "three")
    page = search(world)
    assert messages_of(page) == ["three", "two", "one"]
    assert [line.execution_id for line in page.lines] == ids([second, first, first])
    assert [line.function for line in page.lines] == ["send", "add", "add"]
    assert page.cursor is None


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"text": "TWO"}, ["line two"]),
        ({"text": "100%"}, ["100% done"]),
        ({"text": "0_d"}, []),
        ({"text": "back\\slash"}, ["back\\slash"]),
        ({"text": "'; DROP TABLE logs; --"}, []),
        ({"functions": ["send"]}, ["100% done"]),
        ({"functions": ["send", "add"], "text": "line"}, ["line two", "line one"]),
        ({"functions": ["nobody"]}, []),
        ({"stream": "stderr"}, ["back\\slash"]),
        ({"stream": "system"}, []),
        ({"since": timedelta(minutes=30)}, ["back\\slash"]),
        ({"since": datetime(2030, 1, 1, tzinfo=timezone.utc)}, []),
    ],
)
def test_lines_are_found_by_text_function_stream_and_time(
    world: World, wanted: dict[str, Any], found: list[str]
) -> None:
    say(world, "add", "line one", "line two")
    say(world, "send", "100% done")
    world.clock.advance(HOUR)
    say(world, "job", "back\\slash", stream="stderr")
    assert messages_of(search(world, **wanted)) == found


def test_pages_of_lines_join_without_gaps_also_inside_one_execution(world: World) -> None:
    for number in range(3):
        say(world, "add", *(f"{number}.{line}" for line in range(5)))
    everything = messages_of(search(world))
    found: list[str] = []
    cursor = None
    while len(found) < 20:
        page = search(world, cursor, 4)
        found += messages_of(page)
        cursor = page.cursor
        if cursor is None:
            break
    assert found == everything and len(found) == 15


def test_a_search_that_finds_nothing_for_a_while_says_how_to_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from defer_emulator.store import searching

    monkeypatch.setattr(searching, "_FIRST_BAND", 2)
    monkeypatch.setattr(searching, "_QUICK", -1.0)
    executions = [say(world, "add", f"line {number}") for number in range(6)]
    with world.store.database.read() as connection:
        wanted = searching.WantedLines(text="line 0")
        page = searching.search_lines(connection, wanted, None, 10, 1e-9)
        assert list(page.lines) == [] and page.cursor is not None
        assert page.searched_to == executions[4].created_at
        cursor: str | None = page.cursor
        found: list[str] = []
        while cursor is not None:
            page = searching.search_lines(connection, wanted, cursor, 10, 1e-9)
            found += messages_of(page)
            cursor = page.cursor
    assert found == ["line 0"]


def test_of_a_long_line_what_was_searched_is_shown(world: World) -> None:
    say(world, "add", "x" * 1_000_000 + " needle " + "y" * 1_000_000)
    (line,) = search(world, text="NEEDLE").lines
    assert line.cut == 2_000_008 - 1_000 and "needle" in line.message and len(line.message) == 1_000
    (line,) = search(world).lines
    assert line.cut == 2_000_008 - 1_000 and line.message == "x" * 1_000


@pytest.mark.parametrize(
    "cursor", ["", "x", "W10=", "WzEsMiwzLDRd", "bnVsbA==", "WzEuNSwxLDFd", "é", "W" * 9_999]
)
def test_an_unknown_cursor_is_refused(world: World, cursor: str) -> None:
    with pytest.raises(InvalidRequest, match="cursor"):
        search(world, cursor)


def test_a_text_that_is_too_long_is_refused(world: World) -> None:
    with pytest.raises(InvalidRequest, match="1,000"):
        search(world, text="x" * 1_001)


# --- counting, arguments ------------------------------------------------------------------------


def test_all_that_match_are_counted(world: World) -> None:
    for number in range(5):
        world.enqueue("add", number, metadata={"team": "a" if number % 2 else "b"})
    world.enqueue("send", "needle")
    cases: list[tuple[Search, int]] = [
        (Search(), 6),
        (Search(function_names=["add"]), 5),
        (Search(function_names=["add", "send"]), 6),
        (Search(function_names=["nobody"]), 0),
        (Search(text="needle"), 1),
        (Search(filters=ExecutionFilters(states=[State.CREATED, State.FAILED])), 6),
        (Search(filters=ExecutionFilters(metadata={"team": ["a", "b"]}), function_names=["add"]), 5),
        (Search(created_since=HOUR), 6),
    ]
    for wanted, number in cases:
        count = world.call(world.operations.count(wanted))
        assert (count.number, count.is_exact) == (number, True), wanted


def test_the_latest_different_arguments_of_a_function_are_offered(world: World) -> None:
    for number in (1, 2, 1, 1, 3):
        latest = world.enqueue("add", number)
    world.enqueue("send", 9)
    world.enqueue("add", "x" * 100_000)
    found = world.call(world.operations.used_arguments("add"))
    assert [one.arguments.positional for one in found] == [[3], [1], [2]]
    assert found[0].execution_id == latest.id
    assert len(world.call(world.operations.used_arguments("add", limit=2))) == 2
    assert world.call(world.operations.used_arguments("nobody")) == []


# --- crons --------------------------------------------------------------------------------------


def test_the_calendar_of_a_cron_shows_its_next_times_and_days(world: World) -> None:
    world.register(spec("add"), spec("nightly", cron="30 3 * * *"), spec("often", cron="*/20 12-13 * * *"))
    world.functions["nightly"] = limits()
    world.call(world.operations.pause("often"))
    nightly, often = world.call(world.operations.schedules(times=2, days=3))
    assert (nightly.function, nightly.paused, often.paused) == ("nightly", False, True)
    assert [f"{moment:%d %H:%M}" for moment in nightly.next] == ["01 03:30", "02 03:30"]
    assert [(day.day.day, day.count) for day in nightly.days] == [(1, 1), (2, 1), (3, 1)]
    day = often.days[1]
    assert day.first is not None and day.last is not None
    assert (day.count, f"{day.first:%H:%M}", f"{day.last:%H:%M}") == (6, "12:00", "13:40")
    world.clock.advance(timedelta(hours=4))
    nightly, _ = world.call(world.operations.schedules(times=2, days=1))
    (today,) = nightly.days
    assert (today.count, today.first, today.last) == (0, None, None), "that one is over"


def test_missed_crons_are_remembered_newest_first(world: World) -> None:
    first = world.store.now()
    with world.store.write() as tx:
        tx.cron_missed("nightly", first, 3)
    with world.store.write() as tx:
        tx.cron_missed("often", first, 1)
    found = world.call(world.operations.missed_crons())
    assert [(one.function, one.count) for one in found] == [("often", 1), ("nightly", 3)]
    assert world.call(world.operations.missed_crons(limit=1)) == found[:1]
