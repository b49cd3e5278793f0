"""Everything that was sent and received about a ticket, as people may read it. Kept for a while, then deleted."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from msp.tenants.wall import TenantOwned, one_of, uid_key


class TicketCall(TenantOwned):
    """One request and its answer, one mail with its conversation, or one callback; secrets are taken out before.

    ``tried_at`` is the time of the attempt that it belongs to, ``at`` its own. ``action`` is what it was for.
    ``verdict`` says why there is no answer, or what we made of a callback. ``changed``: a look that brought news.
    """

    ticket = models.ForeignKey("alerts.Ticket", on_delete=models.CASCADE, related_name="+", db_index=False)
    at = models.DateTimeField()
    tried_at = models.DateTimeField()
    direction = models.CharField(max_length=8)
    action = models.CharField(max_length=20)
    method = models.CharField(max_length=10)
    address = models.TextField(blank=True)
    request_headers = models.JSONField(default=dict)
    request = models.TextField(blank=True)
    status = models.IntegerField(null=True)
    answer_headers = models.JSONField(default=dict)
    answer = models.TextField(blank=True)
    verdict = models.TextField(blank=True)
    took_ms = models.IntegerField(null=True)
    changed = models.BooleanField(default=True)

    class Meta(TenantOwned.Meta):
        constraints: ClassVar = [
            uid_key("ticketcall"),
            one_of("ticketcall", "direction", ("sent", "received")),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "ticket", "-id"], name="ticketcall_ticket"),
            models.Index(fields=["tenant", "at"], name="ticketcall_age"),
        ]
