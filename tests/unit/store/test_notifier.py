"""What is told of failures, and when, on a clock that stands still."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from defer_client.models import ErrorCode, Execution, Failure, State
from defer_emulator.domain.notifications import KINDS, Kind
from defer_emulator.notify.grouping import LONGEST, LONGEST_AGAIN, MOST_TRIES, PER_MINUTE
from defer_emulator.notify.webhook import Delivery
from defer_emulator.operations import LocalOperations
from defer_emulator.operations.notifier import Notifier, NotifierOptions
from defer_emulator.operations.outbox import OutboxMessage
from defer_emulator.store import outbox
from tests.unit.store.world import BOOM, SECOND, World, ids

QUIET = timedelta(seconds=2)


class Server:
    """Takes messages, or does not."""

    def __init__(self) -> None:
        self.answer = Delivery(is_sent=True)
        self.tries: list[dict[str, Any]] = []

    def __call__(self, body: str) -> Delivery:
        self.tries.append(json.loads(body))
        return self.answer


class Desk:
    """A notifier whose steps a test takes."""

    def __init__(self, world: World, *, sends: bool = True, kinds: Sequence[Kind] = KINDS) -> None:
        self.world = world
        self.server = Server()
        self.options = NotifierOptions(
            project="shop",
            console="http://localhost:3337",
            kinds=kinds,
            format="json",
            secrets=["s3cret-key"],
            send=self.server if sends else None,
        )
        self.operations = LocalOperations(world.store, wake=lambda: None, notifier=lambda: self.options)
        self.restart()

    def restart(self) -> None:
        self.notifier = Notifier(self.world.store, self.options, chance=lambda: 0.5)

    def step(self, after: timedelta = timedelta()) -> float:
        self.world.clock.advance(after)
        return self.notifier.step()

    def settle(self) -> list[dict[str, Any]]:
        """Until all is told; what was sent."""
        self.step()
        self.step(QUIET)
        return self.server.tries

    def messages(self) -> list[OutboxMessage]:
        return self.world.call(self.operations.outbox())


@pytest.fixture
def desk(world: World) -> Iterator[Desk]:
    yield Desk(world)


def fail(world: World, function: str = "job", message: str = "boom", **call: Any) -> Execution:
    execution = world.enqueue(function, **call)
    failure = Failure(name="ValueError", message=message, stack="", code=ErrorCode.USER)
    world.run(execution, state=State.FAILED, failure=failure)
    return execution


# --- what is told -------------------------------------------------------------------------------


def test_a_failed_root_is_told_with_its_function_metadata_and_error(world: World, desk: Desk) -> None:
    execution = fail(world, "send", "no mail", metadata={"user": "7"})
    (body,) = desk.settle()
    assert (body["event"], body["project"], body["count"]) == ("execution.failed", "shop", 1)
    assert body["title"] == "send failed"
    assert body["execution"] == {
        "id": execution.id,
        "function_name": "send",
        "state": "failed",
        "attempt": 1,
        "metadata": {"user": "7"},
    }
    assert body["error"] == {"name": "ValueError", "message": "no mail", "code": "ER0003", "place": None}
    assert body["url"] == f"http://localhost:3337/executions/{execution.id}"
    assert body["failed_descendants"] == []


def test_one_that_will_be_tried_again_is_not_told_until_it_gives_up(world: World, desk: Desk) -> None:
    execution = world.enqueue()
    world.run(execution, state=State.CREATED, failure=BOOM, due=world.store.now())
    assert desk.settle() == []
    world.run(execution, state=State.FAILED)
    (body,) = desk.settle()
    assert body["execution"]["attempt"] == 2


@pytest.mark.parametrize("ending", ["succeed", "cancelled", "discarded", "aborted"])
def test_what_ends_otherwise_is_not_told(world: World, desk: Desk, ending: str) -> None:
    execution = world.enqueue(discard_after=timedelta(seconds=1) if ending == "discarded" else None)
    if ending == "succeed":
        world.run(execution)
    elif ending == "discarded":
        world.clock.advance(timedelta(seconds=1))
        with world.store.write() as tx:
            tx.discard_due()
    elif ending == "aborted":
        (running,) = world.claim().started
        world.call(world.backend.cancel_execution(execution.id, force=True))
        world.end(running, State.FAILED)
    else:
        world.call(world.backend.cancel_execution(execution.id))
    assert world.states(execution) == [ending]
    assert desk.settle() == []


def tree(world: World) -> tuple[Execution, Execution, Execution]:
    """A root, its child and its grandchild."""
    root = world.enqueue("add")
    child = world.enqueue("send", parent=root)
    return root, child, world.enqueue("job", parent=child)


def test_a_failed_root_tells_of_all_that_failed_below_it(world: World, desk: Desk) -> None:
    root, child, grandchild = tree(world)
    running = {one.id: one for one in world.claim().started}
    for execution in (grandchild, child):
        world.end(running[execution.id], State.FAILED)
        assert desk.settle() == [], "its root still runs"
    world.end(running[root.id], State.FAILED)
    (body,) = desk.settle()
    assert body["event"] == "execution.failed" and body["execution"]["id"] == root.id
    assert [one["id"] for one in body["failed_descendants"]] == ids([child, grandchild])
    assert body["failed_descendants_count"] == 2


def test_a_failure_that_its_root_handled_is_told_when_that_has_succeeded(world: World, desk: Desk) -> None:
    root, child, grandchild = tree(world)
    running = {one.id: one for one in world.claim().started}
    world.end(running[grandchild.id], State.FAILED)
    world.end(running[child.id])
    assert desk.settle() == []
    world.end(running[root.id])
    (body,) = desk.settle()
    assert body["event"] == "execution.handled"
    assert (body["execution"]["id"], body["execution"]["state"], body["error"]) == (root.id, "succeed", None)
    assert [one["function_name"] for one in body["failed_descendants"]] == ["job"]
    assert body["title"] == "job failed in add, which succeeded"


def test_a_child_that_outlives_its_root_and_fails_is_told_as_handled(world: World, desk: Desk) -> None:
    root, _, grandchild = tree(world)
    running = {one.id: one for one in world.claim().started}
    world.end(running[root.id])
    assert desk.settle() == []
    world.end(running[grandchild.id], State.FAILED)
    (body,) = desk.settle()
    assert body["event"] == "execution.handled"


def test_children_that_fail_just_after_their_root_join_its_message(world: World, desk: Desk) -> None:
    root, child, grandchild = tree(world)
    running = {one.id: one for one in world.claim().started}
    world.end(running[root.id], State.FAILED)
    desk.step()
    world.end(running[child.id], State.FAILED)
    desk.step()
    (body,) = desk.settle()
    assert [one["id"] for one in body["failed_descendants"]] == [child.id]
    world.end(running[grandchild.id], State.FAILED)
    assert len(desk.settle()) == 1, "one message for a failed root, and that is sent"


def test_a_failed_rerun_of_a_child_whose_root_is_gone_is_told_as_a_root(world: World, desk: Desk) -> None:
    root = world.enqueue("add")
    child = world.enqueue("send", parent=root)
    with world.store.database.write() as connection:
        connection.execute("DELETE FROM executions WHERE id = ?", (root.id,))
    world.run(child, state=State.FAILED)
    (body,) = desk.settle()
    assert (body["event"], body["execution"]["id"]) == ("execution.failed", child.id)


def test_many_failed_children_are_counted_and_some_are_named(world: World, desk: Desk) -> None:
    root = world.enqueue("add")
    children = [world.enqueue("send", parent=root) for _ in range(outbox.AT_ONCE + 30)]
    running = {one.id: one for one in world.claim(1_000).started}
    for execution in (*children, root):
        world.end(running[execution.id], State.FAILED)
    (body,) = desk.settle()
    assert body["failed_descendants_count"] == len(children)
    assert len(body["failed_descendants"]) == 10


def test_missed_crons_are_told_together(world: World, desk: Desk) -> None:
    with world.store.write() as tx:
        tx.cron_missed("nightly", tx.now, 1)
        tx.cron_missed("often", tx.now, 41)
    (body,) = desk.settle()
    assert (body["event"], body["count"]) == ("cron.missed", 42)
    assert [(one["function_name"], one["count"]) for one in body["crons"]] == [("nightly", 1), ("often", 41)]
    assert body["title"] == "42 runs of nightly and often were missed"
    assert body["url"] == "http://localhost:3337/schedules"


def test_kinds_that_nobody_wants_are_forgotten(world: World) -> None:
    desk = Desk(world, kinds=["failed"])
    with world.store.write() as tx:
        tx.cron_missed("nightly", tx.now, 1)
    assert desk.settle() == [] and desk.messages() == []
    fail(world)
    assert len(desk.settle()) == 1


# --- when it is told ----------------------------------------------------------------------------


def test_a_storm_gives_one_message_with_a_count(world: World, desk: Desk) -> None:
    for number in range(100):
        fail(world, "send", f"no user {number}")
    (body,) = desk.settle()
    assert (body["count"], len(body["executions"])) == (100, 10)
    assert body["title"] == "send failed, 100 times"


def test_other_errors_and_functions_have_messages_of_their_own(world: World, desk: Desk) -> None:
    for function, message in (("send", "no"), ("send", "yes"), ("add", "no")):
        fail(world, function, message)
    assert [body["count"] for body in desk.settle()] == [1, 1, 1]


def test_a_storm_without_a_pause_is_told_all_the_same_and_then_less_often(world: World, desk: Desk) -> None:
    sent = []
    for second in range(100):
        fail(world)
        desk.step(timedelta(seconds=1))
        if len(desk.server.tries) > len(sent):
            sent.append(second)
    # The first failure of each was gathered a second after the step before.
    longest, again = LONGEST // SECOND + 1, LONGEST_AGAIN // SECOND + 1
    assert [later - earlier for earlier, later in zip((-1, *sent), sent, strict=False)] == [longest, again]
    assert [body["count"] for body in desk.server.tries] == [longest, again]


def test_no_more_than_some_messages_are_sent_in_a_minute(world: World, desk: Desk) -> None:
    for number in range(PER_MINUTE + 5):
        fail(world, "send", "abcdefghijklmnopqrstuvwxyz"[number])
    assert len(desk.settle()) == PER_MINUTE
    desk.step(timedelta(seconds=30))
    assert len(desk.server.tries) == PER_MINUTE
    desk.step(timedelta(seconds=31))
    assert len(desk.server.tries) == PER_MINUTE + 5


def test_a_step_says_when_the_next_one_is_due(world: World, desk: Desk) -> None:
    assert desk.step() > 10
    fail(world)
    assert 0 < desk.step() <= 2


# --- sending ------------------------------------------------------------------------------------


def test_without_being_asked_nothing_is_sent_and_the_outbox_shows_what_would_be(world: World) -> None:
    desk = Desk(world, sends=False)
    fail(world, "send", "no mail")
    desk.step()
    (message,) = desk.messages()
    assert message.state == "open"
    desk.step(QUIET)
    (kept,) = desk.messages()
    assert (kept.state, kept.title, kept.tries) == ("kept", "send failed", 0)
    assert kept.error == "ValueError: no mail"
    assert kept.body == message.body
    assert desk.server.tries == []


def test_what_was_kept_is_not_sent_by_a_later_start_that_sends(world: World) -> None:
    desk = Desk(world, sends=False)
    fail(world)
    desk.settle()
    later = Desk(world)
    assert later.settle() == []


def test_the_outbox_holds_exactly_what_was_sent(world: World, desk: Desk) -> None:
    fail(world)
    (body,) = desk.settle()
    (message,) = desk.messages()
    assert message.body == body
    assert message.state == "sent" and message.sent_at is not None and message.problem is None


def test_a_server_in_trouble_is_tried_again_with_longer_and_longer_pauses(world: World, desk: Desk) -> None:
    desk.server.answer = Delivery(is_sent=False, problem="503", may_work_later=True)
    fail(world)
    delays = []
    desk.step()
    delay = desk.step(QUIET)
    while desk.messages()[0].state == "pending":
        delays.append(delay)
        delay = desk.step(timedelta(seconds=delay))
    assert len(desk.server.tries) == MOST_TRIES
    assert delays[:4] == [1, 2, 4, 8]
    (message,) = desk.messages()
    assert (message.state, message.tries, message.problem) == ("failed", MOST_TRIES, "503")


def test_a_server_that_recovers_gets_the_message_once(world: World, desk: Desk) -> None:
    desk.server.answer = Delivery(is_sent=False, problem="503", may_work_later=True)
    fail(world)
    desk.settle()
    desk.server.answer = Delivery(is_sent=True)
    for _ in range(3):
        desk.step(timedelta(seconds=2))
    assert len(desk.server.tries) == 2
    assert [(message.state, message.tries) for message in desk.messages()] == [("sent", 2)]


def test_a_server_says_how_long_to_wait(world: World, desk: Desk) -> None:
    desk.server.answer = Delivery(is_sent=False, problem="429", may_work_later=True, retry_after=20)
    fail(world)
    desk.step()
    assert desk.step(QUIET) == 20


def test_a_server_that_refuses_is_not_asked_again(world: World, desk: Desk) -> None:
    desk.server.answer = Delivery(is_sent=False, problem="404: no_service")
    fail(world)
    desk.settle()
    desk.step(timedelta(hours=1))
    assert len(desk.server.tries) == 1
    assert [(one.state, one.problem) for one in desk.messages()] == [("failed", "404: no_service")]


def test_one_that_cannot_be_sent_holds_up_no_other(world: World, desk: Desk) -> None:
    desk.server.answer = Delivery(is_sent=False, problem="503", may_work_later=True)
    fail(world, "send")
    desk.settle()
    desk.server.answer = Delivery(is_sent=True)
    fail(world, "add")
    desk.step()
    desk.step(QUIET)
    assert [message.state for message in desk.messages()] == ["sent", "sent"]


# --- being killed -------------------------------------------------------------------------------


def test_what_a_killed_emulator_did_not_tell_is_told_by_the_next(world: World, desk: Desk) -> None:
    fail(world, "add")
    fail(world, "send")
    desk.step()
    desk.restart()
    assert [body["title"] for body in desk.settle()] == ["add failed", "send failed"]


def test_what_was_not_sent_is_tried_at_once_by_the_next_start(world: World, desk: Desk) -> None:
    desk.server.answer = Delivery(is_sent=False, problem="down", may_work_later=True, retry_after=3_000)
    fail(world)
    desk.settle()
    desk.server.answer = Delivery(is_sent=True)
    desk.step(timedelta(seconds=10))
    assert len(desk.server.tries) == 1, "it waits for its time"
    desk.restart()
    desk.step()
    assert [message.state for message in desk.messages()] == ["sent"]


def test_a_stop_tells_what_still_gathers(world: World, desk: Desk) -> None:
    fail(world)
    desk.notifier.step(at_end=True)
    assert [message.state for message in desk.messages()] == ["sent"]


# --- the outbox ---------------------------------------------------------------------------------


def test_no_message_shows_a_secret(world: World, desk: Desk) -> None:
    fail(world, "send", "cannot log in with s3cret-key", metadata={"key": "s3cret-key"})
    (body,) = desk.settle()
    (message,) = desk.messages()
    for text in (json.dumps(body), repr(message)):
        assert "s3cret-key" not in text and "[secret]" in text


def test_the_outbox_is_read_in_pages(world: World, desk: Desk) -> None:
    for number in range(5):
        fail(world, "send", "abcde"[number])
    desk.settle()
    first = world.call(desk.operations.outbox(limit=2))
    rest = world.call(desk.operations.outbox(before=first[-1].id))
    assert [message.id for message in (*first, *rest)] == [5, 4, 3, 2, 1]
    one = world.call(desk.operations.outbox_message(3))
    assert one is not None and one.id == 3
    assert world.call(desk.operations.outbox_message(99)) is None


def test_old_messages_leave_the_outbox(world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "KEPT", 3)
    for number in range(5):
        fail(world, "send", "abcde"[number])
        desk.settle()
    assert [message.id for message in desk.messages()] == [5, 4, 3]


def test_whoever_shows_the_outbox_is_told_where_messages_go(world: World) -> None:
    settings = world.call(Desk(world, sends=False).operations.outbox_settings())
    assert (settings.is_sending, settings.where, settings.format) == (False, None, "json")
