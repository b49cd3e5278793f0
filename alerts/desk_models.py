"""What the other system says: which company there each client is, and the messages that people wrote on tickets."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from msp.estate.models import Client
from msp.tenants.wall import TenantOwned, uid_key


class ClientCompany(TenantOwned):
    """The company that a client is in a ticket system; ``name`` is the system's own, for people to read."""

    destination = models.ForeignKey("alerts.Destination", on_delete=models.CASCADE, related_name="+", db_index=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    company_id = models.CharField(max_length=200)
    name = models.CharField(max_length=200, blank=True)
    chosen_by = models.CharField(max_length=200, blank=True)
    chosen_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        constraints: ClassVar = [
            uid_key("clientcompany"),
            models.UniqueConstraint(fields=["tenant", "destination", "client"], name="clientcompany_once"),
        ]


class TicketRemark(TenantOwned):
    """A message of a person on a ticket there, as it was first read. Only inserted."""

    ticket = models.ForeignKey("alerts.Ticket", on_delete=models.CASCADE, related_name="+", db_index=False)
    external_id = models.CharField(max_length=200)
    author = models.CharField(max_length=200, blank=True)
    text = models.TextField()
    written_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        constraints: ClassVar = [
            uid_key("ticketremark"),
            models.UniqueConstraint(fields=["tenant", "ticket", "external_id"], name="ticketremark_once"),
        ]
