"""Fills a new database with invented users, who rated real films: `python -m shop.seed`."""

from shop.catalogue import all_films
from shop.users import add_user, create_database

OPTED_IN = {
    "Ada": ["Toy Story", "Finding Nemo"],
    "Béla": ["Alien", "The Matrix"],
    "Chidi": ["Casablanca", "Sabrina"],
    "Dana": ["Unforgiven", "High Noon"],
    "Emeka": ["Hoop Dreams", "Man on Wire"],
    "Freya": ["Goodfellas", "The Godfather"],
    "Goran": ["Groundhog Day", "Some Like It Hot"],
    "Hana": ["My Neighbor Totoro"],
    "Ismael": ["Psycho", "Rear Window"],
    "Jun": ["Singin' in the Rain", "West Side Story"],
    "Kofi": ["Airplane!"],
    "Lucía": [],  # has rated nothing yet
}
OPTED_OUT = {"Mads": ["Alien"], "Nour": ["Casablanca"], "Olga": ["Up"], "Pilar": []}


def seed() -> None:
    """Create `SHOP_DATABASE`. Everybody liked the films above, and nobody *Citizen Kane*."""
    create_database()
    by_age = sorted(all_films(), key=lambda film: film.year, reverse=True)
    ids = {film.title: film.id for film in by_age}  # of those with one title, the first that was made
    disliked = {ids["Citizen Kane"]: 2}
    for liked_by, opted_in in ((OPTED_IN, True), (OPTED_OUT, False)):
        for name, titles in liked_by.items():
            address = name.lower().translate(str.maketrans("éí", "ei")) + "@example.com"
            add_user(name, address, opted_in=opted_in, stars=disliked | {ids[title]: 5 for title in titles})


if __name__ == "__main__":
    seed()
    print(f"{len(OPTED_IN) + len(OPTED_OUT)} users, {len(OPTED_IN)} of them opted in")
