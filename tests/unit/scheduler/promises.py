"""The promises of the scheduler, which must hold at every moment of any history."""

from __future__ import annotations

import json
from collections import Counter
from sqlite3 import Row

from defer_client.models import State
from defer_emulator.domain.jobs import Job
from defer_emulator.domain.states import NEXT
from defer_emulator.scheduler.alarm import LONGEST_SLEEP
from tests.unit.scheduler.history import History, next_minute

ALLOWED = {(old.value, new.value) for (old, _), new in NEXT.items()}
# What may start now, in its order, with what its function's limit leaves.
_RUNNABLE = """
SELECT e.sequence, e.function, e.priority, e.scheduled_at, e.started_at, f.concurrency,
    (SELECT count(*) FROM executions AS r
     WHERE r.function = e.function AND r.state IN ('started', 'aborting')) AS taken
FROM executions AS e JOIN functions AS f ON f.name = e.function
WHERE e.state = 'created' AND e.scheduled_at <= ? AND f.status = 'ready' AND NOT f.paused
    AND NOT (SELECT paused FROM project)
ORDER BY e.priority DESC, e.scheduled_at, e.sequence
"""


class CheckedHistory(History):
    """Looks at each start as it happens; `check` looks at everything when nothing more happens."""

    # --- looking ----------------------------------------------------------------------------

    def runnable(self) -> list[Row]:
        """Due, ready, not paused, and with a place in its function's limit; in the order of the spec."""
        found = [
            row
            for row in self.rows(_RUNNABLE, self.store.now())
            if row["concurrency"] is None or row["taken"] < row["concurrency"]
        ]
        ages = {(row["function"], row["scheduled_at"], row["sequence"]) for row in found}
        return [  # of a function with one place, only the first
            row
            for row in found
            if row["concurrency"] != 1
            or (row["function"], row["scheduled_at"], row["sequence"])
            == min(age for age in ages if age[0] == row["function"])
        ]

    def resumable(self) -> list[int]:
        """Who waits for nothing but a place."""
        return [
            sequence
            for sequence, waits in self.pool.pending.items()
            if sequence not in self.pool.dying
            and len(self.store.outcomes(set(waits.values()))) == len(set(waits.values()))
        ]

    def _on_start(self, job: Job) -> None:
        """The promises about each single start. All starts of a tick are committed by now."""
        (row,) = self.rows("SELECT * FROM executions WHERE sequence = ?", job.sequence)
        assert (row["state"], row["attempt"]) == ("started", job.attempt)
        assert row["scheduled_at"] <= self.store.now(), "started before it was due"
        running = Counter(one.function for one in self.pool.jobs.values())
        limit = self.registered(job.function).concurrency
        assert limit is None or running[job.function] <= limit, "the function's limit"
        assert len(self.pool.jobs) - len(self.pool.parked) <= self.max_concurrency, "max_concurrency"
        assert not self._passed_over(), "a parent that could go on comes before anything new"
        mine = (-row["priority"], row["scheduled_at"], row["sequence"])
        for other in self.runnable():
            theirs = (-other["priority"], other["scheduled_at"], other["sequence"])
            assert mine < theirs, f"{other['sequence']} should have started before {job.sequence}"
        if limit == 1:
            older = """SELECT sequence FROM executions WHERE function = ? AND state = 'created'
                AND (scheduled_at, sequence) < (?, ?)"""
            found = self.rows(older, job.function, row["scheduled_at"], job.sequence)
            assert not found, "concurrency=1 is strictly first in, first out"
        (attempt,) = self.rows(
            "SELECT * FROM attempts WHERE sequence = ? ORDER BY attempt DESC LIMIT 1", job.sequence
        )
        assert (attempt["attempt"], attempt["generation"]) == (job.attempt, self.pool.generation)

    def _on_resume(self) -> None:
        assert self.free_places() >= 0, "it goes on without a place"

    def _passed_over(self) -> list[int]:
        """Who could go on; without those whose child was cancelled by its limit in the very same claim."""
        now = self.store.now()
        by_limit = self.rows("SELECT id FROM executions WHERE ended_by = 'limit' AND finished_at = ?", now)
        just_cancelled = {row["id"] for row in by_limit}
        return [
            sequence
            for sequence in self.resumable()
            if just_cancelled.isdisjoint(self.pool.pending[sequence].values())
        ]

    # --- the promises -----------------------------------------------------------------------

    def check(self) -> None:
        """What must hold whenever the scheduler has nothing to do."""
        executions = self.rows("SELECT * FROM executions ORDER BY sequence")
        self._check_nothing_is_lost(executions)
        self._check_states(executions)
        self._check_attempts(executions)
        self._check_crons(executions)
        if self.scheduler is not None:
            self._check_alive(executions)

    def _check_nothing_is_lost(self, executions: list[Row]) -> None:
        kept = {
            row["id"]: (row["function"], json.loads(row["arguments"])["positional"][0])
            for row in executions
            if row["id"] in self.calls
        }
        assert kept == self.calls

    def _check_states(self, executions: list[Row]) -> None:
        births, last = Counter[int](), {}
        for row in self.rows("SELECT * FROM seen_states ORDER BY rowid"):
            last[row["sequence"]] = row["new"]
            if row["old"] is None:
                births[row["sequence"]] += 1
                assert row["new"] == "created"
            else:
                assert (row["old"], row["new"]) in ALLOWED
        assert births == {row["sequence"]: 1 for row in executions}
        assert last == {row["sequence"]: row["state"] for row in executions}
        for row in executions:
            ended = State(row["state"]).is_final
            assert (row["finished_at"] is not None) == ended
            assert (row["result"] is not None) == (row["state"] == "succeed")
            assert (row["failure"] is not None) == (row["state"] == "failed")

    def _check_attempts(self, executions: list[Row]) -> None:
        attempts: dict[int, list[Row]] = {row["sequence"]: [] for row in executions}
        for row in self.rows("SELECT * FROM attempts ORDER BY sequence, attempt"):
            attempts[row["sequence"]].append(row)
        for row in executions:
            mine = attempts[row["sequence"]]
            assert [one["attempt"] for one in mine] == list(range(1, row["attempt"] + 1))
            assert all(State(one["state"]).is_final for one in mine[:-1])
            runs = row["state"] in ("started", "aborting")
            if mine:
                assert (mine[-1]["finished_at"] is None) == runs
                assert not runs or mine[-1]["state"] == row["state"]
            assert not runs or row["started_at"] == mine[-1]["started_at"]

    def _check_crons(self, executions: list[Row]) -> None:
        fired = Counter(row["function"] for row in self.rows("SELECT function FROM cron_fires"))
        assert fired == +self.expected_fires, "each due minute exactly once"
        made = Counter(
            row["function"]
            for row in executions
            if row["id"] not in self.calls and not row["rerun_of"] and row["function"] in fired
        )
        assert made == fired

    def _check_alive(self, executions: list[Row]) -> None:
        now, pool = self.store.now(), self.pool
        assert {row["sequence"] for row in executions if row["state"] in ("started", "aborting")} == set(
            pool.jobs
        ), "what is said to run does, and nothing else"
        aborting = {row["sequence"] for row in executions if row["state"] == "aborting"}
        assert aborting <= pool.dying, "an abort kills"
        free = self.free_places()
        assert free <= 0 or not self.resumable(), "a parent that could go on has a place"
        waiting = self.runnable()
        if waiting and free > 0:
            assert pool.room <= 0, f"{waiting[0]['sequence']} could run"
            assert pool.wanted, "the pool is asked for workers"
        for row in executions:
            if row["state"] == "created" and row["started_at"] is None:
                assert row["discard_at"] is None or row["discard_at"] > now, "discarded in time"
        self._check_limit_action(now)
        self._check_alarm(executions, now)

    def _check_limit_action(self, now: int) -> None:
        cancelling = {name for name, spec in self.specs.items() if spec.max_concurrency_action == "cancel"}
        for row in self.rows(_RUNNABLE, now):
            limit = row["concurrency"]
            if row["function"] in cancelling and limit is not None and row["taken"] >= limit:
                assert row["started_at"] is not None, "beyond the limit it is cancelled"

    def _check_alarm(self, executions: list[Row], now: int) -> None:
        """The scheduler wakes up by itself when the next thing is due."""
        ready = {one.spec.name: one for one in self.store.functions()}
        runs = {name for name, one in ready.items() if one.status == "ready" and not one.paused}
        moments = [
            row["scheduled_at"]
            for row in executions
            if row["state"] == "created" and row["function"] in runs and row["scheduled_at"] > now
        ]
        moments += [
            row["discard_at"]
            for row in executions
            if row["state"] == "created" and row["started_at"] is None and row["discard_at"]
        ]
        for name, after in self.looked_at.items():
            spec = ready[name].spec if name in ready else None
            if spec is not None and spec.cron and ready[name].status != "removed":
                moments.append(next_minute(spec.cron, after))
        assert self.scheduler is not None and self.scheduler._alarm._due is not None
        planned = self.scheduler._alarm._due.when() - self.loop.time()
        due = min(((moment - now) / 1_000_000 for moment in moments), default=LONGEST_SLEEP)
        assert planned <= max(due, 0.0) + 0.001, "it sleeps too long"
