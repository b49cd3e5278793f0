"""Who may look at the documents of a payer without a login: links, of which only a hash is kept."""

from __future__ import annotations

from django.db import models

from billing.models import BillTo, Seller
from msp.tenants.wall import TenantOwned, uid_key


class PortalLink(TenantOwned):
    """Opens what one seller invoiced one payer, until ``expires_at`` or until a person ends it.

    ``email`` is whom it was given to. ``LookupKey`` (kind ``portal``) leads from the hash of its key to it.
    """

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="+", db_index=False)
    bill_to = models.ForeignKey(BillTo, on_delete=models.PROTECT, related_name="+", db_index=False)
    email = models.EmailField()
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta(TenantOwned.Meta):
        app_label = "billing"
        constraints = [uid_key("portallink")]
        indexes = [models.Index(fields=["tenant", "bill_to", "-id"], name="portallink_bill_to")]
