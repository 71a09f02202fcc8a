"""Sending to a server that plays Slack."""

from __future__ import annotations

import json

import pytest

from defer_emulator.notify.webhook import UnsafeAddress, Webhook, secrets_of, shown_address
from tests.slack import PATH, Slack


def test_a_message_arrives_as_json(slack: Slack) -> None:
    assert Webhook(slack.url).send('{"text": "ü"}').is_sent
    ((path, kind, body),) = slack.got
    assert path == PATH and kind is not None and kind.startswith("application/json")
    assert json.loads(body) == {"text": "ü"}


@pytest.mark.parametrize(
    ("status", "later"), [(500, True), (503, True), (429, True), (404, False), (400, False)]
)
def test_some_refusals_may_be_over_soon(slack: Slack, status: int, later: bool) -> None:
    slack.status, slack.said = status, b"invalid_payload"
    delivery = Webhook(slack.url).send("{}")
    assert (delivery.is_sent, delivery.may_work_later) == (False, later)
    assert delivery.problem is not None and delivery.problem.endswith(f"answered {status}: invalid_payload")


def test_how_long_a_server_wants_to_be_left_alone_is_told(slack: Slack) -> None:
    slack.status, slack.headers = 429, (("Retry-After", "30"),)
    assert Webhook(slack.url).send("{}").retry_after == 30
    slack.headers = (("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT"),)
    assert Webhook(slack.url).send("{}").retry_after is None


def test_a_redirect_is_not_followed(slack: Slack) -> None:
    slack.status, slack.headers = 307, (("Location", f"{slack.url}/elsewhere"),)
    delivery = Webhook(slack.url).send("{}")
    assert not delivery.is_sent and not delivery.may_work_later
    assert "redirect" in (delivery.problem or "") and len(slack.got) == 1


def test_an_endless_answer_is_not_read(slack: Slack) -> None:
    slack.status, slack.said = 500, b"x" * 50_000_000
    assert len(Webhook(slack.url).send("{}").problem or "") < 300


def test_a_server_that_is_not_there_may_be_there_later(slack: Slack) -> None:
    url = slack.url
    slack.server_close()
    delivery = Webhook(url).send("{}")
    assert not delivery.is_sent and delivery.may_work_later


def test_no_problem_shows_the_address(slack: Slack) -> None:
    slack.status, slack.said = 500, f"no such hook: {PATH}".encode()
    assert "s3cret" not in (Webhook(slack.url).send("{}").problem or "")
    with pytest.raises(UnsafeAddress) as refused:
        Webhook(f"ftp://host{PATH}")
    assert "s3cret" not in str(refused.value)
    assert "s3cret" not in (Webhook(f"http://nowhere.invalid{PATH}").send("{}").problem or "")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "slack",
        "ftp://example.com/x",
        "file:///etc/passwd",
        "http://",
        "http://exa mple.com/",
        "https://example.com/\n",
        "http://[::1/",
        "http://host:99999999/",
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://0.0.0.0:80/",
        "http://224.0.0.1/",
    ],
)
def test_nothing_is_sent_to_what_is_no_server_of_anybody(url: str) -> None:
    with pytest.raises(UnsafeAddress):
        Webhook(url)


def test_the_format_is_told_by_the_address() -> None:
    formats = {
        url: Webhook(url).format
        for url in (
            "https://hooks.slack.com/services/T/B/x",
            "https://chat.example.com/services/x",
            "https://discord.com/api/webhooks/1/x/slack",
            "https://example.com/hook",
            "https://slack.com.evil.test/hook",
        )
    }
    assert list(formats.values()) == ["slack", "slack", "slack", "json", "json"]


def test_what_may_be_shown_of_an_address_is_its_server() -> None:
    assert shown_address("https://user:password@example.com:8443/a?b#c") == "https://example.com:8443"
    assert shown_address("http://[::1]:80/x") == "http://[::1]:80"
    url = "https://example.com/services/T000/B000/key?token=abcdefghijkl"
    assert list(secrets_of(url)) == [url, "services/T000/B000/key", "token=abcdefghijkl"]
