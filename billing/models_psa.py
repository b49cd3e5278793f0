"""Which line of an agreement in a PSA system each client's plan is, and the quantities that were pushed to it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from msp.estate.models import Client
from msp.tenants.wall import TenantOwned, one_of, uid_key

ROUNDINGS = ("plan", "up")


class PsaLine(TenantOwned):
    """What a person chose: a client's plan (by its code, whatever its version) is this line there.

    ``destination_id`` is a destination of tickets, whose system keeps the agreement. ``agreement`` and ``name`` are
    that system's own words. ``rounding``: the quantity as the plan states it, or up to whole units.
    """

    destination_id = models.BigIntegerField()
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+", db_index=False)
    plan_code = models.CharField(max_length=60)
    agreement_id = models.CharField(max_length=40)
    line_id = models.CharField(max_length=40)
    agreement = models.CharField(max_length=200)
    name = models.CharField(max_length=200)
    rounding = models.CharField(max_length=8, default="plan")
    chosen_by = models.CharField(max_length=200)
    chosen_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        app_label = "billing"
        constraints = [
            uid_key("psaline"),
            one_of("psaline", "rounding", ROUNDINGS),
            models.UniqueConstraint(fields=["tenant", "destination_id", "client", "plan_code"], name="psaline_plan"),
            models.UniqueConstraint(
                fields=["tenant", "destination_id", "agreement_id", "line_id"], name="psaline_line"
            ),
        ]


class PsaPush(TenantOwned):
    """A quantity that a person had pushed to a line for a month, and what came of it.

    Waiting: on its way; done: written; same: it stood there already; failed: ``problem`` says why. ``company`` and the
    ids are those of the other system when it was asked for; ``before`` is the quantity that was found there.
    """

    destination_id = models.BigIntegerField()
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+", db_index=False)
    plan_code = models.CharField(max_length=60)
    company = models.CharField(max_length=200)
    agreement_id = models.CharField(max_length=40)
    line_id = models.CharField(max_length=40)
    name = models.CharField(max_length=200)
    first_day = models.DateField()
    quantity = models.DecimalField(max_digits=24, decimal_places=6)
    unit = models.CharField(max_length=8)
    effective_on = models.DateField()
    before = models.DecimalField(max_digits=24, decimal_places=6, null=True)
    state = models.CharField(max_length=8, default="waiting")
    problem = models.TextField(blank=True)
    asked_by = models.CharField(max_length=200)
    asked_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    class Meta(TenantOwned.Meta):
        app_label = "billing"
        constraints = [
            uid_key("psapush"),
            one_of("psapush", "state", ("waiting", "done", "same", "failed")),
            models.UniqueConstraint(
                fields=["tenant", "destination_id", "agreement_id", "line_id"],
                name="psapush_waiting",
                condition=Q(state="waiting"),
            ),
        ]
        indexes = [models.Index(fields=["tenant", "destination_id", "client", "-id"], name="psapush_newest")]
