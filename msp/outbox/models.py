"""Lanes and inbound events.

A lane is the one row of an outside object (a ticket, a Stripe invoice, a mail): it says that the object there is out of
step with what we want. Delivery claims lanes, sends the difference and settles them. An inbound event is a webhook as
it came in, kept before anything looks inside it.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from msp.tenants.wall import TenantOwned, one_of, uid_key

LANE_KINDS = ("ticket", "stripe", "mail", "fallback", "document", "psa")


class Lane(TenantOwned):
    """``wanted`` counts changes; the lane is out of step while ``confirmed`` is behind it.

    ``claim_token`` and ``lease_until`` belong to whoever delivers it now; settling needs the token. ``unknown`` says
    that the last call may or may not have worked. ``stuck`` says a person is needed, and why is in ``last_error``.
    """

    kind = models.CharField(max_length=12)
    object_id = models.BigIntegerField()
    wanted = models.BigIntegerField(default=0)
    confirmed = models.BigIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    attempts = models.IntegerField(default=0)
    claim_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    unknown = models.BooleanField(default=False)
    stuck = models.BooleanField(default=False)
    last_error = models.TextField(blank=True)
    updated_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("lane"),
            models.UniqueConstraint(fields=["tenant", "kind", "object_id"], name="lane_object"),
            one_of("lane", "kind", LANE_KINDS),
            models.CheckConstraint(condition=Q(confirmed__lte=models.F("wanted")), name="lane_not_ahead"),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"], name="lane_due", condition=Q(next_attempt_at__isnull=False, stuck=False)
            )
        ]


class LaneAttempt(TenantOwned):
    """One call that was made for a lane, what was asked and what came of it, secrets removed. Only inserted."""

    lane_id = models.BigIntegerField()
    at = models.DateTimeField()
    action = models.CharField(max_length=20)
    outcome = models.CharField(max_length=12)
    detail = models.TextField(blank=True)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("laneattempt"),
            one_of("laneattempt", "outcome", ("done", "temporary", "permanent", "unknown", "found")),
        ]
        indexes = [models.Index(fields=["tenant", "lane_id", "-at"], name="laneattempt_lane")]


class InboundEvent(TenantOwned):
    """A webhook, or a mail about a ticket, as received."""

    source = models.CharField(max_length=40)
    external_id = models.CharField(max_length=200)
    received_at = models.DateTimeField()
    headers = models.JSONField(default=dict)
    body = models.BinaryField()
    state = models.CharField(max_length=12, default="waiting")
    error = models.TextField(blank=True)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("inbound"),
            models.UniqueConstraint(fields=["tenant", "source", "external_id"], name="inbound_external"),
            one_of("inbound", "state", ("waiting", "done", "refused")),
        ]
        indexes = [models.Index(fields=["source", "id"], name="inbound_waiting", condition=Q(state="waiting"))]
