"""A shop whose executions are always the same: fixed ids, fixed times, a clock that stands still.

It is the Monday of 2026-03-02, 08:00 UTC, in its file. An emulator seems to serve it: this very process.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

from defer_client.models import ErrorCode, Execution, Failure, State
from defer_client.retry import RetryPolicy
from defer_emulator.clock import ManualClock, to_micros
from defer_emulator.domain.functions import FunctionSpec, Parameter
from defer_emulator.domain.ids import IdSource
from defer_emulator.domain.work import Claim, Completion, Limits, LogChunk, Running
from defer_emulator.presence import own_presence, write_presence
from defer_emulator.store.store import Store
from tests.projects import TempProject
from tests.unit.store.world import World

START = datetime(2026, 3, 2, 6, tzinfo=timezone.utc)
END = datetime(2026, 3, 2, 8, tzinfo=timezone.utc)
PROJECT_ID = "0195552c-0000-7000-8000-000000000000"
RETRY = RetryPolicy(max_attempts=2, initial_interval=60.0, randomization_factor=0.0)

Stream = Literal["stdout", "stderr", "system"]


def parameters(*names: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(name=name, kind="positional_or_keyword", required=True) for name in names)


def spec(name: str, line: int, *names: str, **options: Any) -> FunctionSpec:
    return FunctionSpec(
        name=name,
        module=f"defer.{name}",
        file=f"defer/{name}.py",
        line=line,
        kind="cron" if "cron" in options else "background",
        parameters=parameters(*names),
        **options,
    )


SPECS = (
    spec("charge_card", 8, "order", "amount", retry=RETRY),
    spec("extract_page", 4, "document", "page", concurrency=4),
    spec("import_orders", 6, "file", max_duration=600.0),
    spec("process_document", 7, "document"),
    spec("send_welcome_email", 9, "user_id", retry=RETRY),
    spec("weekly_product_recommendations", 11, cron="0 6 * * MON"),
)

SOURCE = '''
from defer_client import defer


@defer
async def {name}({parameters}) -> None:
    """Does what its name says."""
'''
CRON = '''
from defer_client import defer


@defer.cron("{cron}")
async def {name}() -> None:
    """Does what its name says."""
'''


def write_project(root: Path) -> TempProject:
    sources = {}
    for one in SPECS:
        template = SOURCE if one.cron is None else CRON
        names = ", ".join(f"{parameter.name}: object" for parameter in one.parameters)
        sources[one.name] = template.format(name=one.name, parameters=names, cron=one.cron)
    return TempProject(root, sources)


class Shop(World):
    """Plays the application and the scheduler."""

    def __init__(self, root: Path) -> None:
        self.root = root
        clock = ManualClock(START)
        Store.open(root, clock=clock).close()
        super().__init__(_with_fixed_ids(root, clock), clock)
        self.functions = {one.name: Limits(concurrency=one.concurrency, action="keep") for one in SPECS}
        self.generation = 1
        self.register(*SPECS)

    def pass_time(self, **duration: float) -> None:
        self.clock.advance(timedelta(**duration))

    def start(self, *executions: Execution) -> list[Running]:
        """Start what is due, which must be these."""
        with self.store.write() as tx:
            claim: Claim = tx.claim(self.functions, 100, self.generation)
        assert {one.id for one in claim.started} == {one.id for one in executions}
        return sorted(claim.started, key=lambda one: one.sequence)

    def prints(self, running: Running, *lines: str, stream: Stream = "stdout") -> None:
        with self.store.write() as tx:
            tx.append_logs(
                LogChunk(
                    sequence=running.sequence,
                    attempt=running.attempt,
                    time=tx.now,
                    stream=stream,
                    message=line,
                )
                for line in lines
            )

    def succeeds(self, running: Running, result: Any = None) -> None:
        self.settle(
            Completion(
                sequence=running.sequence,
                attempt=running.attempt,
                state=State.SUCCEED,
                result=json.dumps(result, ensure_ascii=False),
            )
        )

    def fails(self, running: Running, failure: Failure, *, again_in: timedelta | None = None) -> None:
        due = None if again_in is None else self.clock.real() + again_in // timedelta(microseconds=1)
        self.settle(
            Completion(
                sequence=running.sequence,
                attempt=running.attempt,
                state=State.FAILED if due is None else State.CREATED,
                failure=failure,
                due=due,
            )
        )


def _with_fixed_ids(root: Path, clock: ManualClock) -> Store:
    store = Store.open(root, clock=clock)
    with store._database.write() as connection:
        connection.execute("UPDATE project SET id = ?", (PROJECT_ID,))
    store.close()
    store = Store.open(root, clock=clock)
    store._ids = IdSource(clock.real, bytes)
    return store


def seed(root: Path) -> TempProject:
    """The shop in this folder, which need not exist."""
    project = write_project(root)
    shop = Shop(root)
    _early_morning(shop)
    _emails(shop)
    _a_card_that_fails(shop)
    _what_did_not_run(shop)
    _documents(shop)
    _now(shop)
    missing = to_micros(END) - shop.clock.real()
    shop.clock.advance(timedelta(microseconds=missing))
    with shop.store.write() as tx:
        tx.set_clock(offset=0, frozen_at=to_micros(END))
    shop.store.close()
    socket = str(root / ".defer" / "nobody-listens")
    write_presence(root, own_presence("http://127.0.0.1:3337", socket, max_concurrency=100))
    return project


def _early_morning(shop: Shop) -> None:
    with shop.store.write() as tx:
        tx.fire_cron("weekly_product_recommendations", to_micros(START))
    shop.pass_time(milliseconds=3)
    (running,) = _start_all(shop)
    shop.prints(running, "3 users opted in")
    shop.pass_time(seconds=41.5)
    shop.succeeds(running)
    shop.pass_time(minutes=24)


def _start_all(shop: Shop) -> Iterable[Running]:
    with shop.store.write() as tx:
        return tx.claim(shop.functions, 100, shop.generation).started


def _emails(shop: Shop) -> None:
    first = shop.enqueue("send_welcome_email", 7, metadata={"team": "growth", "plan": "gold"})
    shop.pass_time(milliseconds=1.2)
    (running,) = shop.start(first)
    shop.prints(running, "connecting to smtp.example.com", "250 2.1.0 OK")
    shop.pass_time(milliseconds=340)
    shop.prints(running, "slow answer from smtp.example.com", stream="stderr")
    shop.pass_time(milliseconds=900)
    shop.succeeds(running, {"message_id": "msg_7@example.com", "accepted": ["zoë@example.com"]})

    shop.pass_time(minutes=5)
    second = shop.enqueue("send_welcome_email", 8, metadata={"team": "growth"})
    shop.pass_time(milliseconds=2)
    (running,) = shop.start(second)
    shop.prints(running, "connecting to smtp.example.com")
    shop.pass_time(seconds=5)
    shop.fails(running, _timeout_of_smtp(shop.root), again_in=timedelta(minutes=1))
    shop.pass_time(minutes=1, milliseconds=1)
    shop.generation = 2
    (running,) = shop.start(second)
    shop.prints(running, "connecting to smtp.example.com", "250 2.1.0 OK")
    shop.pass_time(seconds=1.1)
    shop.succeeds(running, {"message_id": "msg_8@example.com", "accepted": ["ada@example.com"]})
    shop.pass_time(minutes=9)


def _timeout_of_smtp(root: Path) -> Failure:
    stack = f'''Traceback (most recent call last):
  File "{root}/defer/send_welcome_email.py", line 12, in send_welcome_email
    await deliver(user_id)
  File "{root}/mail.py", line 31, in deliver
    reader, writer = await asyncio.open_connection(HOST, 25)
  File "/usr/lib/python3.11/asyncio/streams.py", line 48, in open_connection
    transport, _ = await loop.create_connection(
TimeoutError: smtp.example.com did not answer within 5 s
'''
    return Failure(
        name="TimeoutError",
        message="smtp.example.com did not answer within 5 s",
        stack=stack,
        code=ErrorCode.USER,
    )


def _declined(root: Path) -> Failure:
    stack = f'''Traceback (most recent call last):
  File "{root}/.venv/lib/python3.11/site-packages/payments/http.py", line 88, in post
    response.raise_for_status()
  File "{root}/.venv/lib/python3.11/site-packages/payments/models.py", line 761, in raise_for_status
    raise HTTPError(message, request=request, response=self)
payments.HTTPError: 402 Payment Required

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "{root}/defer/charge_card.py", line 14, in charge_card
    raise CardDeclined(order) from error
shop.errors.CardDeclined: order 1001: the bank says no (insufficient funds)
'''
    return Failure(
        name="CardDeclined",
        message="order 1001: the bank says no (insufficient funds)",
        stack=stack,
        code=ErrorCode.USER,
    )


def _a_card_that_fails(shop: Shop) -> None:
    order = shop.enqueue("charge_card", 1001, 49.9, metadata={"order": "1001"})
    for attempt in (1, 2, 3):
        shop.pass_time(milliseconds=1.5)
        (running,) = shop.start(order)
        shop.prints(running, f"charging 49.90 EUR, attempt {attempt}")
        shop.pass_time(milliseconds=830)
        wait = timedelta(minutes=attempt) if attempt < 3 else None
        shop.fails(running, _declined(shop.root), again_in=wait)
        if wait is not None:
            shop.clock.advance(wait)
    shop.pass_time(minutes=3)
    again = shop.call(shop.backend.rerun_execution(order.id))
    (running,) = shop.start(again)
    shop.prints(running, "charging 49.90 EUR, attempt 1", "paid")
    shop.pass_time(milliseconds=412)
    shop.succeeds(running, "pay_8842")
    shop.pass_time(minutes=4)


def _what_did_not_run(shop: Shop) -> None:
    cancelled = shop.enqueue("import_orders", "february.csv", delay=timedelta(hours=1))
    discarded = shop.enqueue(
        "send_welcome_email", 11, delay=timedelta(minutes=30), discard_after=timedelta(minutes=2)
    )
    shop.pass_time(minutes=2, seconds=1)
    shop.call(shop.backend.cancel_execution(cancelled.id))
    with shop.store.write() as tx:
        tx.discard_due()
    assert shop.states(discarded) == ["discarded"]
    late = shop.enqueue("import_orders", "january.csv")
    (running,) = shop.start(late)
    shop.pass_time(minutes=10)
    failure = Failure(
        name="TimeoutError", message="it ran longer than its max_duration", stack="", code=ErrorCode.TIMEOUT
    )
    shop.fails(running, failure)
    aborted = shop.enqueue("import_orders", "march.csv")
    (running,) = shop.start(aborted)
    shop.pass_time(seconds=20)
    shop.call(shop.backend.cancel_execution(aborted.id, force=True))
    shop.settle(Completion(sequence=running.sequence, attempt=1, state=State.ABORTED))
    shop.pass_time(minutes=1)


def _documents(shop: Shop) -> None:
    """A workflow that waits for its pages: of 30, most are done."""
    document = shop.enqueue("process_document", "contract.pdf", metadata={"customer": "ACME"})
    shop.pass_time(milliseconds=4)
    (parent,) = shop.start(document)
    shop.prints(parent, "30 pages")
    pages = [
        shop.enqueue("extract_page", "contract.pdf", number, parent=document, awaited=True)
        for number in range(1, 29)
    ]
    for place in range(0, 24, 4):
        shop.pass_time(milliseconds=2)
        for number, running in enumerate(shop.start(*pages[place : place + 4])):
            shop.pass_time(milliseconds=55 + 7 * number)
            if place + number == 9:
                shop.fails(running, _no_text(shop.root))
            else:
                shop.prints(running, f"page {place + number + 1}: {1_200 + 17 * number} words")
                shop.succeeds(running, {"words": 1_200 + 17 * number})
    shop.enqueue("extract_page", "contract.pdf", 29, parent=document, delay=timedelta(hours=2, minutes=30))
    shop.pass_time(minutes=2)
    shop.start(*pages[24:28])


def _no_text(root: Path) -> Failure:
    stack = f'''Traceback (most recent call last):
  File "{root}/defer/extract_page.py", line 9, in extract_page
    raise ValueError(f"page {{page}} has no text")
ValueError: page 10 has no text
'''
    return Failure(name="ValueError", message="page 10 has no text", stack=stack, code=ErrorCode.USER)


def _now(shop: Shop) -> None:
    """What runs, waits or is tried again at eight o'clock."""
    shop.pass_time(minutes=52)
    orders = shop.enqueue("import_orders", "orders \u65e5\u672c\u8a9e.csv", metadata={"source": "ftp"})
    shop.pass_time(milliseconds=3)
    (running,) = shop.start(orders)
    shop.prints(running, "\x1b[32mopened\x1b[0m orders \u65e5\u672c\u8a9e.csv", " 10%\r 50%\r100%", "\ttab")
    shop.prints(running, "\x1b]0;a title\x07\x1b[2Jbell \x07 and \u202eturned\x9b5A", stream="stderr")
    shop.prints(running, "… 5,000 bytes are left out here", stream="system")
    card = shop.enqueue("charge_card", 1002, 15, metadata={"order": "1002"})
    (charging,) = shop.start(card)
    shop.pass_time(seconds=1)
    shop.fails(charging, _declined(shop.root), again_in=timedelta(hours=1))
    shop.enqueue("send_welcome_email", 9, delay=timedelta(hours=26), discard_after=timedelta(hours=30))
