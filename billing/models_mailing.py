"""Documents that are to be mailed or were: one row for each sending that a person asked for."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from billing.models import Invoice
from msp.tenants.wall import TenantOwned, one_of, uid_key


class DocumentMail(TenantOwned):
    """A final document on its way to ``recipient``; ``problem`` says why it did not go out."""

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="+", db_index=False)
    recipient = models.EmailField()
    asked_by = models.CharField(max_length=200)
    asked_at = models.DateTimeField()
    state = models.CharField(max_length=8, default="waiting")
    sent_at = models.DateTimeField(null=True)
    message_id = models.CharField(max_length=300, blank=True)
    problem = models.TextField(blank=True)

    class Meta(TenantOwned.Meta):
        app_label = "billing"
        constraints = [
            uid_key("documentmail"),
            one_of("documentmail", "state", ("waiting", "sent", "failed")),
            models.UniqueConstraint(
                fields=["tenant", "invoice"], name="documentmail_waiting", condition=Q(state="waiting")
            ),
        ]
        indexes = [models.Index(fields=["tenant", "invoice", "-id"], name="documentmail_invoice")]
