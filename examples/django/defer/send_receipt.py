from asgiref.sync import sync_to_async

from defer_client import defer
from shop.models import Order


@defer(retry=5, concurrency=4)
async def send_receipt(order_id: int) -> str:
    """Mail the receipt of an order, once."""
    order = await Order.objects.aget(pk=order_id)
    if not await sync_to_async(order.send_receipt)():
        return f"{order.email} has it already"
    print(f"mail to {order.email}: {order.item}")
    return f"sent to {order.email}"
