from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from defer.compute_product_recommendation import compute_product_recommendation
from defer.weekly_product_recommendations import weekly_product_recommendations
from defer_client import delay
from defer_emulator.testing import Emulator
from shop import mailer, users
from shop.catalogue import Film, all_films
from shop.recommendations import recommend, weighted_score


def film(id: str, genres: str, score: float = 8.0, reviews: int = 200) -> Film:
    return Film(
        id=id, title=id.title(), year=2000, genres=frozenset(genres.split()), score=score, reviews=reviews
    )


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SHOP_DATABASE", str(tmp_path / "shop.db"))
    users.create_database()
    yield


def test_films_of_liked_genres_come_first() -> None:
    films = [film("drama", "Drama", 9.0), film("western", "Western"), film("liked", "Western")]

    assert recommend(films, {"liked": 5}, 1) == [films[1]]


def test_what_was_rated_is_not_recommended_again() -> None:
    films = [film("loved", "Drama"), film("hated", "Drama"), film("new", "Drama")]

    assert recommend(films, {"loved": 5, "hated": 1}) == [films[2]]


def test_a_score_of_few_reviews_counts_less() -> None:
    assert weighted_score(film("proven", "Drama", 8.5, 300)) > weighted_score(film("hyped", "Drama", 10.0, 3))


def test_a_new_user_gets_the_best_films() -> None:
    films = [film("good", "Drama", 7.0), film("best", "Western", 9.0), film("poor", "Drama", 2.0)]

    assert [each.id for each in recommend(films, {}, 2)] == ["best", "good"]


def test_the_real_films_give_the_same_recommendations_each_time() -> None:
    films = all_films()
    liked = {each.id: 5 for each in films if each.title in ("Toy Story", "Finding Nemo")}

    titles = [each.title for each in recommend(films, liked)]

    assert len(films) > 10_000
    assert "Up" in titles
    assert titles == [each.title for each in recommend(reversed(films), liked)]


def test_only_users_who_opted_in_are_found(shop: None) -> None:
    ada = users.add_user("Ada", "ada@example.com", opted_in=True)
    users.add_user("Mads", "mads@example.com", opted_in=False)

    assert users.users_who_opted_in() == [ada]


def test_a_mail_is_marked_as_sent_for_its_week_only(shop: None) -> None:
    ada = users.add_user("Ada", "ada@example.com", opted_in=True)

    users.mark_as_sent(ada, "2026-W05")
    users.mark_as_sent(ada, "2026-W05")

    assert users.was_sent(ada, "2026-W05")
    assert not users.was_sent(ada, "2026-W06")


def test_every_try_makes_a_mail_with_the_same_id() -> None:
    béla = users.User(id=2, name="Béla", email="bela@example.com")

    first, second = (mailer.recommendation_mail(béla, [film("best", "Drama")], "2026-W05") for _ in range(2))

    assert first["Message-ID"] == second["Message-ID"] == "<recommendations.2026-W05.2@shop.example>"
    assert "- Best (2000), 8.0 of 10" in first.get_content()


# --- the background functions, on a clock that the tests move ---------------------------------------


@pytest.fixture
def outbox(shop: None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Who got a mail, in order; and a shop of a few films."""
    sent: list[str] = []
    films = tuple(film(f"film{number}", "Drama", 5 + number) for number in range(5))
    module = "defer.compute_product_recommendation"
    monkeypatch.setattr(f"{module}.all_films", lambda: films)
    monkeypatch.setattr(f"{module}.send", lambda mail: sent.append(mail["To"]))
    for name in ("ada", "bela", "chidi"):
        users.add_user(name, f"{name}@example.com", opted_in=True)
    users.add_user("Mads", "mads@example.com", opted_in=False)
    return sent


EVERYBODY = ["ada@example.com", "bela@example.com", "chidi@example.com"]


@pytest.mark.defer(start="2026-01-01")
def test_every_monday_of_a_month_those_who_opted_in_get_one_mail(
    outbox: list[str], defer_emulator: Emulator
) -> None:
    defer_emulator.advance("30 days")

    fired = [one.scheduled_at for one in defer_emulator.executions(weekly_product_recommendations)]
    assert [moment.strftime("%a %d %H:%M") for moment in fired] == [
        "Mon 05 08:00",
        "Mon 12 08:00",
        "Mon 19 08:00",
        "Mon 26 08:00",
    ]
    assert outbox == 4 * EVERYBODY
    defer_emulator.assert_succeeded(compute_product_recommendation)


@pytest.mark.defer(start="2026-01-05T08:00")
def test_a_mail_server_that_refuses_is_asked_again_for_that_user(
    outbox: list[str], defer_emulator: Emulator
) -> None:
    defer_emulator.fail_next(compute_product_recommendation, OSError("451 try again later"))
    for user in users.users_who_opted_in():
        compute_product_recommendation.enqueue(user)

    defer_emulator.run_until_idle()
    assert outbox == EVERYBODY[1:]
    defer_emulator.advance("1s")

    assert outbox == [*EVERYBODY[1:], EVERYBODY[0]]
    assert [one.attempt for one in defer_emulator.executions(compute_product_recommendation)] == [2, 1, 1]


@pytest.mark.defer(start="2026-01-06", allow="failed")
def test_after_five_retries_it_gives_up(outbox: list[str], defer_emulator: Emulator) -> None:
    for _ in range(6):
        defer_emulator.fail_next(compute_product_recommendation, OSError("451 try again later"))
    compute_product_recommendation.enqueue(users.users_who_opted_in()[0])

    defer_emulator.advance("1 hour")

    record = defer_emulator.assert_failed(compute_product_recommendation)
    assert (record.attempt, outbox) == (6, [])
    starts = [one.started_at for one in record.attempts]
    assert [(later - earlier).total_seconds() for earlier, later in pairwise(starts)] == [1, 4, 16, 64, 256]


@pytest.fixture
def crowd(outbox: list[str]) -> list[users.User]:
    """More than the mail server accepts at once."""
    return [users.add_user(f"{n}", f"{n}@example.com", opted_in=True) for n in range(25)]


def test_of_a_crowd_each_gets_the_mail_in_turn(
    crowd: list[users.User], outbox: list[str], defer_emulator: Emulator
) -> None:
    for user in crowd:
        compute_product_recommendation.enqueue(user)

    defer_emulator.run_until_idle()

    assert outbox == [user["email"] for user in crowd]


@pytest.mark.defer(start="2026-01-06")  # a Tuesday
def test_who_has_waited_longest_is_first_when_the_mail_server_is_back(
    crowd: list[users.User], outbox: list[str], defer_emulator: Emulator
) -> None:
    defer_emulator.pause(compute_product_recommendation)
    for place, user in enumerate(crowd):
        delay(compute_product_recommendation, timedelta(hours=25 - place)).enqueue(user)
    defer_emulator.advance("25 hours")
    assert outbox == []

    defer_emulator.resume(compute_product_recommendation)
    defer_emulator.run_until_idle()

    assert outbox == [user["email"] for user in reversed(crowd)]


@pytest.mark.defer(start="2026-01-05T08:00")
def test_who_has_the_mail_gets_no_second_one_after_a_crash(
    outbox: list[str], defer_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    marking = "defer.compute_product_recommendation.mark_as_sent"

    def mark_and_crash(user: users.User, week: str) -> None:
        users.mark_as_sent(user, week)
        monkeypatch.setattr(marking, users.mark_as_sent)
        defer_emulator.interrupt()

    monkeypatch.setattr(marking, mark_and_crash)
    compute_product_recommendation.enqueue(users.users_who_opted_in()[0])
    defer_emulator.advance("1 minute")

    record = defer_emulator.assert_succeeded(compute_product_recommendation)
    assert (record.attempt, record.result, outbox) == (2, [], [EVERYBODY[0]])
