from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from defer.forget_unpaid_orders import forget_unpaid_orders
from defer.send_receipt import send_receipt
from defer_emulator.testing import Emulator
from shop.models import Order

# The functions have a database connection of their own, as in a worker: they see what is committed.
pytestmark = pytest.mark.django_db(transaction=True)


def place_order(client: Client) -> Order:
    answer = client.post("/orders", {"email": "ada@example.com", "item": "lamp", "cents": 4200})
    assert answer.status_code == 201, answer.content
    return Order.objects.get(pk=answer.json()["id"])


def test_an_order_is_answered_before_its_receipt_is_sent(client: Client, defer_emulator: Emulator) -> None:
    order = place_order(client)
    defer_emulator.assert_enqueued(send_receipt, order.pk)
    assert client.get(f"/orders/{order.pk}").json()["receipt_sent"] is False

    defer_emulator.run_until_idle()

    assert client.get(f"/orders/{order.pk}").json()["receipt_sent"] is True
    assert [(one.to, one.body) for one in mail.outbox] == [(["ada@example.com"], "lamp: 42.00")]


def test_a_receipt_is_sent_once_however_often_the_function_runs(
    client: Client, defer_emulator: Emulator
) -> None:
    order = place_order(client)
    send_receipt.enqueue(order.pk)
    defer_emulator.run_until_idle()
    results = {execution.result for execution in defer_emulator.executions(send_receipt)}
    assert results == {"sent to ada@example.com", "ada@example.com has it already"}
    assert len(mail.outbox) == 1


def test_a_mail_that_fails_is_sent_by_a_retry(
    client: Client, defer_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)
        place_order(client)
        defer_emulator.run_until_idle()
    assert mail.outbox == []

    defer_emulator.advance("1 minute")

    assert defer_emulator.last(send_receipt).attempt == 2
    assert len(mail.outbox) == 1


def refuse(*_: object) -> None:
    raise ConnectionRefusedError("no mail server")


def test_a_wrong_order_starts_nothing(client: Client, defer_emulator: Emulator) -> None:
    assert client.post("/orders", {"email": "ada@example.com", "cents": "much"}).status_code == 400
    defer_emulator.assert_not_enqueued(send_receipt)


@pytest.mark.defer(start="2030-01-01T02:59")
def test_what_nobody_has_paid_for_a_week_is_forgotten_at_night(defer_emulator: Emulator) -> None:
    old = timezone.now() - timedelta(days=8)
    kept = [
        Order.objects.create(email="ada@example.com", item="lamp", cents=1, is_paid=True, created_at=old),
        Order.objects.create(email="bo@example.com", item="lamp", cents=1),
    ]
    Order.objects.create(email="cy@example.com", item="lamp", cents=1, created_at=old)

    defer_emulator.advance("1 minute")

    assert defer_emulator.assert_succeeded(forget_unpaid_orders).result == 1
    assert list(Order.objects.order_by("pk")) == kept
