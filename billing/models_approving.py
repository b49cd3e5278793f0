"""Requests for a second person: what one person asked for, and what another one decided."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from billing.models import Invoice
from msp.tenants.wall import TenantOwned, one_of, uid_key

ACTIONS = ("finalise", "void", "credit")


class ApprovalRequest(TenantOwned):
    """``content_hash`` covers what is to be approved as it was then; ``details`` are its reason and lines."""

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="+", db_index=False)
    action = models.CharField(max_length=10)
    details = models.JSONField(default=dict)
    content_hash = models.CharField(max_length=64)
    amount = models.DecimalField(max_digits=18, decimal_places=4)
    asked_by = models.CharField(max_length=200)
    asked_at = models.DateTimeField()
    state = models.CharField(max_length=10, default="open")
    decided_by = models.CharField(max_length=200, blank=True)
    decided_at = models.DateTimeField(null=True)
    decided_reason = models.TextField(blank=True)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("approvalrequest"),
            one_of("approvalrequest", "action", ACTIONS),
            one_of("approvalrequest", "state", ("open", "approved", "declined")),
            models.UniqueConstraint(
                fields=["tenant", "invoice"], name="approvalrequest_open", condition=Q(state="open")
            ),
        ]
