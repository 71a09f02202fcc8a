"""The shop's database: users, their ratings, and which mails they got."""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TypedDict

SCHEMA = """
CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT NOT NULL UNIQUE,
    weekly_product_recommendations INTEGER NOT NULL
) STRICT;
CREATE TABLE ratings (
    user_id INTEGER NOT NULL REFERENCES users,
    film_id TEXT NOT NULL,
    stars INTEGER NOT NULL CHECK (stars BETWEEN 1 AND 5),
    PRIMARY KEY (user_id, film_id)
) STRICT;
CREATE TABLE mails (
    user_id INTEGER NOT NULL REFERENCES users,
    week TEXT NOT NULL,
    PRIMARY KEY (user_id, week)
) STRICT;
"""


class User(TypedDict):
    """What an execution is given: JSON, and no more than it needs."""

    id: int
    name: str
    email: str


@contextmanager
def database() -> Iterator[sqlite3.Connection]:
    """The shop's database, for one transaction. `SHOP_DATABASE` says where it is."""
    connection = sqlite3.connect(os.environ.get("SHOP_DATABASE", "shop.db"), timeout=10)
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def create_database() -> None:
    with database() as connection:
        connection.executescript(SCHEMA)


def add_user(name: str, email: str, *, opted_in: bool, stars: Mapping[str, int] | None = None) -> User:
    """`stars` are ratings by film id."""
    with database() as connection:
        (id,) = connection.execute(
            "INSERT INTO users (name, email, weekly_product_recommendations) VALUES (?, ?, ?) RETURNING id",
            (name, email, opted_in),
        ).fetchone()
        rated: Iterable[tuple[int, str, int]] = ((id, film, given) for film, given in (stars or {}).items())
        connection.executemany("INSERT INTO ratings VALUES (?, ?, ?)", rated)
    return User(id=id, name=name, email=email)


def users_who_opted_in() -> list[User]:
    with database() as connection:
        rows = connection.execute(
            "SELECT id, name, email FROM users WHERE weekly_product_recommendations ORDER BY id"
        ).fetchall()
    return [User(id=id, name=name, email=email) for id, name, email in rows]


def ratings_of(user: User) -> dict[str, int]:
    """Stars by film id."""
    with database() as connection:
        return dict(
            connection.execute(
                "SELECT film_id, stars FROM ratings WHERE user_id = ?", (user["id"],)
            ).fetchall()
        )


def week_of(moment: datetime) -> str:
    """Such as "2026-W05", in UTC."""
    return moment.astimezone(timezone.utc).strftime("%G-W%V")


def was_sent(user: User, week: str) -> bool:
    with database() as connection:
        query = "SELECT 1 FROM mails WHERE user_id = ? AND week = ?"
        return connection.execute(query, (user["id"], week)).fetchone() is not None


def mark_as_sent(user: User, week: str) -> None:
    with database() as connection:
        connection.execute("INSERT OR IGNORE INTO mails VALUES (?, ?)", (user["id"], week))
