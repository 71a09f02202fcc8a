from datetime import timedelta

from django.utils import timezone

from defer_client import defer
from shop.models import Order


@defer.cron("0 3 * * *")
async def forget_unpaid_orders() -> int:
    """Delete what nobody has paid for a week."""
    week_ago = timezone.now() - timedelta(days=7)
    deleted, _ = await Order.objects.filter(is_paid=False, created_at__lt=week_ago).adelete()
    print(f"{deleted} orders were forgotten")
    return deleted
