from collections.abc import Iterator
from pathlib import Path

import pytest

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
