"""The outbox: what is told of failures, from the moment they are stored until a message is sent.

A failure is remembered in the transaction that stores it, and forgotten in the one that writes its message:
each is told once, whatever is killed in between.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from sqlite3 import Connection, Row

from defer_client.models import State
from defer_emulator.domain.fingerprints import fingerprint
from defer_emulator.domain.notifications import (
    NAMED,
    Content,
    Descendant,
    Fault,
    Incident,
    Kind,
    Message,
    MessageState,
    content_from_json,
    content_to_json,
)
from defer_emulator.store.queries import SQL
from defer_emulator.store.rows import clock_of, dumps, failure_of, text_of
from defer_emulator.store.store import Store

AT_ONCE = 50  # failures that one transaction decides about: others wait for it
KEPT = 1_000  # messages, and missed crons; older ones go

Join = Callable[[Content | None, Incident], Content]
"""What a message tells with one incident more; None: a new message."""


class Outbox:
    """The outbox of a project's file. `kinds` are those that are told at all."""

    def __init__(self, store: Store, *, kinds: Collection[Kind], join: Join) -> None:
        self._store = store
        self._root = "" if store.root is None else str(store.root)
        self._kinds = kinds
        self._join = join

    # --- gathering ----------------------------------------------------------------------------

    def collect(self) -> bool:
        """Put what has happened into messages. Returns whether there may be more."""
        if not self._store.database.select(SQL["anything_untold"])[0][0]:
            return False
        with self._store.database.write() as connection:
            project = connection.execute(SQL["begin"]).fetchone()
            real = self._store.real()
            failures = connection.execute(SQL["untold_failures"], (AT_ONCE,)).fetchall()
            crons = connection.execute(SQL["untold_crons"], (AT_ONCE,)).fetchall()
            incidents = self._of_failures(connection, failures)
            ended = connection.execute(SQL["ended_roots"], (AT_ONCE,)).fetchall()
            incidents += self._of_ended(connection, ended)
            incidents += [_missed(connection, row) for row in crons]
            incidents.sort(key=lambda incident: incident.at)
            self._write(connection, incidents, now=clock_of(project).at(real), real=real)
        return max(map(len, (failures, crons, ended))) >= AT_ONCE

    def _of_failures(self, connection: Connection, failures: Sequence[Row]) -> list[Incident]:
        """Those of roots are told; the others wait for the ends of their roots."""
        roots = [row for row in failures if row["id"] is not None and row["executed_by"] is None]
        for row in failures:
            if row["executed_by"] is not None:
                root = connection.execute(SQL["root_of"], (row["sequence"],)).fetchone()
                if root["sequence"] == row["sequence"]:  # its parent does not exist any more
                    roots.append(row)
                elif State(root["state"]) is State.FAILED and not _is_untold(connection, root):
                    self._add_late(connection, root, row)
                else:
                    connection.execute(SQL["put_failed_child"], (root["sequence"], row["sequence"]))
        for row in failures:
            connection.execute(SQL["forget_failure"], (row["sequence"],))
        return [self._of_root(connection, row, "failed") for row in roots]

    def _of_ended(self, connection: Connection, ended: Sequence[Row]) -> list[Incident]:
        """Roots that did not fail although something did that they had started."""
        for row in ended:
            if row["id"] is None:
                connection.execute(SQL["forget_failed_children"], (row["root"],))
        return [self._of_root(connection, row, "handled") for row in ended if row["id"] is not None]

    def _add_late(self, connection: Connection, root: Row, row: Row) -> None:
        """A child that failed after its root did is told with that, as long as the message is open."""
        topic = self._topic("failed", root, root)
        found = connection.execute(SQL["open_message"], (text_of(topic),)).fetchone()
        content = None if found is None else message_of(found).content
        if content is None or content.incident.id != root["id"]:
            return
        incident = content.incident
        changed = replace(
            incident,
            descendants=[*incident.descendants, self._descendant(row)][:NAMED],
            descendants_count=incident.descendants_count + 1,
        )
        text = text_of(dumps(content_to_json(replace(content, incident=changed))))
        values = {"id": found["id"], "content": text, "real": self._store.real()}
        connection.execute(SQL["join_message"], values)

    def _of_root(self, connection: Connection, row: Row, kind: Kind) -> Incident:
        rows = connection.execute(SQL["failed_children"], (row["sequence"], NAMED)).fetchall()
        count = connection.execute(SQL["count_failed_children"], (row["sequence"],)).fetchone()[0]
        connection.execute(SQL["forget_failed_children"], (row["sequence"],))
        source = row if kind == "failed" else rows[0] if rows else row
        return Incident(
            kind=kind,
            topic=self._topic(kind, row, source),
            function=row["function"],
            at=row["finished_at"],
            id=row["id"],
            state=row["state"],
            attempt=row["attempt"],
            metadata=json.loads(row["metadata"]),
            fault=self._fault(row) if kind == "failed" else None,
            descendants=[self._descendant(child) for child in rows],
            descendants_count=count,
        )

    def _topic(self, kind: Kind, root: Row, source: Row) -> str:
        """What is told of this root together with others; `source` is what failed."""
        failure = failure_of(source["failure"])
        error = "" if failure is None else fingerprint(failure, self._root)
        return f"{kind} {root['function']} {source['function']} {error}"

    def _descendant(self, row: Row) -> Descendant:
        return Descendant(id=row["id"], function=row["function"], fault=self._fault(row))

    def _fault(self, row: Row) -> Fault:
        failure = failure_of(row["failure"])
        assert failure is not None, "a failed execution has a failure"
        return Fault.of(failure, self._root)

    def _write(self, connection: Connection, incidents: Sequence[Incident], *, now: int, real: int) -> None:
        by_topic: dict[str, list[Incident]] = defaultdict(list)
        for incident in incidents:
            if incident.kind in self._kinds:
                by_topic[incident.topic].append(incident)
        for topic, alike in by_topic.items():
            row = connection.execute(SQL["open_message"], (text_of(topic),)).fetchone()
            content = None if row is None else message_of(row).content
            for incident in alike:
                content = self._join(content, incident)
            assert content is not None
            values = {"content": text_of(dumps(content_to_json(content))), "real": real}
            if row is None:
                values |= {"kind": alike[0].kind, "topic": text_of(topic), "now": now}
                connection.execute(SQL["add_message"], values)
            else:
                connection.execute(SQL["join_message"], values | {"id": row["id"]})

    def awaits_roots(self) -> bool:
        """Whether something failed whose root has not ended."""
        return bool(self._store.database.select(SQL["awaits_roots"])[0][0])

    # --- closing and sending ------------------------------------------------------------------

    def unfinished(self, state: MessageState) -> list[Message]:
        """All in that state, `open` or `pending`, oldest first."""
        rows = self._store.database.select(SQL["unfinished_messages"], (state,))
        return [message_of(row) for row in rows]

    def last_told(self, topic: str) -> int | None:
        """When the latest message of that topic was closed; real, µs."""
        moment: int | None = self._store.database.select(SQL["last_told"], (topic,))[0][0]
        return moment

    def count_told(self, since: int) -> int:
        """How many messages were closed after that; real, µs."""
        count: int = self._store.database.select(SQL["count_told"], (since,))[0][0]
        return count

    def close(self, message: Message, state: MessageState, body: str) -> None:
        """Nothing is added to it any more: it is `pending`, or `kept`."""
        values = {"id": message.id, "state": state, "body": text_of(body), "real": self._store.real()}
        self._execute("close_message", values)

    def put_try(
        self, message: Message, state: MessageState, *, next_try: int | None, problem: str | None
    ) -> None:
        """How a try to send it ended."""
        sent_at = self._store.real() if state == "sent" else None
        problem = None if problem is None else text_of(problem)
        values = {"state": state, "next_try": next_try, "sent_at": sent_at, "problem": problem}
        self._execute("put_try", {"id": message.id, **values})

    def try_all_again(self) -> None:
        """What waits for its next try is due now."""
        self._execute("try_all_again", {"real": self._store.real()})

    def forget_old(self) -> None:
        self._execute("forget_messages", (KEPT,))
        self._execute("forget_missed_crons", (KEPT,))

    def _execute(self, query: str, values: Mapping[str, int | str | None] | tuple[int, ...]) -> None:
        with self._store.database.write() as connection:
            connection.execute(SQL["begin"]).fetchall()
            connection.execute(SQL[query], values)


def messages(store: Store, *, before: int, limit: int) -> list[Message]:
    """Newest first; those with a smaller number than `before`."""
    rows = store.database.select(SQL["messages"], {"before": before, "limit": limit})
    return [message_of(row) for row in rows]


def message(store: Store, number: int) -> Message | None:
    return next((message_of(row) for row in store.database.select(SQL["message"], (number,))), None)


def message_of(row: Row) -> Message:
    fields = {key: row[key] for key in row.keys()}  # noqa: SIM118 (a row is no mapping)
    return Message(**{**fields, "content": content_from_json(json.loads(row["content"]))})


def _is_untold(connection: Connection, root: Row) -> bool:
    return bool(connection.execute(SQL["is_untold"], (root["sequence"],)).fetchone()[0])


def _missed(connection: Connection, row: Row) -> Incident:
    connection.execute(SQL["cron_told"], (row["id"],))
    return Incident(
        kind="missed",
        topic="missed",
        function=row["function"],
        at=row["noticed_at"],
        first_missed=row["first"],
        missed_count=row["count"],
    )
