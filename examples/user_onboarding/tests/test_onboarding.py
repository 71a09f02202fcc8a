from collections.abc import Iterator
from pathlib import Path

import pytest

from onboarding import database, mail


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
