"""Searches that take a short while only, and executions that belong together."""

from __future__ import annotations

import pytest

from defer_client.errors import InvalidRequest
from defer_client.models import Arguments, Call, Execution, Page, State
from defer_emulator.backend import LocalBackend
from defer_emulator.domain.insight import FoundExecutions
from defer_emulator.operations import Search
from defer_emulator.operations.executions import wanted_of
from defer_emulator.store import searching
from tests.unit.store.world import World

AT_ONCE = 1e-9  # seconds


def find(world: World, page: Page, search: Search, patience: float | None = None) -> FoundExecutions:
    return world.store.find(page, wanted_of(search, world.store.now()), patience)


def ids(found: FoundExecutions) -> list[str]:
    return [one.id for one in found.executions]


def child_of(world: World, parent: Execution, *, awaited: bool = False) -> Execution:
    backend = LocalBackend(world.store, parent=parent.id, wake=lambda: None)
    call = Call(function_name="send", arguments=Arguments(), awaited=awaited)
    return world.call(backend.enqueue(call))


def test_a_search_finds_what_the_list_finds(world: World) -> None:
    all_ids = [world.enqueue("send").id for _ in range(30)][::-1]
    world.call(world.backend.cancel_execution(all_ids[3]))
    first = find(world, Page(first=12), Search())
    second = find(world, Page(first=12, after=first.page_info.end_cursor), Search(text="send"))
    assert ids(first) + ids(second) == all_ids[:24]
    back = find(world, Page(last=12, before=second.page_info.start_cursor), Search(text="send"))
    assert ids(back) == ids(first)
    assert back.page_info.has_next_page and not back.page_info.has_prev_page
    assert ids(find(world, Page(last=5), Search())) == all_ids[-5:]
    assert first.searched_to is None
    with pytest.raises(InvalidRequest):
        find(world, Page(after="nonsense"), Search())


def test_a_search_that_takes_too_long_goes_on_where_it_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "_FIRST_BAND", 10)
    wanted = world.enqueue("add")
    for _ in range(34):
        world.enqueue("send")
    search, pages, page = Search(text="add"), 0, Page(first=5)
    while True:
        found = find(world, page, search, AT_ONCE)
        if found.executions:
            break
        pages += 1
        assert found.searched_to is not None and found.page_info.has_next_page
        page = Page(first=5, after=found.page_info.end_cursor)
    assert ids(found) == [wanted.id] and pages == 3
    assert not found.page_info.has_next_page and found.searched_to is None


def test_a_search_towards_the_newest_goes_on_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "_FIRST_BAND", 10)
    oldest = world.enqueue("send")
    for _ in range(30):
        world.enqueue("send")
    wanted = world.enqueue("add")
    cursor = find(world, Page(last=1), Search()).page_info.start_cursor
    assert oldest.id in ids(find(world, Page(last=1), Search()))
    for _ in range(4):
        found = find(world, Page(last=5, before=cursor), Search(text="add"), AT_ONCE)
        if found.executions:
            break
        cursor = found.page_info.start_cursor
    assert ids(found) == [wanted.id]


def test_a_tree_has_all_levels_and_is_cut_at_the_lowest(world: World) -> None:
    root = world.enqueue("send")
    children = [child_of(world, root, awaited=place == 0) for place in range(2)]
    grandchildren = [child_of(world, one) for one in children for _ in range(2)]
    operations = world.operations
    tree = world.call(operations.tree(root.id))
    assert [one.id for one in tree.executions] == [one.id for one in [root, *children, *grandchildren]]
    assert set(tree.awaited) == {children[0].id} and not tree.is_cut
    cut = world.call(operations.tree(root.id, limit=4))
    assert {one.id for one in cut.executions} > {root.id, *(one.id for one in children)}
    assert len(cut.executions) == 4 and cut.is_cut
    above = world.call(operations.ancestors(grandchildren[0].id))
    assert [one.id for one in above] == [root.id, children[0].id]
    assert world.call(operations.ancestors(root.id)) == []


def test_children_are_counted_by_function_and_state(world: World) -> None:
    root = world.enqueue("send")
    children = [child_of(world, root) for _ in range(3)]
    world.call(world.backend.cancel_execution(children[1].id))
    found = world.call(world.operations.children_by_state(root.id))
    assert [(one.state, one.count) for one in found] == [(State.CREATED, 2), (State.CANCELLED, 1)]
    assert found[1].latest == children[1].id


def test_reruns_are_found_newest_first(world: World) -> None:
    execution = world.enqueue("send")
    again = [world.call(world.backend.rerun_execution(execution.id)) for _ in range(3)]
    found = world.call(world.operations.reruns(execution.id, limit=2))
    assert [one.id for one in found] == [again[2].id, again[1].id]
    assert world.call(world.operations.reruns(again[0].id)) == []
