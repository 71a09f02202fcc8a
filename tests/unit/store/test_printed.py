"""Lines of many executions, from a place on."""

from __future__ import annotations

from datetime import timedelta

from defer_client.models import Execution, ExecutionFilters, State
from defer_emulator.clock import to_datetime
from defer_emulator.domain.work import LogChunk, Running
from defer_emulator.operations import Search
from defer_emulator.store.printed import Lines
from tests.unit.store.world import World

EVERYTHING = Search()


def prints(world: World, running: Running, *messages: str) -> None:
    with world.store.write() as tx:
        tx.append_logs(
            LogChunk(
                sequence=running.sequence,
                attempt=running.attempt,
                time=tx.now,
                stream="stdout",
                message=message,
            )
            for message in messages
        )


def start(world: World, *executions: Execution) -> list[Running]:
    running = {one.id: one for one in world.claim().started}
    return [running[execution.id] for execution in executions]


def shown(lines: Lines) -> list[str]:
    return [f"{one.function}: {one.line.message}" for one in lines.lines]


def test_lines_of_several_come_in_the_order_in_which_they_were_written(world: World) -> None:
    executions = world.enqueue("add"), world.enqueue("send")
    add, send = start(world, *executions)
    prints(world, add, "1")
    prints(world, send, "2")
    prints(world, add, "3", "4")
    ids = [execution.id for execution in executions]
    assert shown(world.call(world.operations.printed(ids))) == ["add: 1", "send: 2", "add: 3", "add: 4"]
    assert shown(world.call(world.operations.printed(ids[:1], last=2))) == ["add: 3", "add: 4"]
    assert shown(world.call(world.operations.printed(ids, last=0))) == []
    assert shown(world.call(world.operations.printed(["no such id"]))) == []


def test_lines_since_a_moment(world: World) -> None:
    execution = world.enqueue("add")
    (running,) = start(world, execution)
    prints(world, running, "early")
    world.clock.advance(timedelta(minutes=1))
    prints(world, running, "late")
    since = to_datetime(world.clock.real())
    assert shown(world.call(world.operations.printed([execution.id], since=since))) == ["add: late"]


def test_what_follows_a_position_is_given_once(world: World) -> None:
    first = world.enqueue("add")
    (running,) = start(world, first)
    prints(world, running, "before")
    position = world.call(world.operations.printed([first.id])).position
    prints(world, running, "after")
    lines = world.call(world.operations.printed_after(position, EVERYTHING))
    assert shown(lines) == ["add: after"]
    assert shown(world.call(world.operations.printed_after(lines.position, EVERYTHING))) == []


def test_the_last_lines_of_one_that_has_ended_meanwhile_are_not_lost(world: World) -> None:
    position = world.call(world.operations.printed([])).position
    for state in (State.SUCCEED, State.FAILED):
        execution = world.enqueue("add")
        (running,) = start(world, execution)
        prints(world, running, str(state))
        world.end(running, state)
    lines = world.call(world.operations.printed_after(position, EVERYTHING))
    assert shown(lines) == ["add: succeed", "add: failed"]


def test_a_search_or_ids_choose_whose_lines(world: World) -> None:
    executions = world.enqueue("add", metadata={"team": "a"}), world.enqueue("send", metadata={"team": "b"})
    for running in start(world, *executions):
        prints(world, running, "hello")

    def after(search: Search, ids: list[str] | None = None) -> list[str]:
        return shown(world.call(world.operations.printed_after(0, search, ids)))

    send = world.get(executions[1])
    assert after(EVERYTHING) == ["add: hello", "send: hello"]
    assert after(Search(function_names=["add"])) == ["add: hello"]
    assert after(Search(filters=ExecutionFilters(metadata={"team": ["b"]}))) == ["send: hello"]
    assert after(Search(filters=ExecutionFilters(function_ids=[send.function_id]))) == ["send: hello"]
    assert after(Search(filters=ExecutionFilters(states=[State.FAILED]))) == []
    assert after(EVERYTHING, [send.id]) == ["send: hello"]
    assert after(EVERYTHING, []) == []
