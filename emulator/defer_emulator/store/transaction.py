"""One write transaction on the project's file: all that can be changed in it."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from sqlite3 import Connection, Row
from typing import Any

from defer_client.errors import (
    Conflict,
    ExecutionAbortingAlreadyInProgress,
    ExecutionNotCancellable,
    ExecutionNotReschedulable,
)
from defer_client.models import Execution, State
from defer_emulator.clock import Clock, EmulatedClock
from defer_emulator.domain.clock_moves import ClockAction, ClockMove
from defer_emulator.domain.faults import Faults, faults_to_text
from defer_emulator.domain.functions import BrokenFunction, FunctionSpec, RegisteredFunction
from defer_emulator.domain.ids import IdSource, parse_id, short_id, unknown_id
from defer_emulator.domain.work import Change, Claim, Completion, Limits, LogChunk, Running
from defer_emulator.presence import start_time
from defer_emulator.store import clock_moves, registry, settling
from defer_emulator.store.claiming import Claiming
from defer_emulator.store.queries import SQL
from defer_emulator.store.rows import clock_of, dumps, execution_of, text_of
from defer_emulator.store.work_rows import change_of, changes_of, running_of

DISCARDED_AT_ONCE = 1_000  # more are discarded by the next transactions
BY_REQUEST = "request"  # of a person, or of an application outside the emulator
_AT_FIRST = {"state": "created", "attempt": 0, "started_at": None, "finished_at": None, "error_code": None}
NO_ARGUMENTS = '{"positional":[],"keyword":{}}'


@dataclass(frozen=True, kw_only=True, slots=True)
class NewExecution:
    """What is stored of a call. Times are µs on the emulated clock."""

    function: str
    arguments: str  # JSON, as in `Running`
    scheduled_at: int
    discard_at: int | None = None
    metadata: Mapping[str, str]
    executed_by: str | None = None
    rerun_of: str | None = None
    awaited: bool = False  # its parent waits for it
    faults: Faults | None = None


class Transaction:
    """Made by `Store.write`; implements the scheduler's port of that name.

    Everything in it happens at one instant, `now`, and is stamped with one number, `revision`, which
    is true once the transaction is committed.
    """

    def __init__(self, connection: Connection, project_id: str, clock: Clock, ids: IdSource) -> None:
        self._connection = connection
        self._project_id = project_id
        self.real = clock.real()  # the real time, µs
        self._ids = ids
        (row,) = connection.execute(SQL["begin"]).fetchall()
        self.revision: int = row["revision"]
        self.all_paused = bool(row["paused"])
        self.clock = clock_of(row)
        self.has_changed_functions = False
        self._lines = 0  # of logs, written so far

    @property
    def now(self) -> int:
        """The emulated time, µs."""
        return self.clock.at(self.real)

    @property
    def epoch(self) -> int:
        """The clock's epoch: it grows when the clock is moved back."""
        return self.clock.epoch

    def _stamp(self, **values: Any) -> dict[str, Any]:
        return {"now": self.now, "revision": self.revision, **values}

    # --- what applications do ---------------------------------------------------------------

    def insert(self, new: NewExecution) -> Execution:
        """Store a call. Its parent, where it has one, need not exist any more."""
        return execution_of(self._insert(new), self._project_id)

    def _insert(self, new: NewExecution) -> dict[str, Any]:
        """The columns of the new row; reading them back would cost as much as writing them."""
        depth = 0
        if new.executed_by is not None:
            parent = self._connection.execute(SQL["depth"], (new.executed_by,)).fetchone()
            depth = 1 if parent is None else parent["depth"] + 1
        sequence: int = self._connection.execute(SQL["next_sequence"]).fetchone()[0]
        values = self._stamp(
            sequence=sequence,
            id=self._ids.new(sequence),
            function=new.function,
            priority=depth if new.awaited else 0,
            scheduled_at=new.scheduled_at,
            discard_at=new.discard_at,
            executed_by=new.executed_by,
            rerun_of=new.rerun_of,
            depth=depth,
            metadata=dumps(dict(new.metadata)) if new.metadata else "{}",
            arguments=new.arguments,
        )
        self._connection.execute(SQL["insert_execution"], values)
        if new.metadata:
            pairs = [(key, value, sequence) for key, value in new.metadata.items()]
            self._connection.executemany(SQL["insert_metadata"], pairs)
        if new.faults is not None:
            self._connection.execute(SQL["insert_faults"], (sequence, faults_to_text(new.faults)))
        return values | {"created_at": self.now, "updated_at": self.now} | _AT_FIRST

    def start_in_foreground(
        self, new: NewExecution, concurrency: int | None, *, pid: int, since: str
    ) -> Running:
        """Store a call that a process of a person's runs at once, in place of an emulator.

        `since` is its start, in the words of `presence.start_time`. Raises `Conflict` when the limit of the
        function is reached.
        """
        taken = self._connection.execute(SQL["places_taken"], (new.function,)).fetchone()[0]
        if concurrency is not None and taken >= concurrency:
            raise Conflict(
                f"{taken} of {new.function} run already, and its concurrency is {concurrency}",
                hint=f"wait for them, or see what they do: defer list --function {new.function}",
            )
        sequence = self._insert(new)["sequence"]
        values = self._stamp(sequences=f"[{sequence}]", generation=0)
        (row,) = self._connection.execute(SQL["start"], values).fetchall()
        self._connection.execute(SQL["start_attempts"], values)
        self._connection.execute(SQL["insert_foreground"], (sequence, pid, since))
        return running_of(row)

    def forsaken(self) -> list[Running]:
        """All that a process of a person's was running when it was killed."""
        foreground = self._in_foreground()
        rows = self._connection.execute(SQL["running"]) if foreground else ()
        return [running_of(row) for row in rows if not foreground.get(row["sequence"], True)]

    def _in_foreground(self) -> dict[int, bool]:
        """By sequence, whether the process is alive."""
        rows = self._connection.execute(SQL["foreground"])
        return {row["sequence"]: start_time(row["pid"]) == row["start_time"] for row in rows}

    def leave_foreground(self, running: Running) -> None:
        """That process does not run it any more."""
        self._connection.execute(SQL["leave_foreground"], (running.sequence,))

    def require(self, execution_id: str, *, whole: bool = False) -> Row:
        """The row of an execution; with its big columns if `whole`. Raises `ExecutionNotFound`."""
        reference = parse_id(execution_id)
        if reference is not None and reference.attempt is None:
            query = SQL["whole_execution" if whole else "execution"]
            for row in self._connection.execute(query, (reference.id,)).fetchall():
                return row  # type: ignore[no-any-return]
        raise unknown_id(execution_id, "give the id of the execution" if reference else "")

    def descendants(self, execution_id: str) -> list[Row]:
        """An execution and all that it started, and they, oldest first."""
        return self._connection.execute(SQL["descendants"], (execution_id,)).fetchall()

    def called_function(self, name: str) -> Row | None:
        """`kind` and `concurrency` of a registered function."""
        row: Row | None = self._connection.execute(SQL["called_function"], (name,)).fetchone()
        return row

    def waiting_ancestors(self, parent: str) -> list[str]:
        """The functions of the running executions that would wait: the parent's, and on upwards."""
        return [row["function"] for row in self._connection.execute(SQL["waiting_ancestors"], (parent,))]

    def cancel(self, row: Row, *, force: bool, by: str = BY_REQUEST) -> Execution:
        """Cancel one that is `created`; with `force`, begin to abort one that is `started`.

        `by` is the id of the execution that asks for it, if one does.
        Raises `ExecutionNotCancellable`, `ExecutionAbortingAlreadyInProgress`.
        """
        state, short = State(row["state"]), short_id(row["id"])
        name, look = f"execution {short}", f"see what became of it: defer show {short}"
        if state is State.CREATED:
            return self._changed("cancel", row, by=by)
        if state is State.STARTED and force:
            values = {"sequence": row["sequence"], "attempt": row["attempt"], "now": self.now}
            self._connection.execute(SQL["abort_attempt"], values)
            return self._changed("abort", row, by=by)
        if state is State.ABORTING and force:
            raise ExecutionAbortingAlreadyInProgress(f"{name} is being aborted already", hint=look)
        if state.is_final:
            raise ExecutionNotCancellable(f"{name} has finished: its state is {state}", hint=look)
        hint = look if state is State.ABORTING else f"abort it with force: defer cancel {short} --force"
        raise ExecutionNotCancellable(f"{name} is {state}: it runs already", hint=hint)

    def reschedule(self, row: Row, scheduled_at: int) -> Execution:
        """Move the due time of one that is `created`. Raises `ExecutionNotReschedulable`."""
        state, short = State(row["state"]), short_id(row["id"])
        if state is not State.CREATED:
            raise ExecutionNotReschedulable(
                f"execution {short} is {state}: only one that waits can be rescheduled",
                hint=f"run it again as a new one: defer rerun {short}",
            )
        return self._changed("reschedule", row, scheduled_at=scheduled_at)

    def rerun(self, row: Row, arguments: str | None = None) -> Execution:
        """A new execution like the whole `row`, due now, with other `arguments` (JSON) if they are given;
        no `discard_after`, and nobody waits for it."""
        return self.insert(
            NewExecution(
                function=row["function"],
                arguments=row["arguments"] if arguments is None else arguments,
                scheduled_at=self.now,
                metadata=json.loads(row["metadata"]),
                executed_by=row["executed_by"],
                rerun_of=row["id"],
            )
        )

    def _changed(self, query: str, row: Row, **values: int | str) -> Execution:
        values = self._stamp(sequence=row["sequence"], **values)
        (changed,) = self._connection.execute(SQL[query], values).fetchall()
        return execution_of(changed, self._project_id)

    # --- what the project's owner does ------------------------------------------------------

    def pause(self, name: str | None, *, paused: bool) -> None:
        """Of one function, or of everything."""
        self.has_changed_functions = True
        if name is None:
            self._connection.execute(SQL["pause_all"], (paused,))
        else:
            self._connection.execute(SQL["pause_function"], (paused, name))

    def set_durability(self, durability: str) -> None:
        """ "normal" or "full"; connections made from now on follow it."""
        self._connection.execute(SQL["set_durability"], (durability,))

    def set_clock(self, *, offset: int, frozen_at: int | None) -> None:
        """Move, freeze or release the clock: µs, as in `EmulatedClock`. Back in time is a new epoch, in which
        crons count from the new time on."""
        moved = EmulatedClock(offset=offset, frozen_at=frozen_at, epoch=self.clock.epoch)
        if moved.at(self.real) < self.now:
            moved = EmulatedClock(offset=offset, frozen_at=frozen_at, epoch=self.clock.epoch + 1)
            self._connection.execute(SQL["rewind_crons"], (moved.at(self.real),))
            self.has_changed_functions = True
        values = {"offset": moved.offset, "frozen_at": moved.frozen_at, "epoch": moved.epoch}
        self._connection.execute(SQL["set_clock"], values)
        self.clock = moved

    def ask_clock_move(self, action: ClockAction, target: int | None) -> ClockMove:
        """Ask the holder of the project's lock to move the clock. Raises `Conflict`."""
        return clock_moves.ask(self._connection, action, target, now=self.now)

    def cancel_clock_move(self, move: ClockMove) -> None:
        """Give it up where it is. Nothing happens when it is over."""
        clock_moves.cancel(self._connection, move)

    def clock_moves(self) -> list[ClockMove]:
        """What was asked of the clock and is not over, oldest first."""
        return clock_moves.active(self._connection)

    def put_clock_move(self, move: ClockMove) -> None:
        """Write down how it stands."""
        clock_moves.put(self._connection, move)

    def keep_tally(self, revision: int, sequence: int, content: str) -> None:
        """Statistics up to a row, so that they need not be added up again."""
        self._connection.execute(SQL["keep_tally"], (revision, sequence, content))

    # --- what the scheduler does ------------------------------------------------------------

    def changes_since(self, revision: int) -> list[Change]:
        """Rows written by other transactions after `revision`, oldest first; without those that only
        wait for a place."""
        return changes_of(self._connection.execute(SQL["changes_since"], self._stamp(after=revision)))

    def settle(self, completions: Sequence[Completion]) -> list[Change]:
        """Write the ends of attempts, in order; the rows as they are now."""
        return settling.settle(self._connection, completions, now=self.now, revision=self.revision)

    def append_logs(self, chunks: Iterable[LogChunk]) -> None:
        lines = [
            (
                chunk.sequence,
                self.revision,
                line,
                chunk.attempt,
                chunk.time,
                chunk.stream,
                text_of(chunk.message),
            )
            for line, chunk in enumerate(chunks, start=self._lines)
        ]
        self._lines += len(lines)
        self._connection.executemany(SQL["append_log"], lines)

    def discard_due(self) -> list[Change]:
        """Discard what was not started before its `discard_after`: the oldest, if there are very many."""
        first = self.next_discard()  # a look costs less than an update of nothing
        if first is None or first > self.now:
            return []
        values = self._stamp(limit=DISCARDED_AT_ONCE)
        return changes_of(self._connection.execute(SQL["discard_due"], values).fetchall())

    def next_discard(self) -> int | None:
        """When something has to be discarded next, µs."""
        moment: int | None = self._connection.execute(SQL["next_discard"]).fetchone()[0]
        return moment

    def claim(self, limits: Mapping[str, Limits], places: int, generation: int) -> Claim:
        """Start due executions of the functions in `limits`, at most `places`, in their order.

        Nothing, while there is more to discard than one transaction does: it could be among that.
        """
        discard = self.next_discard()
        is_behind = discard is not None and discard <= self.now
        runnable = {} if self.all_paused or is_behind else limits
        claiming = Claiming(self._connection, now=self.now, revision=self.revision, limits=runnable)
        return claiming.claim(places, generation)

    def next_pending(self) -> int | None:
        """When the next execution becomes due that could start if there were an emulator, µs."""
        row = self._connection.execute(SQL["next_pending"], (self.now,)).fetchone()
        return None if row is None else row[0]

    def running(self) -> list[Running]:
        """All that are started or aborting, oldest first; without those that a process of a person's runs."""
        foreground = self._in_foreground()
        rows = self._connection.execute(SQL["running"])
        return [running_of(row) for row in rows if not foreground.get(row["sequence"], False)]

    def fire_cron(self, function: str, minute: int) -> Change | None:
        """Create the execution of a cron's minute, once for each minute and clock epoch; else None."""
        if self._connection.execute(SQL["fire_cron"], (function, minute, self.epoch)).rowcount == 0:
            return None
        new = NewExecution(function=function, arguments=NO_ARGUMENTS, scheduled_at=minute, metadata={})
        return change_of(self._insert(new))

    def cron_seen(self, function: str, minute: int) -> None:
        """Minutes up to this one never fire again."""
        self.has_changed_functions = True
        self._connection.execute(SQL["cron_seen"], {"function": function, "minute": minute})

    def cron_missed(self, function: str, first: int, count: int) -> None:
        """Remember that so many minutes of a cron, from `first` on, were not fired and never will be."""
        self._connection.execute(SQL["miss_cron"], (function, first, count, self.now))

    def register(self, functions: Collection[FunctionSpec], broken: Mapping[str, BrokenFunction]) -> None:
        """Make the table of functions equal to the project; see the scheduler's port."""
        self.has_changed_functions = True
        registry.register(self._connection, functions, broken, now=self.now)

    def remember(self, spec: FunctionSpec) -> None:
        """Take a function in that no emulator has loaded yet."""
        self.has_changed_functions = True
        registry.remember(self._connection, spec)

    def functions(self) -> list[RegisteredFunction]:
        return registry.read_functions(self._connection, self._project_id)


def new_ids(clock: Clock) -> IdSource:
    """Ids from real time and the system's own randomness, which a fork does not repeat."""
    return IdSource(clock.real, os.urandom)
