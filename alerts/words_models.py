"""The words that a tenant writes itself: templates of the first message of its tickets."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from msp.tenants.wall import TenantOwned, uid_key


class LetterTemplate(TenantOwned):
    """Of one route, or of the whole tenant (route empty); of one language, or of all (empty). An empty part is said by
    the default letter.
    """

    route = models.ForeignKey("alerts.Route", on_delete=models.CASCADE, related_name="+", db_index=False, null=True)
    language = models.CharField(max_length=8, blank=True, db_default="", default="")
    subject = models.TextField(blank=True, default="")
    body = models.TextField(blank=True, default="")
    html = models.TextField(blank=True, default="")
    changed_by = models.CharField(max_length=200, blank=True)
    changed_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        constraints: ClassVar = [
            uid_key("lettertemplate"),
            models.UniqueConstraint(
                fields=["tenant", "route", "language"], name="lettertemplate_once", nulls_distinct=False
            ),
        ]
