"""The project's file as the rest of the program sees it: one method for each thing to read or write."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection, Row
from typing import TYPE_CHECKING, Literal

from defer_client.models import (
    Arguments,
    Attempt,
    Execution,
    ExecutionFilters,
    LogLine,
    Outcome,
    Page,
    PageOf,
)
from defer_emulator.clock import Clock, EmulatedClock, SystemClock, to_datetime
from defer_emulator.domain.ids import IdSource, parse_id, sequences_of, unknown_id
from defer_emulator.store import listing
from defer_emulator.store.attempts import attempt_matches
from defer_emulator.store.database import Database
from defer_emulator.store.listing import Condition, Slice, Wanted
from defer_emulator.store.opening import prepare
from defer_emulator.store.queries import SQL
from defer_emulator.store.rows import (
    arguments_of,
    attempt_of,
    clock_of,
    execution_of,
    function_id,
    log_line_of,
    outcome_of,
)

if TYPE_CHECKING:  # a command that only reads loads none of these
    from defer_emulator.domain.clock_moves import ClockMove
    from defer_emulator.domain.faults import Faults
    from defer_emulator.domain.functions import RegisteredFunction
    from defer_emulator.domain.insight import Count, FoundExecutions, MissedCron
    from defer_emulator.store.printed import Lines
    from defer_emulator.store.standing import Standing
    from defer_emulator.store.transaction import Transaction

Durability = Literal["normal", "full"]


class Store:
    """A project's file, for all threads of a process and, each with its own connection, its children.

    Implements the scheduler's port `SchedulerStore`. Every method raises `StateFileError` when the file
    cannot be used. `clock` gives the real time; the emulated one is in the file.
    """

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()
        self._ids: IdSource | None = None  # made by the first transaction
        self._seen: tuple[int, EmulatedClock] | None = None  # the clock, at a version of the file
        self._known: tuple[int, dict[str, RegisteredFunction]] | None = None  # functions, at another one
        with database.read() as connection:
            self.project_id: str = connection.execute(SQL["project"]).fetchone()["id"]

    @classmethod
    def open(
        cls,
        root: Path,
        *,
        create: bool = True,
        durability: Durability | None = None,
        clock: Clock | None = None,
    ) -> Store:
        """The store of the project at `root`.

        A missing file is made, with its folder `.defer`, unless `create` is False: then `NoBackendError`.
        A file of an older version is brought up to date, which needs the project's lock or nobody who
        holds it. `durability` is remembered in the file; None leaves it as it is. Raises `StateFileError`.
        """
        store = cls(Database(prepare(root, create=create)), clock)
        if durability is not None:
            store._set_durability(durability)
        return store

    @classmethod
    def in_memory(cls, clock: Clock | None = None) -> Store:
        """A store of its own that nothing else can see, for tests."""
        return cls(Database(None), clock)

    @property
    def database(self) -> Database:
        """For the rest of this package."""
        return self._database

    @property
    def root(self) -> Path | None:
        """The project's root; None for a store in memory."""
        path = self._database.path
        return None if path is None else path.parent.parent

    def close(self) -> None:
        self._database.close()

    def _set_durability(self, durability: Durability) -> None:
        with self._database.read() as connection:
            stored = connection.execute(SQL["project"]).fetchone()["durability"]
        if stored != durability:
            with self.write() as tx:
                tx.set_durability(durability)
            self._database.close()  # a connection reads it when it is made

    # --- for the scheduler ------------------------------------------------------------------

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction: committed at the end of the block, rolled back by an exception."""
        from defer_emulator.store.transaction import Transaction, new_ids

        if self._ids is None:
            self._ids = new_ids(self._clock)
        with self._database.write() as connection:
            tx = Transaction(connection, self.project_id, self._clock, self._ids)
            before = tx.clock
            yield tx
        if tx.clock is not before:
            self._seen = None
        if tx.has_changed_functions:
            self._known = None

    def data_version(self) -> int:
        """A number that changes when another connection has written. Costs 3 µs."""
        return self._database.data_version()

    def revision(self) -> int:
        """The number of the latest write, by this store or another one."""
        with self._database.read() as connection:
            revision: int = connection.execute(SQL["project"]).fetchone()["revision"]
        return revision

    def clock(self) -> EmulatedClock:
        version = self._database.data_version()  # a tenth of the cost of reading it
        if self._seen is None or self._seen[0] != version:
            with self._database.read() as connection:
                self._seen = version, clock_of(connection.execute(SQL["project"]).fetchone())
        return self._seen[1]

    def clock_and_moves(self) -> tuple[EmulatedClock, list[ClockMove]]:
        """The clock, and what was asked of it and is not over, oldest first."""
        from defer_emulator.store import clock_moves

        with self._database.read() as connection:
            return self.clock(), clock_moves.active(connection)

    def clock_move(self, number: int) -> ClockMove:
        """How it stands now."""
        from defer_emulator.store import clock_moves

        with self._database.read() as connection:
            return clock_moves.move_of(connection.execute(SQL["clock_move"], (number,)).fetchone())

    def now(self) -> int:
        """The emulated time, µs."""
        return self.clock().at(self._clock.real())

    def real(self) -> int:
        """The real time, µs."""
        return self._clock.real()

    def emulated_delay(self, until: int) -> float | None:
        """Seconds of real time until the emulated clock shows `until`; None while it is frozen before it."""
        return self.clock().delay(until, self._clock.real())

    def outcomes(self, ids: Collection[str]) -> dict[str, Outcome]:
        """How these executions ended; those that have not are left out."""
        with self._database.read() as connection:
            rows = connection.execute(SQL["outcomes"], (json.dumps(list(ids)),)).fetchall()
        return {row["id"]: outcome_of(row, self.project_id) for row in rows}

    # --- one execution ----------------------------------------------------------------------

    def get(self, execution_id: str) -> Execution | Attempt:
        """An execution by its id, or one of its attempts by that one's. Raises `ExecutionNotFound`."""
        with self._database.read() as connection:
            row, attempt = self._find(connection, execution_id)
        return attempt or execution_of(row, self.project_id)

    def get_outcome(self, execution_id: str) -> tuple[Execution | Attempt, Outcome]:
        """An execution or an attempt, beside how its execution stands. Raises `ExecutionNotFound`."""
        with self._database.read() as connection:
            row, attempt = self._find(connection, execution_id, "whole_execution")
        outcome = outcome_of(row, self.project_id)
        return attempt or outcome.execution, outcome

    def get_arguments(self, execution_id: str) -> Arguments:
        """Raises `ExecutionNotFound`."""
        with self._database.read() as connection:
            row, _ = self._find(connection, execution_id, "whole_execution")
        return arguments_of(row)

    def get_logs(self, execution_id: str) -> list[LogLine]:
        """Oldest first; of one attempt when an attempt's id is given. Raises `ExecutionNotFound`."""
        with self._database.read() as connection:
            row, attempt = self._find(connection, execution_id)
            number = None if attempt is None else attempt.attempt
            values = {"sequence": row["sequence"], "attempt": number}
            return [log_line_of(line) for line in connection.execute(SQL["logs"], values)]

    def lines_of(self, ids: Sequence[str], *, since: int, last: int | None) -> Lines:
        """What these executions printed since a time in µs; the `last` lines of each, if that is given."""
        from defer_emulator.store import printed

        with self._database.read() as connection:
            return printed.lines_of(connection, ids, since=since, last=last)

    def lines_after(self, position: int, wanted: Wanted, ids: Sequence[str] | None) -> Lines:
        """What was printed after a position: by these executions, or by all that match."""
        from defer_emulator.store import printed

        with self._database.read() as connection:
            wanted = self._with_function_names(connection, wanted)
            return printed.lines_after(connection, position, wanted, ids)

    def faults(self, execution_id: str) -> Faults | None:
        """What was asked to go wrong with an execution. Raises `ExecutionNotFound`."""
        with self._database.read() as connection:
            row, _ = self._find(connection, execution_id)
            found = connection.execute(SQL["faults"], (row["sequence"],)).fetchone()
        if found is None:
            return None
        from defer_emulator.domain.faults import faults_from_text

        return faults_from_text(found["faults"])

    def standing(self, execution_id: str) -> Standing:
        """Where an execution, or one of its attempts, stands among the others. Raises `ExecutionNotFound`."""
        from defer_emulator.store.standing import standing_of

        with self._database.read() as connection:
            row, attempt = self._find(connection, execution_id, "whole_execution")
            return standing_of(connection, row, attempt, self.project_id)

    def _find(
        self, connection: Connection, execution_id: str, query: str = "execution"
    ) -> tuple[Row, Attempt | None]:
        reference = parse_id(execution_id)
        if reference is None:
            raise unknown_id(execution_id)
        row = connection.execute(SQL[query], (reference.id,)).fetchone()
        if row is None:
            raise unknown_id(execution_id)
        if reference.attempt is None:
            return row, None
        attempt = connection.execute(SQL["attempt"], (row["sequence"], reference.attempt)).fetchone()
        if attempt is None:
            raise unknown_id(execution_id)
        return row, attempt_of(row, attempt, self.project_id)

    # --- lists ------------------------------------------------------------------------------

    def list_executions(self, page: Page, wanted: Wanted) -> PageOf[Execution]:
        """Newest first. Raises `InvalidRequest` for an unknown cursor."""
        with self._database.read() as connection:
            wanted = self._with_function_names(connection, wanted)
            tests = listing.tests_of(wanted)
            best = listing.best_filter(wanted, lambda count: _all(connection, count)[0][0])

            def fetch(part: Slice) -> list[Row]:
                return _all(connection, listing.slice_statement(best, tests, part))

            rows = listing.paginate(page, "executions", fetch, lambda row: int(row["sequence"]))
        return listing.mapped(rows, lambda row: execution_of(row, self.project_id))

    def _with_function_names(self, connection: Connection, wanted: Wanted) -> Wanted:
        """The file knows functions by their names; ids are made from them."""
        if not wanted.filters.function_ids:
            return wanted
        ids = set(wanted.filters.function_ids)
        called = [row["name"] for row in connection.execute(SQL["called_names"])]
        names = [name for name in called if function_id(self.project_id, name) in ids]
        if wanted.functions is not None:
            names = [name for name in names if name in wanted.functions]
        return Wanted(
            filters=wanted.filters, functions=names, created_from=wanted.created_from, text=wanted.text
        )

    def find(self, page: Page, wanted: Wanted, patience: float | None) -> FoundExecutions:
        """As `list_executions`, but for about `patience` seconds. Raises `InvalidRequest`."""
        from defer_emulator.store.searching import search_executions

        with self._database.read() as connection:
            wanted = self._with_function_names(connection, wanted)
            return search_executions(connection, page, wanted, self.project_id, patience)

    def count(self, wanted: Wanted, patience: float | None) -> Count:
        """How many executions match; at least how many, where `patience`, in seconds, did not suffice."""
        from defer_emulator.store.searching import count_executions

        with self._database.read() as connection:
            return count_executions(connection, self._with_function_names(connection, wanted), patience)

    def list_attempts(self, execution_id: str, page: Page, filters: ExecutionFilters) -> PageOf[Attempt]:
        """Newest first. Raises `ExecutionNotFound`, `InvalidRequest`."""
        with self._database.read() as connection:
            execution, _ = self._find(connection, execution_id)
            rows = connection.execute(SQL["attempts"], (execution["sequence"],)).fetchall()
        attempts = [attempt_of(execution, row, self.project_id) for row in rows]
        matching = [attempt for attempt in attempts if attempt_matches(attempt, filters)]

        def fetch(part: Slice) -> list[Attempt]:
            ordered = reversed(matching) if part.newer else matching
            beyond = [
                one for one in ordered if part.bound is None or (one.attempt > part.bound) == part.newer
            ]
            return [one for one in beyond if one.attempt != part.bound][: part.limit]

        found = listing.paginate(page, execution["id"], fetch, lambda attempt: attempt.attempt)
        return listing.mapped(found, lambda attempt: attempt)

    def children(self, execution_id: str, limit: int) -> list[Execution]:
        """What an execution started, oldest first. Raises `ExecutionNotFound`."""
        with self._database.read() as connection:
            parent, _ = self._find(connection, execution_id)
            rows = connection.execute(SQL["children"], (parent["id"], limit)).fetchall()
        return [execution_of(row, self.project_id) for row in rows]

    def latest(self, *, failed: bool = False) -> str | None:
        """The id of the newest execution, or of the newest that failed."""
        with self._database.read() as connection:
            row = connection.execute(SQL["latest_failed" if failed else "latest"]).fetchone()
        return None if row is None else row["id"]

    def ids_like(self, text: str, limit: int) -> list[tuple[str, str]]:
        """Ids that begin or end with `text` (hexadecimal digits and dashes), with their functions."""
        prefix = {"first": text, "beyond": text + "~", "limit": limit}
        with self._database.read() as connection:
            rows = connection.execute(SQL["ids_that_begin"], prefix).fetchall()
            digits = text.rpartition("-")[2]
            if digits:
                first, step = sequences_of(digits)
                end = {"first": first, "step": step, "suffix": text, "offset": -len(text), "limit": limit}
                rows += connection.execute(SQL["ids_that_end"], end).fetchall()
        return list({row["id"]: (row["id"], row["function"]) for row in rows}.values())

    # --- functions --------------------------------------------------------------------------

    def functions(self) -> list[RegisteredFunction]:
        """All that the project's file knows, by name. While everything is paused, each of them is."""
        from defer_emulator.store.registry import read_functions

        with self._database.read() as connection:
            return read_functions(connection, self.project_id)

    def function(self, name: str) -> RegisteredFunction | None:
        """The one of that exact name, without reading the others."""
        version, seen = self._database.data_version(), self._known
        if seen is None or seen[0] != version:
            seen = self._known = version, {}
        known = seen[1]
        if name not in known:
            from defer_emulator.store.registry import registered_of

            for row in self._database.select(SQL["function"], (name,)):
                known[name] = registered_of(row, self.project_id, all_paused=bool(row["all_paused"]))
        return known.get(name)

    def missed_crons(self, limit: int) -> list[MissedCron]:
        """Newest first."""
        from defer_emulator.domain.insight import MissedCron

        return [
            MissedCron(
                function=row["function"],
                first=to_datetime(row["first"]),
                count=row["count"],
                noticed_at=to_datetime(row["noticed_at"]),
            )
            for row in self._database.select(SQL["missed_crons"], (limit,))
        ]

    def is_paused(self) -> bool:
        """Whether everything is."""
        with self._database.read() as connection:
            return bool(connection.execute(SQL["project"]).fetchone()["paused"])


def _all(connection: Connection, statement: Condition) -> list[Row]:
    return connection.execute(statement.sql, statement.values).fetchall()
