"""What was delivered: bodies, receipts, the queue of waiting ones; who a log is about; the inbox.

``Body`` and ``Receipt`` carry no foreign keys and are written by direct COPY; ``Body`` is partitioned by day of arrival
(its migration makes it). ``ReceiptQueue`` is narrow on purpose: taking a receipt off it is a delete, which costs far
less than marking the wide row.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import Q

from msp.backups.models import BackupJob
from msp.estate.models import BackupServer, Client
from msp.tenants.wall import TenantOwned, WalledManager, one_of, uid_key

DOORS = ("http", "batch", "command", "mail", "folder", "wrapper", "pull", "demo")
RECEIPT_STATES = ("waiting", "done", "inbox", "dismissed")
INBOX_REASONS = ("unrecognised", "unreadable", "unassigned", "ambiguous", "conflict", "failed", "refused")
CHANNEL_KINDS = ("mailbox", "pull", "mail", "folder", "format")
RULE_ACTIONS = ("new_job", "job", "hold", "refuse")
ASSIGNMENT_ORIGINS = ("person", "auto", "rule", "move")


class Body(models.Model):
    """What one request brought, compressed with ``codec`` (zstd), immutable. ``size`` is the raw length in bytes."""

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.BigIntegerField()
    day = models.DateField()
    size = models.IntegerField()
    codec = models.CharField(max_length=8, default="zstd")
    content = models.BinaryField()

    objects = WalledManager()
    unwalled: models.Manager[Any] = models.Manager()

    class Meta:
        managed = False
        db_table = "ingest_body"
        base_manager_name = "unwalled"


class Receipt(models.Model):
    """One delivery: where in which body it is, by which door it came, what became of it.

    ``delivery_id`` is the sender's own id or, for a bare post, a hash with a five-minute bucket; with tenant and door
    it is unique. ``body_offset`` and ``body_length`` give its bytes in the decompressed body. ``meta`` holds what the
    door knows besides (content type, parameters, envelope flag, file name). ``digest`` is the SHA-256 of its bytes.
    """

    id = models.BigAutoField(primary_key=True)
    uid = models.UUIDField(default=uuid.uuid4, db_default=RandomUUID(), editable=False)
    tenant_id = models.BigIntegerField()
    door = models.CharField(max_length=8)
    delivery_id = models.CharField(max_length=200)
    digest = models.CharField(max_length=64)
    server_id = models.BigIntegerField(null=True)
    body_id = models.BigIntegerField()
    body_day = models.DateField()
    body_offset = models.IntegerField(default=0)
    body_length = models.IntegerField()
    meta = models.JSONField(default=dict)
    state = models.CharField(max_length=10, default="waiting")
    format = models.CharField(max_length=60, blank=True)
    reason = models.CharField(max_length=12, blank=True)
    error = models.TextField(blank=True)
    error_line = models.IntegerField(null=True)
    runs = models.IntegerField(default=0)
    received_at = models.DateTimeField()
    processed_at = models.DateTimeField(null=True)

    objects = WalledManager()
    unwalled: models.Manager[Any] = models.Manager()

    class Meta:
        base_manager_name = "unwalled"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "uid"], name="receipt_uid"),
            models.UniqueConstraint(fields=["tenant_id", "door", "delivery_id"], name="receipt_delivery"),
            one_of("receipt", "door", DOORS),
            one_of("receipt", "state", RECEIPT_STATES),
        ]
        indexes = [
            models.Index(fields=["tenant_id", "-received_at"], name="receipt_received"),
            models.Index(fields=["tenant_id", "-received_at"], name="receipt_inbox", condition=Q(state="inbox")),
        ]


class ReceiptQueue(models.Model):
    """A receipt that waits to be processed. ``attempts`` counts crashes while it was in hand."""

    receipt_id = models.BigIntegerField(primary_key=True)
    tenant_id = models.BigIntegerField()
    received_at = models.DateTimeField()
    attempts = models.SmallIntegerField(default=0)

    objects = WalledManager()
    unwalled: models.Manager[Any] = models.Manager()

    class Meta:
        base_manager_name = "unwalled"
        indexes = [models.Index(fields=["tenant_id", "received_at"], name="queue_tenant")]


class Channel(TenantOwned):
    """A way by which logs come, or a format they come in, and what is usual there.

    ``key`` names it within its kind: the id of a mailbox or pull source, the format's name, "" for the one mail
    listener. ``days`` has [received, unreadable] by local day, ``recent`` the newest deliveries as [epoch seconds,
    readable], ``gaps`` the newest pauses between deliveries in seconds; all short (``msp.ingest.hearing``).
    """

    kind = models.CharField(max_length=8)
    key = models.CharField(max_length=80, blank=True)
    name = models.CharField(max_length=200)
    first_received_at = models.DateTimeField()
    last_received_at = models.DateTimeField()
    last_read_at = models.DateTimeField(null=True)
    days = models.JSONField(default=dict)
    recent = models.JSONField(default=list)
    gaps = models.JSONField(default=list)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("channel"),
            models.UniqueConstraint(fields=["tenant", "kind", "key"], name="channel_key"),
            one_of("channel", "kind", CHANNEL_KINDS),
        ]


class AssignmentRule(TenantOwned):
    """What a person wrote down for keys that nobody decided yet: the first rule in order whose conditions hold.

    ``patterns`` are globs by field (``msp.ingest.matching``). A new job is made for ``client`` or, where that is empty,
    for the one whose code stands at ``{client}``; on ``make_on`` where the delivery came without a server.
    """

    position = models.IntegerField()
    name = models.CharField(max_length=120)
    enabled = models.BooleanField(default=True)
    server = models.ForeignKey(BackupServer, on_delete=models.CASCADE, related_name="+", db_index=False, null=True)
    format = models.CharField(max_length=60, blank=True)
    patterns = models.JSONField(default=dict)
    action = models.CharField(max_length=8, default="hold")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False, null=True)
    job = models.ForeignKey(BackupJob, on_delete=models.CASCADE, related_name="+", db_index=False, null=True)
    make_on = models.ForeignKey(BackupServer, on_delete=models.CASCADE, related_name="+", db_index=False, null=True)
    name_template = models.CharField(max_length=200, blank=True)

    class Meta(TenantOwned.Meta):
        constraints = [uid_key("assignmentrule"), one_of("assignmentrule", "action", RULE_ACTIONS)]
        indexes = [models.Index(fields=["tenant", "position"], name="assignmentrule_order")]

    def __str__(self) -> str:
        return self.name


class Assignment(TenantOwned):
    """Who a log is about: runs of (server, source job, item) belong to this job. What a person decided is remembered
    here, as is what a rule, the server's habit (auto) or a move within a group of servers came to.

    ``server`` is empty for deliveries without a server (a mail to the tenant, a command).
    """

    server = models.ForeignKey(BackupServer, on_delete=models.CASCADE, related_name="+", db_index=False, null=True)
    source_job = models.CharField(max_length=300, blank=True)
    item = models.CharField(max_length=300, blank=True)
    job = models.ForeignKey(BackupJob, on_delete=models.CASCADE, related_name="+", db_index=False)
    origin = models.CharField(max_length=8, default="person")
    rule = models.ForeignKey(AssignmentRule, on_delete=models.SET_NULL, related_name="+", db_index=False, null=True)
    created_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("assignment"),
            models.UniqueConstraint(
                fields=["tenant", "server", "source_job", "item"], name="assignment_key", nulls_distinct=False
            ),
            one_of("assignment", "origin", ASSIGNMENT_ORIGINS),
        ]
        indexes = [models.Index(fields=["tenant", "source_job", "item"], name="assignment_elsewhere")]


class InboxItem(TenantOwned):
    """Something a person must look at: a receipt, or one run in it (``place``; -1 for the whole receipt).

    ``told`` is what rules and suggestions look at besides: account, sender, subject, roots, operation, product,
    protected_bytes, as far as the log tells them.
    """

    receipt_id = models.BigIntegerField()
    place = models.IntegerField(default=-1)
    reason = models.CharField(max_length=12)
    detail = models.TextField(blank=True)
    line = models.IntegerField(null=True)
    server = models.ForeignKey(BackupServer, on_delete=models.CASCADE, related_name="+", db_index=False, null=True)
    source_job = models.CharField(max_length=300, blank=True)
    item = models.CharField(max_length=300, blank=True)
    host = models.CharField(max_length=255, blank=True)
    format = models.CharField(max_length=60, blank=True)
    told = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    state = models.CharField(max_length=10, default="open")
    opened_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    settled_by = models.CharField(max_length=200, blank=True)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("inbox"),
            models.UniqueConstraint(fields=["tenant", "receipt_id", "place"], name="inbox_place"),
            one_of("inbox", "reason", INBOX_REASONS),
            one_of("inbox", "state", ("open", "settled", "dismissed")),
        ]
        indexes = [models.Index(fields=["tenant", "-opened_at"], name="inbox_open", condition=Q(state="open"))]
