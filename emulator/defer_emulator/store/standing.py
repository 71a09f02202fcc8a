"""Where one execution stands among the others, read in one go."""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection, Row

from defer_client.models import Attempt, Execution, Failure
from defer_emulator.clock import EmulatedClock
from defer_emulator.domain.functions import RegisteredFunction
from defer_emulator.store.queries import SQL
from defer_emulator.store.registry import registered_of
from defer_emulator.store.rows import execution_of, failure_of

_SHOWN = 20  # related executions


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """What `domain.why.Facts` needs of the project's file, beside the time."""

    execution: Execution  # or the attempt that was asked for
    clock: EmulatedClock
    function: RegisteredFunction | None
    function_paused: bool  # by its own name
    everything_paused: bool
    holders: list[Execution]  # that run, of its function, oldest first; some of them
    holders_count: int
    places_taken: int  # of the whole emulator: what runs and does not wait for others
    awaited: list[Execution]  # that it started, waits for and have not ended; some of them
    awaited_count: int
    last_failure: Failure | None
    ended_by: str | None
    discard_at: int | None  # µs


def standing_of(connection: Connection, row: Row, attempt: Attempt | None, project_id: str) -> Standing:
    """`row` is the whole row of the execution. The transaction must be open."""
    project = connection.execute(SQL["project"]).fetchone()
    function = connection.execute(SQL["function"], (row["function"],)).fetchone()
    holders = connection.execute(SQL["holders"], (row["function"], _SHOWN)).fetchall()
    awaited = connection.execute(SQL["awaited"], (row["id"], _SHOWN)).fetchall()
    failure = connection.execute(SQL["last_failure"], (row["sequence"],)).fetchone()
    return Standing(
        execution=attempt or execution_of(row, project_id),
        clock=EmulatedClock(
            offset=project["time_offset"], frozen_at=project["frozen_at"], epoch=project["epoch"]
        ),
        function=None if function is None else registered_of(function, project_id, all_paused=False),
        function_paused=function is not None and bool(function["paused"]),
        everything_paused=bool(project["paused"]),
        holders=[execution_of(one, project_id) for one in holders],
        holders_count=connection.execute(SQL["places_taken"], (row["function"],)).fetchone()[0],
        places_taken=connection.execute(SQL["all_places_taken"]).fetchone()[0],
        awaited=[execution_of(one, project_id) for one in awaited],
        awaited_count=connection.execute(SQL["count_awaited"], (row["id"],)).fetchone()[0],
        last_failure=attempt.error if attempt else failure_of(failure["failure"] if failure else None),
        ended_by=row["ended_by"],
        discard_at=row["discard_at"],
    )
