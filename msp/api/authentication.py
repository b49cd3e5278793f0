"""Who calls the API: a key in the ``Authorization`` header, its tenant, scopes and reach.

Named in the settings. ``request.auth`` is a ``Caller`` on every view; ``HasScope`` refuses a request whose key lacks
the scope that the view asks for its method. A key that is unknown, revoked, expired or of a suspended tenant is 401.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from msp.api.refusals import ScopeMissing
from msp.estate.queries import Reach
from msp.tenants.models import ApiKey, LookupKey, Tenant
from msp.tenants.secrets import key_hash

SCHEME = "bearer"
#: ``last_used_at`` is written at most this often: reading must not write.
USE_NOTED_EVERY = timedelta(hours=1)
#: Longer than any key of ours.
LONGEST_KEY = 200


@dataclass(frozen=True)
class Caller:
    """The key that a request came with. ``reach`` narrows every query; a reseller's key reaches its clients only."""

    tenant: Tenant
    key: ApiKey
    scopes: frozenset[str]

    @property
    def reach(self) -> Reach:
        reseller_id = self.key.reseller_id
        return Reach(self.tenant.pk, None if reseller_id is None else frozenset({reseller_id}))

    @property
    def actor(self) -> str:
        """What events and the audit call whoever uses this key."""
        return f"API key {self.key.name} ({self.key.hint}…)"


class ApiKeyAuthentication(BaseAuthentication):
    """``Authorization: Bearer bl_...``; without the header the caller is a stranger, whom HasScope turns away."""

    def authenticate(self, request: Request) -> tuple[Any, Caller] | None:
        header = request.headers.get("Authorization", "")
        if not header:
            return None
        caller = find_caller(secret_of(header), now=timezone.now())
        return AnonymousUser(), caller

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="backledger"'


def secret_of(header: str) -> str:
    """The key in an Authorization header. Raises AuthenticationFailed."""
    scheme, _, secret = header.partition(" ")
    secret = secret.strip()
    if scheme.lower() != SCHEME or not secret or len(secret) > LONGEST_KEY or " " in secret:
        raise AuthenticationFailed('Send the key as "Authorization: Bearer bl_...".')
    return secret


def find_caller(secret: str, *, now: datetime) -> Caller:
    """The caller of a key, two queries. Raises AuthenticationFailed with what to do about it."""
    found = LookupKey.objects.filter(kind="key", value=key_hash(secret)).select_related("tenant").first()
    key = None if found is None else _read_key(found)
    if found is None or key is None:
        raise AuthenticationFailed("This key is not known. Keys are made in the dashboard under Settings.")
    refuse_unusable(key, found.tenant, now=now)
    note_use(key, now=now)
    return Caller(found.tenant, key, frozenset(key.scopes))


def _read_key(found: LookupKey) -> ApiKey | None:
    rows = ApiKey.objects.of(found.tenant).select_related("reseller").filter(pk=found.object_id)
    key: ApiKey | None = rows.first()
    return key


def refuse_unusable(key: ApiKey, tenant: Tenant, *, now: datetime) -> None:
    """Raises AuthenticationFailed for a key that was revoked, has expired or whose owner is suspended."""
    if key.revoked_at is not None:
        raise AuthenticationFailed("This key was revoked.")
    if key.expires_at is not None and key.expires_at <= now:
        raise AuthenticationFailed("This key has expired.")
    if tenant.state != "active" or (key.reseller is not None and key.reseller.state != "active"):
        raise AuthenticationFailed("The owner of this key is suspended.")


def note_use(key: ApiKey, *, now: datetime) -> None:
    """Write when the key was last used, at most once an hour, however many requests come at once."""
    late = now - USE_NOTED_EVERY
    if key.last_used_at is None or key.last_used_at <= late:
        rows = ApiKey.objects.of(key.tenant_id).filter(pk=key.pk)
        rows.filter(Q(last_used_at__isnull=True) | Q(last_used_at__lte=late)).update(last_used_at=now)


class HasScope(BasePermission):
    """Asks the view which scope the method needs (``view.scope_for(method)``; None: any key will do)."""

    def has_permission(self, request: Request, view: Any) -> bool:
        caller = request.auth
        if not isinstance(caller, Caller):
            raise NotAuthenticated('Send a key as "Authorization: Bearer bl_...".')
        wanted = view.scope_for(request.method)
        if wanted is not None and wanted not in caller.scopes:
            raise ScopeMissing(wanted)
        return True
