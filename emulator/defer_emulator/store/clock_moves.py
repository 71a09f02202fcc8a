"""What was asked of the emulated clock. Only the holder of the project's lock carries it out."""

from __future__ import annotations

from dataclasses import replace
from sqlite3 import Connection, Row

from defer_client.errors import Conflict
from defer_emulator.clock import to_datetime
from defer_emulator.domain.clock_moves import ClockAction, ClockMove
from defer_emulator.domain.texts import moment
from defer_emulator.store.queries import SQL


def ask(connection: Connection, action: ClockAction, target: int | None, *, now: int) -> ClockMove:
    """Write down what is wanted. What takes no time stops an advance where it is.

    Raises `Conflict` for an advance while there is another.
    """
    for walk in [move for move in active(connection) if move.is_walk]:
        if action in ("advance", "next"):
            where = "" if walk.target is None else f" to {moment(to_datetime(walk.target))}"
            raise Conflict(
                f"the clock is being advanced{where} already",
                hint="wait until it is there, or let it go on from where it is: defer clock resume",
            )
        cancel(connection, walk)
    values = {"action": action, "start": now, "target": target}
    (row,) = connection.execute(SQL["ask_clock_move"], values).fetchall()
    return move_of(row)


def cancel(connection: Connection, move: ClockMove) -> None:
    """Give it up; if it is going, its holder puts the clock right. Nothing happens when it is over."""
    if not move.is_over:
        put(connection, replace(move, state="cancelled" if move.state == "asked" else "cancelling"))


def put(connection: Connection, move: ClockMove) -> None:
    """Write down how it stands."""
    values = {"id": move.id, "state": move.state, "target": move.target, "runs_on": move.runs_on}
    connection.execute(SQL["put_clock_move"], values)


def active(connection: Connection) -> list[ClockMove]:
    """All that are not over, oldest first."""
    return [move_of(row) for row in connection.execute(SQL["active_clock_moves"])]


def move_of(row: Row) -> ClockMove:
    return ClockMove(
        id=row["id"],
        action=row["action"],
        state=row["state"],
        start=row["start"],
        target=row["target"],
        runs_on=bool(row["runs_on"]),
    )
