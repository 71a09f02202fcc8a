from django.core.mail import send_mail
from django.db import models, transaction
from django.utils import timezone


class Order(models.Model):
    email = models.EmailField()
    item = models.CharField(max_length=100)
    cents = models.PositiveIntegerField()
    is_paid = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    receipt_sent_at = models.DateTimeField(null=True)

    @transaction.atomic
    def send_receipt(self) -> bool:
        """Mail the receipt, unless that is done; whether it was sent now.

        The update locks the row: who comes second waits, and finds it done. When the mail fails, the update
        is undone, and a retry sends it.
        """
        unsent = Order.objects.filter(pk=self.pk, receipt_sent_at=None)
        if not unsent.update(receipt_sent_at=timezone.now()):
            return False
        send_mail(
            subject=f"Your order {self.pk}",
            message=f"{self.item}: {self.cents / 100:.2f}",
            from_email="shop@example.com",
            recipient_list=[self.email],
        )
        return True
