"""What a comparison of our books with a payment service found; only inserted, the latest of a seller counts."""

from __future__ import annotations

from django.db import models

from billing.models import Seller
from msp.tenants.wall import TenantOwned, uid_key


class Reconciliation(TenantOwned):
    """Invoices made there since a day, compared; ``differences`` as JSON of ``billing.reconciling.Difference``."""

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="+", db_index=False)
    at = models.DateTimeField()
    since = models.DateField()
    compared = models.IntegerField()
    differences = models.JSONField(default=list)
    failure = models.TextField(blank=True)

    class Meta(TenantOwned.Meta):
        app_label = "billing"
        constraints = [uid_key("reconciliation")]
        indexes = [models.Index(fields=["tenant", "seller", "-at"], name="reconciliation_latest")]
