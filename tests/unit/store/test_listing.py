"""Pages and filters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from defer_client.errors import InvalidRequest
from defer_client.models import (
    ErrorCode,
    Execution,
    ExecutionFilters,
    Interval,
    Page,
    PageOf,
    State,
)
from defer_emulator.operations import Search
from defer_emulator.store import listing
from tests.unit.store.world import BOOM, World, ids

Pages = Callable[[Page], PageOf[Execution]]


def pages_of(world: World, **filters: Any) -> Pages:
    return lambda page: world.call(world.backend.list_executions(page, ExecutionFilters(**filters)))


def found(world: World, **filters: Any) -> list[str]:
    return ids(pages_of(world, **filters)(Page(first=1_000)).data)


def newest_first(executions: Sequence[Execution]) -> list[str]:
    return ids(executions)[::-1]


def flags(page: PageOf[Execution]) -> tuple[bool, bool]:
    return page.page_info.has_prev_page, page.page_info.has_next_page


def test_a_page_has_twenty_executions_newest_first_unless_said(world: World) -> None:
    executions = [world.enqueue() for _ in range(25)]
    page = pages_of(world)(Page())
    assert ids(page.data) == newest_first(executions)[:20]
    assert flags(page) == (False, True)


def test_forward_and_back_through_all_pages(world: World) -> None:
    order = newest_first([world.enqueue() for _ in range(7)])
    pages = pages_of(world)
    first = pages(Page(first=3))
    second = pages(Page(first=3, after=first.page_info.end_cursor))
    third = pages(Page(first=3, after=second.page_info.end_cursor))
    assert [ids(page.data) for page in (first, second, third)] == [order[:3], order[3:6], order[6:]]
    assert [flags(page) for page in (first, second, third)] == [(False, True), (True, True), (True, False)]
    back = pages(Page(last=3, before=third.page_info.start_cursor))
    front = pages(Page(last=3, before=back.page_info.start_cursor))
    assert [ids(back.data), ids(front.data)] == [order[3:6], order[:3]]
    assert [flags(back), flags(front)] == [(True, True), (False, True)]


def test_last_alone_gives_the_oldest_newest_first(world: World) -> None:
    order = newest_first([world.enqueue() for _ in range(5)])
    page = pages_of(world)(Page(last=2))
    assert ids(page.data) == order[3:]
    assert flags(page) == (True, False)
    everything = pages_of(world)(Page(last=5))
    assert flags(everything) == (False, False)


def test_an_empty_page_has_empty_cursors_and_right_flags(world: World) -> None:
    pages = pages_of(world)
    empty = pages(Page())
    assert (empty.data, empty.page_info.start_cursor, empty.page_info.end_cursor) == ([], "", "")
    assert flags(empty) == (False, False)
    world.enqueue()
    only = pages(Page())
    beyond = pages(Page(after=only.page_info.end_cursor))
    assert (beyond.data, flags(beyond)) == ([], (True, False))
    before = pages(Page(before=only.page_info.start_cursor))
    assert (before.data, flags(before)) == ([], (False, True))


def test_cursors_are_stable_while_new_executions_arrive(world: World) -> None:
    order = newest_first([world.enqueue() for _ in range(4)])
    pages = pages_of(world)
    first = pages(Page(first=2))
    world.enqueue()
    second = pages(Page(first=2, after=first.page_info.end_cursor))
    assert ids(second.data) == order[2:]
    newer = pages(Page(last=5, before=first.page_info.start_cursor))
    assert len(newer.data) == 1


@pytest.mark.parametrize(
    "cursor", ["", "x", "AAAA", "AAAAAAAAAAE=", "🙂", "\udcff", "A" * 16, "A" * 5_000, " "]
)
def test_an_unknown_cursor_is_refused(world: World, cursor: str) -> None:
    world.enqueue()
    with pytest.raises(InvalidRequest):
        pages_of(world)(Page(after=cursor))
    with pytest.raises(InvalidRequest):
        pages_of(world)(Page(before=cursor))


def test_a_cursor_of_another_list_or_a_changed_one_is_refused(world: World) -> None:
    execution = world.enqueue()
    world.claim()
    cursor = pages_of(world)(Page()).page_info.end_cursor
    attempts = world.call(world.backend.list_execution_attempts(execution.id, Page(), ExecutionFilters()))
    for wrong in (attempts.page_info.end_cursor, cursor + "=", cursor[:-1], "B" + cursor[1:]):
        with pytest.raises(InvalidRequest):
            pages_of(world)(Page(after=wrong))


def test_filters_by_state_function_error_and_parent(world: World) -> None:
    parent, failed = world.enqueue("add"), world.enqueue("send")
    running = {one.id: one for one in world.claim().started}
    child = world.enqueue("send", parent=parent)
    world.end(running[failed.id], State.FAILED)
    assert found(world, states=[State.STARTED]) == [parent.id]
    assert found(world, states=[State.CREATED, State.FAILED]) == [child.id, failed.id]
    assert found(world, states=[State.DISCARDED]) == []
    assert found(world, function_ids=[failed.function_id]) == [child.id, failed.id]
    assert found(world, function_ids=["unknown"]) == []
    assert found(world, function_ids=[parent.function_id, failed.function_id]) == [
        child.id,
        failed.id,
        parent.id,
    ]
    assert found(world, error_codes=[ErrorCode.USER]) == [failed.id]
    assert found(world, error_codes=[ErrorCode.TIMEOUT]) == []
    assert found(world, executed_by=parent.id) == [child.id]
    assert found(world, executed_by=parent.id, states=[State.FAILED]) == []
    assert found(world, function_ids=[failed.function_id], states=[State.FAILED]) == [failed.id]


def test_filters_by_metadata_take_any_value_of_every_key(world: World) -> None:
    one = world.enqueue(metadata={"user": "1", "plan": "pro"})
    two = world.enqueue(metadata={"user": "2", "plan": "pro"})
    free = world.enqueue(metadata={"user": "1", "plan": "free"})
    assert found(world, metadata={"user": ["1"]}) == [free.id, one.id]
    assert found(world, metadata={"user": ["1", "2"], "plan": ["pro"]}) == [two.id, one.id]
    assert found(world, metadata={"user": ["3"]}) == []
    assert found(world, metadata={"user": []}) == [free.id, two.id, one.id]
    assert found(world, metadata={f"key{number}": ["1"] for number in range(2_000)}) == []
    assert found(world, metadata={"user": [str(number) for number in range(3_000)]}) == [
        free.id,
        two.id,
        one.id,
    ]
    assert found(world, metadata={"user": ["\udcff"]}) == []


def test_intervals_include_both_ends_and_never_what_has_no_such_time(world: World) -> None:
    def at(seconds: int) -> datetime:
        return start + timedelta(seconds=seconds)

    start = world.call(world.backend.now())
    now = world.enqueue("add")
    later = world.enqueue(delay=timedelta(seconds=10))
    world.claim()
    assert found(world, scheduled_at=Interval(start=at(10))) == [later.id]
    assert found(world, scheduled_at=Interval(end=at(0))) == [now.id]
    assert found(world, scheduled_at=Interval(start=at(0), end=at(10))) == [later.id, now.id]
    assert found(world, scheduled_at=Interval(start=at(1), end=at(9))) == []
    assert found(world, scheduled_at=Interval()) == [later.id, now.id]
    assert found(world, started_at=Interval()) == [now.id]
    assert found(world, started_at=Interval(start=at(0), end=at(0))) == [now.id]
    assert found(world, started_at=Interval(start=at(1))) == []
    naive = at(10).replace(tzinfo=None)
    assert found(world, scheduled_at=Interval(start=naive, end=naive)) == [later.id]


def test_every_way_to_read_a_list_gives_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(60):
        world.enqueue(("add", "send", "job")[number % 3], number, metadata={"n": str(number % 4)})
        if number % 5 == 0:
            world.clock.advance(timedelta(seconds=1))
            for running in world.claim(places=3).started:
                world.end(running, State.FAILED if number % 2 else State.SUCCEED)
    wanted = ExecutionFilters(
        states=[State.FAILED, State.SUCCEED],
        metadata={"n": ["0", "1", "3"]},
        scheduled_at=Interval(start=world.call(world.backend.now()) - timedelta(seconds=9)),
    )
    results = set()
    for selective in (1, 5, 20, 5_000):
        monkeypatch.setattr(listing, "_SELECTIVE", selective)
        seen, cursor = [], None
        while True:
            page = world.call(world.backend.list_executions(Page(first=4, after=cursor), wanted))
            seen += ids(page.data)
            cursor = page.page_info.end_cursor
            if not page.page_info.has_next_page:
                break
        results.add(tuple(seen))
    (only,) = results
    assert len(only) > 8
    everything = world.call(world.backend.list_executions(Page(first=1_000), ExecutionFilters())).data
    assert list(only) == [
        one.id
        for one in everything
        if one.state in wanted.states
        and one.metadata["n"] in "013"
        and one.scheduled_at >= wanted.scheduled_at.start  # type: ignore[union-attr, operator]
    ]


def test_search_by_name_time_and_text(world: World) -> None:
    def search(**fields: Any) -> list[str]:
        return ids(world.call(world.operations.search(Page(), Search(**fields))).data)

    old = world.enqueue("add", 'Say "hello"\n100%')
    world.run(old, state=State.FAILED, failure=BOOM)
    world.clock.advance(timedelta(hours=2))
    new = world.enqueue("send", {"name": "Zoë_x"})
    assert search(function_names=["add"]) == [old.id]
    assert search(function_names=["add", "send", "none"]) == [new.id, old.id]
    assert search(function_names=["add"], filters=ExecutionFilters(function_ids=[new.function_id])) == []
    assert search(created_since=timedelta(hours=1)) == [new.id]
    assert search(created_since=old.created_at) == [new.id, old.id]
    assert search(text="SEND") == [new.id]
    assert search(text='"HELLO"\n100%') == [old.id]
    assert search(text="Zoë_") == [new.id]
    assert search(text="Zo__") == []
    assert search(text="boom") == [old.id]
    assert search(text="nothing like it") == []
    assert search(text="\udcff") == []
    assert search(text="x" * 100_000) == []


def test_attempts_are_filtered_and_paged_like_executions(world: World) -> None:
    execution = world.enqueue(metadata={"a": "b"})
    for _ in range(4):
        (running,) = world.claim().started
        world.end(running, State.CREATED, failure=BOOM, due=world.store.now())
    world.claim()

    def attempts(page: Page | None = None, **filters: Any) -> PageOf[Any]:
        return world.call(
            world.backend.list_execution_attempts(execution.id, page or Page(), ExecutionFilters(**filters))
        )

    assert [one.attempt for one in attempts().data] == [5, 4, 3, 2, 1]
    first = attempts(Page(first=2))
    second = attempts(Page(first=2, after=first.page_info.end_cursor))
    assert [one.attempt for one in second.data] == [3, 2]
    assert flags(second) == (True, True)
    oldest = attempts(Page(last=2))
    assert ([one.attempt for one in oldest.data], flags(oldest)) == ([2, 1], (True, False))
    newer = attempts(Page(last=2, before=oldest.page_info.start_cursor))
    assert ([one.attempt for one in newer.data], flags(newer)) == ([4, 3], (True, True))
    assert [one.attempt for one in attempts(states=[State.STARTED]).data] == [5]
    assert len(attempts(error_codes=[ErrorCode.USER]).data) == 4
    assert len(attempts(metadata={"a": ["b"]}, function_ids=[execution.function_id]).data) == 5
    assert attempts(metadata={"a": ["c"]}).data == []
    assert attempts(executed_by="another").data == []
