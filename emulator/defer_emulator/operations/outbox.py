"""The outbox: what would be told of failures, or was."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from defer_client.models import Json
from defer_emulator.clock import to_datetime
from defer_emulator.operations.base import LocalBase

if TYPE_CHECKING:  # `defer list` and the like need none of these
    from defer_emulator.domain.notifications import Kind, Message, MessageState
    from defer_emulator.notify.rendering import Format
    from defer_emulator.operations.notifier import NotifierOptions

_NEWEST = 2**62


@dataclass(frozen=True, kw_only=True, slots=True)
class OutboxMessage:
    """A message as it is, or would be, sent. All texts are plain, of whatever the functions said."""

    id: int
    kind: Kind
    state: MessageState
    created_at: datetime  # on the emulated clock
    count: int  # of what it tells
    title: str
    facts: Sequence[tuple[str, str]]  # label and value
    error: str | None  # some lines
    executions: Sequence[str]  # ids of some, oldest first
    link: str | None
    body: Json  # exactly what is sent
    tries: int
    problem: str | None  # of the latest try
    next_try: datetime | None  # real time
    sent_at: datetime | None  # real time


@dataclass(frozen=True, kw_only=True, slots=True)
class OutboxSettings:
    """Where messages go. The address itself is a secret."""

    where: str | None  # its server; None: no address is set
    is_sending: bool
    format: Format
    kinds: Collection[Kind]  # those that are told


class OutboxOperations(Protocol):
    async def outbox(self, *, before: int | None = None, limit: int = 50) -> list[OutboxMessage]:
        """Newest first; those with a smaller id than `before`."""

    async def outbox_message(self, number: int) -> OutboxMessage | None: ...

    async def outbox_settings(self) -> OutboxSettings: ...


class LocalOutbox(LocalBase):
    @property
    def _options(self) -> NotifierOptions:
        if self._notifier is not None:
            return self._notifier()
        from defer_emulator.operations.notifier import NotifierOptions

        return NotifierOptions(project="" if self._store.root is None else self._store.root.name)

    async def outbox(self, *, before: int | None = None, limit: int = 50) -> list[OutboxMessage]:
        """Newest first; those with a smaller id than `before`."""
        from defer_emulator.store import outbox

        found = outbox.messages(self._store, before=_NEWEST if before is None else before, limit=limit)
        return [_shown(message, self._options) for message in found]

    async def outbox_message(self, number: int) -> OutboxMessage | None:
        from defer_emulator.store import outbox

        found = outbox.message(self._store, number)
        return None if found is None else _shown(found, self._options)

    async def outbox_settings(self) -> OutboxSettings:
        options = self._options
        return OutboxSettings(
            where=options.where,
            is_sending=options.send is not None,
            format=options.format,
            kinds=options.kinds,
        )


def _shown(message: Message, options: NotifierOptions) -> OutboxMessage:
    from defer_emulator.notify.rendering import shown
    from defer_emulator.operations.notifier import rendered, surroundings

    view = shown(message.content, surroundings(options))
    return OutboxMessage(
        id=message.id,
        kind=message.kind,
        state=message.state,
        created_at=to_datetime(message.created_at),
        count=message.content.count,
        title=view.title,
        facts=view.facts,
        error=view.error,
        executions=message.content.executions,
        link=view.link,
        body=json.loads(message.body or rendered(message, options)),
        tries=message.tries,
        problem=message.problem,
        next_try=_moment(message.next_try if message.state == "pending" else None),
        sent_at=_moment(message.sent_at),
    )


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else to_datetime(micros)
