"""The shop's films: a real table, with the critics' scores of 17,000 films."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Film:
    id: str  # on IMDb, such as "tt0114709"
    title: str
    year: int
    genres: frozenset[str]
    score: float  # the critics' average, 0 to 10
    reviews: int  # how many reviews that average is of


@cache
def all_films() -> tuple[Film, ...]:
    """Every film that has a score and genres, by id."""
    with closing(sqlite3.connect(f"{_table().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        rows = connection.execute(
            """
            SELECT omdb.imdbID, omdb.Title, omdb.Year, omdb.Genre, tomatoes.Rating, tomatoes.Reviews
            FROM omdb JOIN tomatoes USING (ID)
            WHERE tomatoes.Rating IS NOT NULL AND tomatoes.Reviews > 0 AND omdb.Genre <> ''
            ORDER BY omdb.imdbID
            """
        ).fetchall()
    return tuple(
        Film(
            id=id, title=title, year=year, genres=frozenset(genres.split(", ")), score=score, reviews=reviews
        )
        for id, title, year, genres, score, reviews in rows
    )


def _table() -> Path:
    # Found and not imported: the package's own code would need pandas, the table needs only sqlite3.
    package = find_spec("bokeh_sampledata")
    if package is None or package.origin is None:
        raise RuntimeError("the films are missing: pip install --no-deps 'bokeh_sampledata>=2026.1'")
    return Path(package.origin).parent / "_data" / "movies.db"
