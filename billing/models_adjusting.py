"""What stands on invoices beside usage: one-off charges and credits, and discounts.

A one-off is entered once and lands on one document; ``invoice`` is the draft or final document that has it, empty while
it is free. A discount runs from a day to another and makes a line on every document of its agreement meanwhile.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from billing.models import Agreement, Invoice, Subscription
from msp.estate.models import Client
from msp.tenants.wall import TenantOwned, one_of, uid_key

ONE_OFF_KINDS = ("charge", "credit")


class OneOff(TenantOwned):
    """A charge or credit that is due once: ``quantity`` x ``unit_price``, both positive, taken off if it is a credit.

    ``month`` is the first day of the earliest month it may stand on, empty: whichever invoice is next. ``tax_rate`` is
    a share (0.19), empty: the bill-to's. Withdrawn ones stay, with the reason.
    """

    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, related_name="+", db_index=False)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+", db_index=False, null=True)
    invoice = models.ForeignKey(Invoice, on_delete=models.SET_NULL, related_name="+", db_index=False, null=True)
    kind = models.CharField(max_length=8)
    description = models.CharField(max_length=200)
    quantity = models.DecimalField(max_digits=18, decimal_places=6, default=1)
    unit = models.CharField(max_length=8, default="each")
    unit_price = models.DecimalField(max_digits=18, decimal_places=4)
    currency = models.CharField(max_length=3)
    tax_rate = models.DecimalField(max_digits=6, decimal_places=5, null=True)
    month = models.DateField(null=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    withdrawn_at = models.DateTimeField(null=True)
    withdrawn_by = models.CharField(max_length=200, blank=True)
    withdraw_reason = models.TextField(blank=True)

    class Meta(TenantOwned.Meta):
        app_label = "billing"
        constraints = [
            uid_key("oneoff"),
            one_of("oneoff", "kind", ONE_OFF_KINDS),
            models.CheckConstraint(condition=Q(quantity__gt=0, unit_price__gt=0), name="oneoff_positive"),
            models.CheckConstraint(
                condition=Q(tax_rate__isnull=True) | Q(tax_rate__gte=0, tax_rate__lt=1), name="oneoff_tax_rate"
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "agreement"], name="oneoff_agreement"),
            models.Index(fields=["tenant", "invoice"], name="oneoff_invoice"),
        ]

    def __str__(self) -> str:
        return self.description


class Discount(TenantOwned):
    """A percentage or an amount off the lines of an agreement, of one client or of one subscription under it.

    ``starts_on`` to ``ends_on`` (exclusive). Of several, the lower ``position`` is taken off first, the next of what
    is left. ``amount`` is for a whole month.
    """

    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, related_name="+", db_index=False)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+", db_index=False, null=True)
    subscription = models.ForeignKey(
        Subscription, on_delete=models.PROTECT, related_name="+", db_index=False, null=True
    )
    name = models.CharField(max_length=120)
    percent = models.DecimalField(max_digits=7, decimal_places=4, null=True)
    amount = models.DecimalField(max_digits=18, decimal_places=4, null=True)
    position = models.IntegerField(default=1)
    starts_on = models.DateField()
    ends_on = models.DateField(null=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)

    class Meta(TenantOwned.Meta):
        app_label = "billing"
        constraints = [
            uid_key("discount"),
            models.CheckConstraint(
                condition=Q(percent__gt=0, percent__lte=100, amount__isnull=True)
                | Q(amount__gt=0, percent__isnull=True),
                name="discount_percent_or_amount",
            ),
            models.CheckConstraint(
                condition=Q(client__isnull=True) | Q(subscription__isnull=True), name="discount_scope"
            ),
            models.CheckConstraint(
                condition=Q(ends_on__isnull=True) | Q(ends_on__gte=F("starts_on")), name="discount_forward"
            ),
        ]
        indexes = [models.Index(fields=["tenant", "agreement"], name="discount_agreement")]

    def __str__(self) -> str:
        return self.name
