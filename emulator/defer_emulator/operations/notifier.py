"""Tells of failures: gathers them into messages, and sends those where that was asked for.

It has a thread and a connection of its own, so nothing that executes waits for it. All that it knows is in
the file: who kills it loses no message, and one whose sending was not written down yet is sent once more.
"""

from __future__ import annotations

import contextlib
import json
import random
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass

from defer_client.errors import DeferError, StateFileError
from defer_emulator.clock import to_datetime
from defer_emulator.config import Notifications
from defer_emulator.domain.notifications import KINDS, Content, Incident, Kind, Message, MessageState
from defer_emulator.notify.events import CronMissed, Event, ExecutionChanged
from defer_emulator.notify.grouping import PER_MINUTE, SECOND, closes_at, joined, opened, wait_after
from defer_emulator.notify.rendering import Format, Surroundings, body_of
from defer_emulator.notify.webhook import Delivery, UnsafeAddress, Webhook
from defer_emulator.store.outbox import Outbox
from defer_emulator.store.store import Store

LONGEST_SLEEP = 30.0  # seconds
ROOT_INTERVAL = 0.5  # seconds between two looks at roots that have not ended
REST = 0.2  # seconds between two steps: a storm of failures is gathered with few writes
RETRY_INTERVAL = 5.0  # seconds until a file that cannot be written is tried again


@dataclass(frozen=True, kw_only=True, slots=True)
class NotifierOptions:
    """How messages look, and whether they are sent."""

    project: str
    console: str | None = None  # the address that links begin with
    kinds: Collection[Kind] = KINDS  # that are told
    format: Format = "slack"
    where: str | None = None  # the server to which they go, or would
    secrets: Collection[str] = ()  # that no message shows
    send: Callable[[str], Delivery] | None = None  # None: messages are kept, and not sent


class NothingToSendTo(DeferError):
    """Messages are to be sent, and no address is set."""

    code = "config"


def options_of(
    config: Notifications, *, project: str, console: str | None, send: bool, secrets: Collection[str] = ()
) -> NotifierOptions:
    """What the configuration says. Raises `NothingToSendTo`, `UnsafeAddress`."""
    if send and config.url is None:
        raise missing_address(config)
    webhook = None
    try:
        webhook = None if config.url is None else Webhook(config.url)
    except UnsafeAddress:
        if send:
            raise
    return NotifierOptions(
        project=project,
        console=config.link or console,
        kinds=[kind for kind in KINDS if kind in config.events],
        format=config.format or ("slack" if webhook is None else webhook.format),
        where=None if webhook is None else webhook.where,
        secrets=[*secrets, *(() if webhook is None else webhook.secrets)],
        send=webhook.send if webhook is not None and send else None,
    )


def missing_address(config: Notifications) -> NothingToSendTo:
    if config.missing:
        return NothingToSendTo(
            f"the address of notifications needs {', '.join(config.missing)}, which the environment lacks",
            hint="set it there, or in the project's .env",
        )
    return NothingToSendTo(
        "no address of notifications is configured",
        hint='add to defer.toml: notifications = "env:SLACK_WEBHOOK_URL", and set that in the environment',
    )


class Notifier:
    """One step after another; without a thread of its own, for tests."""

    def __init__(
        self, store: Store, options: NotifierOptions, *, chance: Callable[[], float] = random.random
    ) -> None:
        self._store = store
        self._options = options
        self._outbox = Outbox(store, kinds=options.kinds, join=_join)
        self._chance = chance
        if options.send is not None:
            self._outbox.try_all_again()

    def step(self, *, at_end: bool = False) -> float:
        """Gather, close and send what is due; `at_end` all that is there. Returns the seconds until
        something is due again."""
        while self._outbox.collect():
            pass
        moments = [self._close_ready(at_end=at_end)]
        if self._options.send is not None:
            moments.append(self._send_due(self._options.send))
        now = self._store.real()
        delays = [max(0.0, (moment - now) / SECOND) for moment in moments if moment is not None]
        if self._outbox.awaits_roots():
            delays.append(ROOT_INTERVAL)
        return min(delays, default=LONGEST_SLEEP)

    def _close_ready(self, *, at_end: bool) -> int | None:
        """When the next one has to be looked at; real, µs."""
        now, waiting = self._store.real(), []
        told = self._outbox.count_told(now - 60 * SECOND)
        for message in self._outbox.unfinished("open"):
            ready = closes_at(
                opened=message.opened_at,
                joined=message.joined_at,
                told=self._outbox.last_told(message.topic),
            )
            if not at_end and ready > now:
                waiting.append(ready)
            elif not at_end and told >= PER_MINUTE:
                waiting.append(now + SECOND)
            else:
                told += 1
                self._close(message)
        return min(waiting, default=None)

    def _close(self, message: Message) -> None:
        body = rendered(message, self._options)
        state: MessageState = "kept" if self._options.send is None else "pending"
        self._outbox.close(message, state, body)
        self._outbox.forget_old()

    def _send_due(self, send: Callable[[str], Delivery]) -> int | None:
        waiting = []
        for message in self._outbox.unfinished("pending"):
            if message.next_try is not None and message.next_try > self._store.real():
                waiting.append(message.next_try)
            elif (next_try := self._try(message, send)) is not None:
                waiting.append(next_try)
        return min(waiting, default=None)

    def _try(self, message: Message, send: Callable[[str], Delivery]) -> int | None:
        """Send it; when to try again."""
        delivery = send(message.body or "")
        if delivery.is_sent:
            self._outbox.put_try(message, "sent", next_try=None, problem=None)
            return None
        wait = None
        if delivery.may_work_later:
            wait = wait_after(message.tries + 1, delivery.retry_after, self._chance())
        next_try = None if wait is None else self._store.real() + wait
        state: MessageState = "failed" if next_try is None else "pending"
        self._outbox.put_try(message, state, next_try=next_try, problem=delivery.problem)
        return next_try


def rendered(message: Message, options: NotifierOptions) -> str:
    """What is sent of a message: JSON."""
    body = body_of(options.format, message.content, surroundings(options))
    return json.dumps(body, ensure_ascii=False)


def surroundings(options: NotifierOptions) -> Surroundings:
    return Surroundings(
        project=options.project, console=options.console, time=to_datetime, secrets=options.secrets
    )


def _join(content: Content | None, incident: Incident) -> Content:
    return opened(incident) if content is None else joined(content, incident)


class NotifierThread:
    """Runs a notifier beside an emulator."""

    def __init__(self, make: Callable[[], Notifier], on_trouble: Callable[[str], None]) -> None:
        """`make` and `on_trouble` are called in that thread; the latter once, until a step succeeds."""
        self._make = make
        self._on_trouble = on_trouble
        self._is_troubled = False
        self._woken = threading.Event()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="defer-notifier", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def event(self, event: Event) -> None:
        """A subscriber of the bus; costs nothing but for what may be told."""
        has_failed = isinstance(event, ExecutionChanged) and event.failure is not None
        if has_failed or isinstance(event, CronMissed):
            self._woken.set()

    def close(self, patience: float) -> None:
        """Gather and send what is left, for at most so many seconds; the rest stays for the next start."""
        self._is_over.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(patience)

    def _run(self) -> None:
        notifier: Notifier | None = None
        while not self._is_over.is_set():
            delay = RETRY_INTERVAL
            try:
                notifier = notifier or self._make()
                delay = notifier.step()
                self._is_troubled = False
            except Exception as error:  # whatever it is, all else goes on, and it is tried again
                self._complain(error)
            if not self._is_over.wait(REST):
                self._woken.wait(delay)
            self._woken.clear()
        if notifier is not None:
            with contextlib.suppress(StateFileError):
                notifier.step(at_end=True)

    def _complain(self, error: Exception) -> None:
        if not self._is_troubled:
            self._is_troubled = True
            reason = error.message if isinstance(error, DeferError) else repr(error)
            self._on_trouble(f"failures are not told: {reason}")
