"""What the CLI and the console do to a project's file."""

from __future__ import annotations

import pytest

from defer_client.errors import (
    AmbiguousId,
    ExecutionNotCancellable,
    ExecutionNotFound,
    UnknownFunction,
)
from defer_client.models import State
from tests.unit.store.world import World, ids, spec


def resolve(world: World, text: str) -> str:
    return world.call(world.operations.resolve_id(text))


def test_an_id_is_found_by_any_unique_beginning_or_end(world: World) -> None:
    executions = [world.enqueue() for _ in range(50)]
    one = executions[20]
    for length in (8, 12, 13, 24, 36):
        assert resolve(world, one.id[-length:]) == one.id
    assert resolve(world, one.id[-8:].upper()) == one.id
    assert resolve(world, one.id[:36]) == one.id
    assert resolve(world, one.id.upper()) == one.id


def test_short_ids_never_collide(world: World) -> None:
    assert len({world.enqueue().id[-8:] for _ in range(300)}) == 300


def test_an_ambiguous_id_is_refused_and_its_candidates_named(world: World) -> None:
    first, second = world.enqueue("add"), world.enqueue("send")
    common = first.id[:8]
    assert second.id.startswith(common), "made in the same minute"
    with pytest.raises(AmbiguousId, match=r"add.*send|send.*add"):
        resolve(world, common)


def test_ids_that_end_alike_are_all_found(world: World) -> None:
    by_end: dict[str, int] = {}
    executions = [world.enqueue() for _ in range(600)]
    for execution in executions:
        by_end[execution.id[-4:]] = by_end.get(execution.id[-4:], 0) + 1
    for execution in executions[::50]:
        if by_end[execution.id[-4:]] == 1:
            assert resolve(world, execution.id[-4:]) == execution.id


def test_the_number_of_an_attempt_is_kept(world: World) -> None:
    execution = world.enqueue()
    world.claim()
    assert resolve(world, f"{execution.id[-8:]}.1") == f"{execution.id}.1"
    assert resolve(world, f"{execution.id}.1") == f"{execution.id}.1"
    with pytest.raises(ExecutionNotFound):
        resolve(world, f"{execution.id[-8:]}.2")


def test_the_latest_and_the_latest_failure_have_names(world: World) -> None:
    with pytest.raises(ExecutionNotFound, match="no executions"):
        resolve(world, "@last")
    failed = world.enqueue()
    with pytest.raises(ExecutionNotFound, match="has failed"):
        resolve(world, "@last-failed")
    world.run(failed, state=State.FAILED)
    latest = world.enqueue()
    assert (resolve(world, "@last"), resolve(world, "@last-failed")) == (latest.id, failed.id)
    assert resolve(world, "@last-failed.1") == f"{failed.id}.1"
    for none_such in ("@last.1", "@last-failed.2", "@last.0", "@last.", "@latest"):
        with pytest.raises(ExecutionNotFound):
            resolve(world, none_such)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "zzzz",
        "%%%%",
        "____",
        "0000-",
        "-----",
        "00000000",
        "a" * 200,
        "ｆｆｆｆ",
        "\udcff" * 4,
        "@first",
    ],
)
def test_what_is_no_id_is_not_found(world: World, text: str) -> None:
    world.enqueue()
    with pytest.raises(ExecutionNotFound):
        resolve(world, text)


def test_a_function_is_found_by_its_name_or_by_the_javascript_form_of_it(world: World) -> None:
    world.register(spec("send_html_mail"), spec("add"))

    def find(name: str) -> str:
        return world.call(world.operations.find_function(name)).spec.name

    assert [find(name) for name in ("send_html_mail", "sendHtmlMail", "sendHTMLMail")] == [
        "send_html_mail"
    ] * 3
    with pytest.raises(UnknownFunction, match="did you mean send_html_mail"):
        find("sendHtmlMial")
    world.register(spec("add"))
    with pytest.raises(UnknownFunction):
        find("send_html_mail")


def test_pausing_an_unknown_function_is_refused(world: World) -> None:
    with pytest.raises(UnknownFunction):
        world.call(world.operations.pause("nobody"))


def test_a_pause_of_everything_shows_on_every_function_and_ends_alone(world: World) -> None:
    world.register(spec("add"), spec("send"))
    world.call(world.operations.pause("add"))
    world.call(world.operations.pause())
    assert world.call(world.operations.is_paused())
    assert all(one.paused for one in world.call(world.operations.functions()))
    world.call(world.operations.resume())
    assert not world.call(world.operations.is_paused())
    assert [one.spec.name for one in world.store.functions() if one.paused] == ["add"]


def test_children_come_oldest_first(world: World) -> None:
    parent = world.enqueue("add")
    children = [world.enqueue("send", parent=parent) for _ in range(3)]
    world.enqueue("send", parent=children[0])
    assert ids(world.call(world.operations.children(parent.id))) == ids(children)
    assert ids(world.call(world.operations.children(parent.id, limit=2))) == ids(children[:2])
    with pytest.raises(ExecutionNotFound):
        world.call(world.operations.children("nobody"))


def test_a_whole_tree_is_cancelled_where_it_can_be(world: World) -> None:
    root = world.enqueue("add")
    child = world.enqueue("send", parent=root)
    grandchild = world.enqueue("job", parent=child)
    other = world.enqueue("job")
    changed = world.call(world.operations.cancel_tree(root.id))
    assert ids(changed) == ids([root, child, grandchild])
    assert world.states(root, child, grandchild, other) == ["cancelled"] * 3 + ["created"]
    with pytest.raises(ExecutionNotCancellable):
        world.call(world.operations.cancel_tree(root.id))


def test_a_running_tree_needs_force(world: World) -> None:
    root = world.enqueue("add")
    world.claim()
    child = world.enqueue("send", parent=root)
    with pytest.raises(ExecutionNotCancellable):
        world.call(world.operations.cancel_tree(root.id))
    assert world.states(root, child) == ["started", "created"]
    world.call(world.operations.cancel_tree(root.id, force=True))
    assert world.states(root, child) == ["aborting", "cancelled"]


def test_the_children_of_a_finished_execution_can_still_be_cancelled(world: World) -> None:
    root = world.enqueue("add")
    world.run(root)
    child = world.enqueue("send", parent=root)
    assert ids(world.call(world.operations.cancel_tree(root.id))) == [child.id]
    assert world.states(root, child) == ["succeed", "cancelled"]
