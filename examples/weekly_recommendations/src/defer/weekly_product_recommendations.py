from defer_client import defer
from shop.users import users_who_opted_in

from .compute_product_recommendation import compute_product_recommendation


@defer.cron("0 8 * * MON")
async def weekly_product_recommendations() -> None:
    """Mondays at 8 (UTC): one execution for each user who opted in. They run in parallel."""
    users = users_who_opted_in()
    for user in users:
        await compute_product_recommendation(user)
    print(f"{len(users)} users get recommendations")
