"""What a seller charges in tax in each country: rates of each tax class, each from a day on.

A law changes a rate on a date: the next rate is entered beside the one before, which goes on to count for what ended
before it. ``billing.taxing`` chooses.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from billing.models import Seller
from billing.taxes import RATED_CLASSES
from msp.tenants.wall import TenantOwned, one_of, uid_key


class TaxRate(TenantOwned):
    """``rate`` is a share (0.19) of class ``tax_class`` in ``country`` from ``starts_on`` on."""

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="+", db_index=False)
    country = models.CharField(max_length=2)
    tax_class = models.CharField(max_length=10)
    rate = models.DecimalField(max_digits=6, decimal_places=5)
    starts_on = models.DateField()

    class Meta(TenantOwned.Meta):
        app_label = "billing"
        constraints = [
            uid_key("taxrate"),
            models.UniqueConstraint(
                fields=["tenant", "seller", "country", "tax_class", "starts_on"], name="taxrate_key"
            ),
            one_of("taxrate", "tax_class", RATED_CLASSES),
            models.CheckConstraint(condition=Q(rate__gt=0, rate__lt=1), name="taxrate_share"),
        ]
