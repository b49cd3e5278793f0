"""What a selection is defined to hold, and how large we measured it to be. Both are only inserted.

A definition is a version: the newest holds. A measurement is known by where it came from (``origin``) and by the
definition it was made with, so that the same inventory read again changes nothing. Sizes are bytes.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from integrations.selections.definitions import KINDS
from msp.estate.models import Selection
from msp.tenants.wall import TenantOwned, one_of, uid_key

SOURCES = ("wrapper", "upload", "api", "command")


class SelectionDefinition(TenantOwned):
    """The ``.SEL`` file or list of a selection. ``variables`` are what names in it stand for."""

    selection = models.ForeignKey(Selection, on_delete=models.PROTECT, related_name="+", db_index=False)
    version = models.IntegerField()
    kind = models.CharField(max_length=16)
    content = models.TextField()
    variables = models.JSONField(default=dict)
    digest = models.CharField(max_length=64)
    set_at = models.DateTimeField()
    set_by = models.CharField(max_length=200)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("selectiondefinition"),
            models.UniqueConstraint(fields=["tenant", "selection", "version"], name="selectiondefinition_version"),
            one_of("selectiondefinition", "kind", tuple(KINDS)),
        ]


class SelectionMeasurement(TenantOwned):
    """One measurement, or why there is none (``error``).

    ``bytes_once`` counts hard links once, null where they could not be told apart; ``whole`` says that every root was
    there and readable. ``reported_bytes`` is what the product said of the selection when this was measured, by the job
    ``reported_job_id``: kept here, so that both are of the same time. ``receipt_id`` is where a wrapper's came from.
    """

    selection = models.ForeignKey(Selection, on_delete=models.PROTECT, related_name="+", db_index=False)
    measured_at = models.DateTimeField()
    received_at = models.DateTimeField()
    source = models.CharField(max_length=8)
    form = models.CharField(max_length=16, blank=True)
    origin = models.CharField(max_length=100)
    definition_digest = models.CharField(max_length=64)
    definition_version = models.IntegerField(null=True)
    bytes_once = models.BigIntegerField(null=True)
    bytes_each = models.BigIntegerField(null=True)
    files = models.BigIntegerField(null=True)
    links = models.BigIntegerField(default=0)
    unreadable = models.BigIntegerField(default=0)
    elsewhere = models.BigIntegerField(default=0)
    whole = models.BooleanField(default=False)
    details = models.JSONField(default=dict)
    error = models.CharField(max_length=500, blank=True)
    receipt_id = models.BigIntegerField(null=True)
    reported_job_id = models.BigIntegerField(null=True)
    reported_bytes = models.BigIntegerField(null=True)
    reported_at = models.DateTimeField(null=True)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("selectionmeasurement"),
            models.UniqueConstraint(
                fields=["tenant", "selection", "origin", "definition_digest"], name="selectionmeasurement_once"
            ),
            one_of("selectionmeasurement", "source", SOURCES),
            models.CheckConstraint(
                condition=Q(bytes_each__isnull=False) | ~Q(error=""), name="selectionmeasurement_told"
            ),
        ]
        indexes = [models.Index(fields=["tenant", "selection", "-measured_at"], name="selectionmeasurement_newest")]
