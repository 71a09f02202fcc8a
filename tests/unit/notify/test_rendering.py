"""How messages look. Whatever functions say is hostile."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from defer_emulator.domain.notifications import Content, Descendant, Fault, Incident
from defer_emulator.notify.grouping import joined, opened
from defer_emulator.notify.rendering import Surroundings, body_of, shown, trial_body

FAULT = Fault(name="ValueError", message="no mail", code="ER0003", place="defer/send.py:3 in send")
INCIDENT = Incident(
    kind="failed", topic="x", function="send", at=0, id="0191d1a0", state="failed", attempt=3, fault=FAULT
)
AROUND = Surroundings(
    project="shop",
    console="http://localhost:3337/",
    time=lambda micros: datetime(2026, 1, 31, 8, tzinfo=timezone.utc),
    secrets=["https://hooks.slack.com/services/T0/B0/key", "services/T0/B0/key"],
)


def slack(content: Content, around: Surroundings = AROUND) -> Any:
    return body_of("slack", content, around)


def texts(body: Any) -> list[str]:
    """All texts of a message to Slack."""
    if isinstance(body, dict):
        own = [body["text"]] if isinstance(body.get("text"), str) else []
        return own + [text for value in body.values() for text in texts(value)]
    return [text for one in body for text in texts(one)] if isinstance(body, list) else []


def test_a_message_for_slack_has_a_title_facts_the_error_and_a_link() -> None:
    body = slack(opened(replace(INCIDENT, metadata={"user": "7"})))
    assert body["text"] == "send failed: ValueError: no mail"
    header, facts, error, link = body["blocks"]
    assert header["text"] == {"type": "plain_text", "text": "send failed", "emoji": False}
    assert [field["text"] for field in facts["fields"]] == [
        "*project*\nshop",
        "*function*\nsend",
        "*when*\n2026-01-31 08:00:00 UTC",
        "*execution*\n0191d1a0",
        "*attempts*\n3",
        "*metadata*\nuser=7",
    ]
    assert error["text"]["text"] == "```ValueError: no mail\n  at defer/send.py:3 in send```"
    assert link["elements"][0]["text"] == "<http://localhost:3337/executions/0191d1a0|Open in the console>"


def test_nothing_is_taken_for_a_mention_a_link_or_a_format() -> None:
    fault = replace(FAULT, message="<!channel> <https://evil.test|x> & ``` \x1b[31mred\x1b[0m \x00\u202e")
    body = slack(opened(replace(INCIDENT, fault=fault, metadata={"<@U1>": "<!here>"})))
    for text in texts(body):
        text = text.replace("<http://localhost:3337/executions/0191d1a0|Open in the console>", "")
        assert "<" not in text and "\x1b" not in text and "\x00" not in text and "\u202e" not in text
    assert body["blocks"][2]["text"]["text"].count("```") == 2


def test_slacks_limits_are_kept_however_much_there_is_to_say() -> None:
    fault = Fault(name="E" * 5_000, message="&" * 100_000, code="ER0003", place="p" * 5_000)
    descendants = [Descendant(id=str(number), function="f" * 500, fault=fault) for number in range(10)]
    incident = replace(
        INCIDENT,
        function="send" * 500,
        fault=fault,
        metadata={f"{number}{'k' * 200}": "v" * 256 for number in range(25)},
        descendants=descendants,
        descendants_count=1_000,
    )
    for kind in ("failed", "handled"):
        content = joined(opened(replace(incident, kind=kind)), incident)
        header, facts, *rest = slack(content)["blocks"]
        assert len(header["text"]["text"]) <= 150
        assert len(facts["fields"]) <= 10
        assert all(len(field["text"]) <= 2_000 for field in facts["fields"])
        assert all(len(text) <= 3_000 for text in texts(rest))
        assert len(json.dumps(body_of("json", content, AROUND))) < 100_000


def test_secrets_are_hidden_wherever_they_stand() -> None:
    secret = "https://hooks.slack.com/services/T0/B0/key"
    fault = replace(FAULT, message=f"POST {secret} failed", place=f"{secret}:1 in x")
    incident = replace(INCIDENT, fault=fault, metadata={"hook": secret})
    for format in ("slack", "json"):
        text = json.dumps(body_of(format, opened(incident), AROUND))  # type: ignore[arg-type]
        assert "T0/B0" not in text and "[secret]" in text


def test_a_handled_failure_says_how_its_root_ended() -> None:
    child = Descendant(id="1", function="fetch", fault=FAULT)
    incident = replace(INCIDENT, kind="handled", fault=None, descendants=[child], descendants_count=1)
    titles = [
        shown(opened(replace(incident, state=state)), AROUND).title
        for state in ("succeed", "cancelled", "aborted", "discarded")
    ]
    assert [title.removeprefix("fetch failed in send, which ") for title in titles] == [
        "succeeded",
        "was cancelled",
        "was aborted",
        "was discarded",
    ]
    assert (shown(opened(incident), AROUND).error or "").startswith("ValueError: no mail")


def test_missed_crons_are_listed_with_since_when() -> None:
    content: Content | None = None
    for name, count in (("a", 1), ("b", 2), ("c", 3), ("d", 4)):
        one = Incident(kind="missed", topic="missed", function=name, at=0, first_missed=0, missed_count=count)
        content = opened(one) if content is None else joined(content, one)
    assert content is not None
    view = shown(content, AROUND)
    assert view.title == "10 runs of a, b, c and others were missed"
    assert view.facts[2:4] == (
        ("a", "2026-01-31 08:00:00 UTC"),
        ("b", "2 since 2026-01-31 08:00:00 UTC"),
    )
    assert view.link == "http://localhost:3337/schedules"


def test_without_a_console_there_is_no_link() -> None:
    around = replace(AROUND, console=None)
    assert len(slack(opened(INCIDENT), around)["blocks"]) == 3
    assert body_of("json", opened(INCIDENT), around)["url"] is None


def test_a_plain_message_can_be_read_by_whoever_shows_its_text() -> None:
    text = body_of("json", opened(INCIDENT), AROUND)["text"]
    assert text.splitlines()[0] == "send failed"
    assert "ValueError: no mail" in text and text.endswith("http://localhost:3337/executions/0191d1a0")


def test_a_trial_says_that_it_is_one() -> None:
    assert "test" in json.dumps(trial_body("slack", "shop"))
    assert trial_body("json", "shop")["event"] == "test"
