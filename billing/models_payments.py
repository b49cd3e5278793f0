"""Payments that a seller received, and to which invoices each was allocated; what is open is derived, never stored."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from billing.models import BillTo, Invoice, Seller
from msp.tenants.wall import TenantOwned, one_of, uid_key

METHODS = ("transfer", "card", "cash", "stripe")
SOURCES = ("hand", "csv", "camt", "stripe")


class Payment(TenantOwned):
    """Money received, or paid back (negative). ``source_id`` names it at its source: a second time changes nothing.

    A payment entered by mistake is withdrawn, with a reason; the row stays.
    """

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="+", db_index=False)
    bill_to = models.ForeignKey(BillTo, on_delete=models.PROTECT, related_name="+", db_index=False, null=True)
    amount = models.DecimalField(max_digits=18, decimal_places=4)
    currency = models.CharField(max_length=3)
    received_on = models.DateField()
    method = models.CharField(max_length=12, default="transfer")
    reference = models.TextField(blank=True)
    payer = models.CharField(max_length=200, blank=True)
    source = models.CharField(max_length=8)
    source_id = models.CharField(max_length=200)
    recorded_by = models.CharField(max_length=200)
    recorded_at = models.DateTimeField()
    withdrawn_by = models.CharField(max_length=200, blank=True)
    withdrawn_at = models.DateTimeField(null=True)
    withdrawn_reason = models.TextField(blank=True)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("payment"),
            models.UniqueConstraint(fields=["tenant", "seller", "source_id"], name="payment_source"),
            one_of("payment", "method", METHODS),
            one_of("payment", "source", SOURCES),
            models.CheckConstraint(condition=~Q(amount=0), name="payment_amount"),
        ]
        indexes = [models.Index(fields=["tenant", "seller", "-received_on"], name="payment_newest")]


class PaymentAllocation(TenantOwned):
    """So much of a payment settles this invoice; taken off again by a further row with the opposite sign."""

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="+", db_index=False)
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="+", db_index=False)
    amount = models.DecimalField(max_digits=18, decimal_places=4)
    allocated_by = models.CharField(max_length=200)
    allocated_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("paymentallocation"),
            models.CheckConstraint(condition=~Q(amount=0), name="paymentallocation_amount"),
        ]
        indexes = [
            models.Index(fields=["tenant", "invoice"], name="paymentallocation_invoice"),
            models.Index(fields=["tenant", "payment"], name="paymentallocation_payment"),
        ]
