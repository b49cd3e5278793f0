"""Tenants, resellers, people and their memberships, keys, branding, and the audit trail.

``LookupKey`` is the one table that is read before the tenant is known: it leads from the hash of a key, a mail address
or a webhook path to the tenant and the object behind it.
"""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from msp.tenants.wall import TenantOwned, one_of, uid_key

ROLES = ("owner", "technician", "billing", "reader", "reseller")
SCOPES = ("ingest", "read", "write", "billing")


class Tenant(models.Model):
    """One MSP. The wall stands around it.

    ``tickets_enabled`` False: everything is only observed, nobody is told. ``observe_new``: clients and jobs that are
    made from now on start observed, until a person enables them. ``language``: of its tickets, "" is English.
    """

    id = models.BigAutoField(primary_key=True)
    uid = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=60, unique=True)
    timezone = models.CharField(max_length=64, default="UTC")
    currency = models.CharField(max_length=3, default="EUR")
    state = models.CharField(max_length=12, default="active")
    tickets_enabled = models.BooleanField(default=True, db_default=True)
    observe_new = models.BooleanField(default=False, db_default=False)
    language = models.CharField(max_length=8, blank=True, db_default="", default="")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [one_of("tenant", "state", ("active", "suspended"))]

    def __str__(self) -> str:
        return self.name


class Reseller(TenantOwned):
    """Sells the tenant's service on; sees only its own clients."""

    name = models.CharField(max_length=200)
    code = models.CharField(max_length=60)
    state = models.CharField(max_length=12, default="active")
    created_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("reseller"),
            models.UniqueConstraint(fields=["tenant", "code"], name="reseller_code"),
            one_of("reseller", "state", ("active", "suspended")),
        ]

    def __str__(self) -> str:
        return self.name


class Branding(TenantOwned):
    """What clients see in place of our name; of the tenant (reseller empty) or of one reseller."""

    reseller = models.ForeignKey(Reseller, on_delete=models.CASCADE, related_name="+", db_index=False, null=True)
    title = models.CharField(max_length=120, blank=True)
    colour = models.CharField(max_length=7, blank=True)
    logo_svg = models.TextField(blank=True)
    help_url = models.URLField(blank=True)
    sender_address = models.EmailField(blank=True)
    licence_text = models.TextField(blank=True)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("branding"),
            models.UniqueConstraint(fields=["tenant", "reseller"], name="branding_owner", nulls_distinct=False),
        ]


class UserManager(BaseUserManager["User"]):
    """People log in by email address, without regard to case."""

    def create_user(self, email: str, *, password: str | None = None, name: str = "", **values: Any) -> User:
        user = self.model(email=email.strip().lower(), name=name, **values)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser):
    """A person who logs in; may belong to several tenants."""

    id = models.BigAutoField(primary_key=True)
    uid = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(email=Lower("email")), name="user_email_lower")]

    def __str__(self) -> str:
        return self.name or self.email


class Membership(TenantOwned):
    """What one person may do in one tenant; a reseller's staff is bound to that reseller."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    role = models.CharField(max_length=12)
    reseller = models.ForeignKey(Reseller, on_delete=models.CASCADE, related_name="+", db_index=False, null=True)
    created_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("membership"),
            models.UniqueConstraint(fields=["tenant", "user"], name="membership_user"),
            one_of("membership", "role", ROLES),
            models.CheckConstraint(
                condition=Q(role="reseller", reseller__isnull=False) | (~Q(role="reseller") & Q(reseller__isnull=True)),
                name="membership_reseller_role",
            ),
        ]


class ApiKey(TenantOwned):
    """A key of a backup server (scope ingest) or of a program that uses the API; only its hash is stored.

    ``server_id`` names the BackupServer a server key belongs to; ``reseller`` narrows an API key to one reseller.
    """

    name = models.CharField(max_length=120)
    scopes = models.JSONField(default=list)
    server_id = models.BigIntegerField(null=True)
    reseller = models.ForeignKey(Reseller, on_delete=models.CASCADE, related_name="+", db_index=False, null=True)
    hint = models.CharField(max_length=12)
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta(TenantOwned.Meta):
        constraints = [uid_key("apikey")]


class LookupKey(models.Model):
    """From something a stranger shows us to the tenant and the object it belongs to."""

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=12)
    value = models.CharField(max_length=200)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+", db_index=False)
    object_id = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "value"], name="lookup_value"),
            one_of("lookup", "kind", ("key", "mail", "hook", "stripe", "portal")),
        ]


class AuditEntry(TenantOwned):
    """Who changed what and when. Only inserted (a trigger refuses the rest)."""

    at = models.DateTimeField()
    actor_id = models.BigIntegerField(null=True)
    actor = models.CharField(max_length=200)
    action = models.CharField(max_length=60)
    subject_kind = models.CharField(max_length=40)
    subject_id = models.BigIntegerField(null=True)
    subject = models.CharField(max_length=200, blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    reason = models.TextField(blank=True)

    class Meta(TenantOwned.Meta):
        constraints = [uid_key("audit")]
        indexes = [
            models.Index(fields=["tenant", "-at"], name="audit_at"),
            models.Index(fields=["tenant", "subject_kind", "subject_id", "-at"], name="audit_subject"),
        ]
