from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from defer.import_contacts_from_hubspot import import_contacts_from_hubspot
from defer.send_tutorials_email_if_no_actions import send_tutorials_email_if_no_actions
from defer.send_welcome_email import send_welcome_email
from defer.user_onboarding import user_onboarding
from defer_emulator.testing import Emulator
from onboarding import database, mail
from onboarding.web import app


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[database.User]:
    monkeypatch.setenv("ONBOARDING_DATABASE", str(tmp_path / "onboarding.db"))
    database.create_tables()
    yield database.add_user("Ada", "ada@example.com")


def test_a_new_user_is_not_onboarded(user: database.User) -> None:
    assert database.profile(user["id"]) == {
        "id": user["id"],
        "name": "Ada",
        "email": "ada@example.com",
        "onboarded": False,
        "contacts": 0,
        "mails": [],
    }


def test_a_mail_of_one_kind_is_sent_once(user: database.User) -> None:
    assert mail.send(user, "welcome", "Welcome!") == "sent to ada@example.com"
    assert mail.send(user, "welcome", "Welcome!") == "ada@example.com already has the welcome mail"


def test_contacts_that_are_imported_twice_are_stored_once(user: database.User) -> None:
    for _ in range(2):
        database.save_contacts(user, ["one@example.com", "two@example.com"])

    profile = database.profile(user["id"])
    assert profile is not None and profile["contacts"] == 2


def test_actions_are_counted(user: database.User) -> None:
    database.save_action(user["id"], "clicked around")

    assert database.count_actions(user) == 1


# --- the workflow, on a clock that the tests move ------------------------------------------------------


@pytest.fixture
def hubspot(monkeypatch: pytest.MonkeyPatch) -> None:
    async def contacts_of(user: database.User) -> list[str]:
        return [f"contact{number}@{user['email']}" for number in range(7)]

    monkeypatch.setattr("defer.import_contacts_from_hubspot.contacts_of", contacts_of)


def test_a_user_is_onboarded_and_gets_the_tutorials_a_day_later(
    user: database.User, hubspot: None, defer_emulator: Emulator
) -> None:
    user_onboarding.enqueue(user)

    defer_emulator.run_until_idle()
    assert database.profile(user["id"]) == {
        "id": user["id"],
        "name": "Ada",
        "email": "ada@example.com",
        "onboarded": True,
        "contacts": 7,
        "mails": ["welcome"],
    }
    workflow = defer_emulator.assert_succeeded(user_onboarding)
    assert [child.function_name for child in workflow.children] == [
        "import_contacts_from_hubspot",
        "send_welcome_email",
        "send_tutorials_email_if_no_actions",
    ]

    defer_emulator.advance("23h 59m")
    assert defer_emulator.last(send_tutorials_email_if_no_actions).state == "created"
    defer_emulator.advance("1 minute")
    assert defer_emulator.assert_succeeded(send_tutorials_email_if_no_actions).result == (
        "sent to ada@example.com"
    )


def test_a_user_who_acts_gets_no_tutorials(
    user: database.User, hubspot: None, defer_emulator: Emulator
) -> None:
    user_onboarding.enqueue(user)
    defer_emulator.run_until_idle()
    database.save_action(user["id"], "clicked around")

    defer_emulator.advance("1 day")

    assert defer_emulator.last().result == "not needed: 1 actions"


@pytest.mark.defer(allow="failed")
def test_a_user_without_hubspot_is_onboarded_after_two_more_tries(
    user: database.User, defer_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def contacts_of(user: database.User) -> list[str]:
        raise ConnectionError("no such account")

    monkeypatch.setattr("defer.import_contacts_from_hubspot.contacts_of", contacts_of)
    user_onboarding.enqueue(user)

    defer_emulator.advance("2 days")

    assert defer_emulator.assert_failed(import_contacts_from_hubspot).attempt == 3
    assert "no such account" in defer_emulator.assert_succeeded(user_onboarding).result["contacts"]


def test_contacts_arrive_after_a_failure(
    user: database.User, hubspot: None, defer_emulator: Emulator
) -> None:
    defer_emulator.fail_next(import_contacts_from_hubspot, ConnectionError("HubSpot is down"))
    user_onboarding.enqueue(user)

    defer_emulator.advance("2 days")

    assert defer_emulator.assert_succeeded(import_contacts_from_hubspot).attempt == 2


def test_signing_up_starts_the_workflow(user: database.User, hubspot: None, defer_emulator: Emulator) -> None:
    client = TestClient(app)

    answer = client.post("/users", json={"name": "Bo", "email": "bo@example.com"})

    assert answer.status_code == 202
    started = defer_emulator.assert_enqueued(user_onboarding, answer.json()["user"])
    assert started.metadata == {"user": str(answer.json()["user"]["id"])}
    defer_emulator.advance("1 day")
    assert client.get(f"/users/{answer.json()['user']['id']}").json()["mails"] == ["welcome", "tutorials"]


@pytest.mark.defer(allow="failed")
def test_a_crash_in_the_middle_sends_no_mail_twice(
    user: database.User, hubspot: None, defer_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save_and_crash(*mail: Any) -> bool:
        database.save_mail(*mail)
        monkeypatch.setattr("onboarding.mail.save_mail", database.save_mail)
        defer_emulator.interrupt()

    monkeypatch.setattr("onboarding.mail.save_mail", save_and_crash)
    user_onboarding.enqueue(user)
    defer_emulator.advance("1 hour")

    welcome = defer_emulator.assert_succeeded(send_welcome_email)
    assert (welcome.attempt, welcome.result) == (2, "ada@example.com already has the welcome mail")
    assert defer_emulator.last(user_onboarding).error.message.startswith("interrupted")
