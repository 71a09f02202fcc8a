from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from defer.send_receipt import send_receipt
from shop.models import Order


@csrf_exempt  # the example is used with curl
@require_POST
@transaction.atomic
def create_order(request: HttpRequest) -> HttpResponse:
    email, item, cents = (request.POST.get(name, "") for name in ("email", "item", "cents"))
    if not email or not item or not cents.isdecimal():
        return JsonResponse({"error": "give email, item and cents"}, status=400)
    order = Order.objects.create(email=email, item=item, cents=int(cents))
    # Not before the order is stored: the function could run first, and would not find it.
    transaction.on_commit(lambda: send_receipt.enqueue(order.pk))
    return JsonResponse(_as_json(order), status=201)


@require_GET
def show_order(request: HttpRequest, order_id: int) -> HttpResponse:
    return JsonResponse(_as_json(get_object_or_404(Order, pk=order_id)))


def _as_json(order: Order) -> dict[str, object]:
    return {
        "id": order.pk,
        "email": order.email,
        "item": order.item,
        "cents": order.cents,
        "receipt_sent": order.receipt_sent_at is not None,
    }
