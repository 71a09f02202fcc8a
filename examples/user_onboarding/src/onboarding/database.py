"""The application's database. Each write can be repeated: a background function may run twice."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypedDict

SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT NOT NULL UNIQUE,
    onboarded INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS contacts (
    user_id INTEGER NOT NULL REFERENCES users,
    email TEXT NOT NULL,
    PRIMARY KEY (user_id, email)
) STRICT;
CREATE TABLE IF NOT EXISTS actions (user_id INTEGER NOT NULL REFERENCES users, action TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS mails (
    user_id INTEGER NOT NULL REFERENCES users,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    PRIMARY KEY (user_id, kind)
) STRICT;
"""


class User(TypedDict):
    id: int
    name: str
    email: str


@contextmanager
def database() -> Iterator[sqlite3.Connection]:
    """The database, for one transaction. `ONBOARDING_DATABASE` says where it is."""
    connection = sqlite3.connect(os.environ.get("ONBOARDING_DATABASE", "onboarding.db"), timeout=10)
    try:
        connection.row_factory = sqlite3.Row
        with connection:
            yield connection
    finally:
        connection.close()


def create_tables() -> None:
    with database() as connection:
        connection.executescript(SCHEMA)


def add_user(name: str, email: str) -> User:
    """Raises `sqlite3.IntegrityError` where the address is taken."""
    with database() as connection:
        query = "INSERT INTO users (name, email) VALUES (?, ?) RETURNING id"
        (id,) = connection.execute(query, (name, email)).fetchone()
    return User(id=id, name=name, email=email)


def mark_as_onboarded(user: User) -> None:
    with database() as connection:
        connection.execute("UPDATE users SET onboarded = 1 WHERE id = ?", (user["id"],))


def save_contacts(user: User, addresses: Sequence[str]) -> None:
    with database() as connection:
        rows = [(user["id"], address) for address in addresses]
        connection.executemany("INSERT OR IGNORE INTO contacts VALUES (?, ?)", rows)


def save_action(user_id: int, action: str) -> None:
    with database() as connection:
        connection.execute("INSERT INTO actions VALUES (?, ?)", (user_id, action))


def count_actions(user: User) -> int:
    with database() as connection:
        query = "SELECT count(*) FROM actions WHERE user_id = ?"
        count: int = connection.execute(query, (user["id"],)).fetchone()[0]
    return count


def save_mail(user: User, kind: str, subject: str) -> bool:
    """False where the user has one of this kind already."""
    with database() as connection:
        query = "INSERT OR IGNORE INTO mails VALUES (?, ?, ?)"
        return connection.execute(query, (user["id"], kind, subject)).rowcount == 1


def profile(user_id: int) -> dict[str, Any] | None:
    """What is known of a user, as JSON; None of an unknown one."""
    with database() as connection:
        user = connection.execute("SELECT * FROM users WHERE id = ?", (user_id,)).fetchone()
        if user is None:
            return None
        contacts = connection.execute(
            "SELECT count(*) FROM contacts WHERE user_id = ?", (user_id,)
        ).fetchone()
        mails = connection.execute("SELECT kind FROM mails WHERE user_id = ? ORDER BY kind DESC", (user_id,))
        return {
            "id": user["id"],
            "name": user["name"],
            "email": user["email"],
            "onboarded": bool(user["onboarded"]),
            "contacts": contacts[0],
            "mails": [mail["kind"] for mail in mails],
        }
