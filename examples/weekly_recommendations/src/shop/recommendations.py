"""Which films a user may like. Plain and deterministic: the same ratings give the same films."""

from collections import Counter
from collections.abc import Iterable, Mapping
from math import sqrt

from shop.catalogue import Film

LIKED = 4  # stars, of 5
TYPICAL_SCORE = 6.0  # about the mean of all films
TRUST = 40  # reviews from which on a film's own score counts more than the typical one


def recommend(films: Iterable[Film], stars: Mapping[str, int], count: int = 3) -> list[Film]:
    """The best films that the user has not rated, of the genres of those that the user liked.

    `stars` are the user's ratings, 1 to 5, by film id. Without a liked film all genres are equal.
    """
    films = list(films)
    common = Counter(genre for film in films for genre in film.genres)
    liked = Counter(genre for film in films if stars.get(film.id, 0) >= LIKED for genre in film.genres)
    # That somebody likes three westerns says more than that somebody likes three of the many dramas.
    taste = {genre: number / sqrt(common[genre]) for genre, number in liked.items()}

    def rank(film: Film) -> tuple[float, str]:
        return -weighted_score(film) * (_affinity(film, taste) if taste else 1.0), film.id

    return sorted((film for film in films if film.id not in stars), key=rank)[:count]


def weighted_score(film: Film) -> float:
    """Its score, drawn towards the typical one where only few reviews support it."""
    return (film.reviews * film.score + TRUST * TYPICAL_SCORE) / (film.reviews + TRUST)


def _affinity(film: Film, taste: Mapping[str, float]) -> float:
    """How well the film's genres fit the taste."""
    # Divided by the length, so that a film is not liked for naming every genre.
    return sum(taste.get(genre, 0.0) for genre in film.genres) / sqrt(len(film.genres))
