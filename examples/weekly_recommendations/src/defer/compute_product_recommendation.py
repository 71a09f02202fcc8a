from defer_client import RetryPolicy, defer, now
from shop.catalogue import all_films
from shop.mailer import recommendation_mail, send
from shop.recommendations import recommend
from shop.users import User, mark_as_sent, ratings_of, was_sent, week_of


# Retries belong here and not on the cron: a mail server that refuses one user is asked again for that user.
@defer(
    concurrency=10,  # what the mail server accepts at once
    retry=RetryPolicy(max_attempts=5, initial_interval=1.0, multiplier=4.0),  # 1 s, 4 s, 16 s, ...
)
async def compute_product_recommendation(user: User) -> list[str]:
    """Find three films for a user and mail them. Returns their titles; none if this week's mail was sent."""
    week = week_of(await now())  # by the clock that tests and `defer clock` move
    if was_sent(user, week):
        print(f"{user['email']} already has the mail of {week}")
        return []
    films = recommend(all_films(), ratings_of(user))
    send(recommendation_mail(user, films, week))
    mark_as_sent(user, week)
    print(f"mailed {user['email']}: {', '.join(film.title for film in films)}")
    return [film.title for film in films]
