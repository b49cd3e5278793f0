"""Where logs come from besides HTTP: mail addresses of servers, mailboxes, and systems that are asked for logs.

What is asked is a ``Polled`` row: ``check_after`` says when it is due, a claim (token and lease) who asks it now
(``msp.channels.claiming``). Secrets are encrypted in their columns. ``LookupKey`` (kind ``mail``) leads from a mail
address's token to its row.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from msp.estate.models import BackupServer
from msp.tenants.secrets import EncryptedJSONField
from msp.tenants.wall import TenantOwned, one_of, uid_key

POLLED_STATES = ("active", "paused")
SECURITIES = ("tls", "starttls", "none")
AUTHS = ("password", "oauth2")
AFTERS = ("keep", "seen", "move", "delete")


class MailAddress(TenantOwned):
    """The address a backup server sends its mails to: ``token@domain`` or ``anything+token@domain``."""

    server = models.ForeignKey(BackupServer, on_delete=models.CASCADE, related_name="+", db_index=False)
    token = models.CharField(max_length=40, unique=True)
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta(TenantOwned.Meta):
        constraints = [uid_key("mailaddress")]
        indexes = [models.Index(fields=["tenant", "server"], name="mailaddress_server")]

    def __str__(self) -> str:
        return self.token


class Polled(TenantOwned):
    """Something that is asked every ``every_minutes``; ``failures`` counts those in a row, ``last_error`` is the last.

    ``check_after`` is moved on by the claim to the end of its lease, so that a worker that died is made up for.
    """

    state = models.CharField(max_length=12, default="active")
    check_after = models.DateTimeField()
    claim_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    every_minutes = models.PositiveIntegerField(default=5)
    last_success_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)
    failures = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        abstract = True


def polled_constraints(name: str) -> list[models.BaseConstraint]:
    """What every table of polled rows is held to."""
    return [
        uid_key(name),
        one_of(name, "state", POLLED_STATES),
        models.CheckConstraint(condition=Q(every_minutes__gte=1, every_minutes__lte=10080), name=f"{name}_every"),
    ]


def due_index(name: str) -> models.Index:
    """What is due, found without a tenant: the claim works across tenants."""
    return models.Index(fields=["check_after"], name=f"{name}_due", condition=Q(state="active"))


class Mailbox(Polled):
    """A mailbox that is read by IMAP. ``server`` empty: its mails name their server by an address, else nobody knows.

    ``secrets`` holds ``password``, or ``client_secret``, ``refresh_token`` and the present ``access_token`` with
    ``expires_at``; ``oauth`` what is no secret: ``token_url``, ``client_id``, ``scope`` and ``grant``.
    ``uid_validity`` and ``last_uid`` are how far it was read; ``after`` what becomes of a mail that is stored
    (``move_to`` names the folder it is moved to).
    """

    server = models.ForeignKey(BackupServer, on_delete=models.CASCADE, related_name="+", db_index=False, null=True)
    host = models.CharField(max_length=253)
    port = models.PositiveIntegerField(default=993)
    security = models.CharField(max_length=8, default="tls")
    username = models.CharField(max_length=320)
    auth = models.CharField(max_length=8, default="password")
    secrets = EncryptedJSONField(default=dict)
    oauth = models.JSONField(default=dict)
    folder = models.CharField(max_length=255, default="INBOX")
    after = models.CharField(max_length=8, default="keep")
    move_to = models.CharField(max_length=255, blank=True)
    uid_validity = models.BigIntegerField(null=True)
    last_uid = models.BigIntegerField(default=0)

    class Meta(Polled.Meta):
        abstract = False
        constraints: ClassVar = [
            *polled_constraints("mailbox"),
            one_of("mailbox", "security", SECURITIES),
            one_of("mailbox", "auth", AUTHS),
            one_of("mailbox", "after", AFTERS),
            models.CheckConstraint(condition=~Q(after="move") | ~Q(move_to=""), name="mailbox_move_to"),
            models.UniqueConstraint(fields=["tenant", "host", "username", "folder"], name="mailbox_once"),
        ]
        indexes: ClassVar = [due_index("mailbox")]

    def __str__(self) -> str:
        return f"{self.username} at {self.host}"


class PullSource(Polled):
    """A system whose interface is asked for what its jobs did. ``kind`` names the connector that knows how.

    ``config`` is what is no secret, ``secrets`` the rest; ``cursor`` is how far it was read, in the connector's words.
    """

    server = models.ForeignKey(BackupServer, on_delete=models.CASCADE, related_name="+", db_index=False)
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=40)
    config = models.JSONField(default=dict)
    secrets = EncryptedJSONField(default=dict)
    cursor = models.JSONField(default=dict)

    class Meta(Polled.Meta):
        abstract = False
        constraints: ClassVar = [
            *polled_constraints("pullsource"),
            models.UniqueConstraint(fields=["tenant", "name"], name="pullsource_name"),
        ]
        indexes: ClassVar = [due_index("pullsource")]

    def __str__(self) -> str:
        return self.name
