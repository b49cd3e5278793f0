"""The wall between tenants: the only place where rows are filtered by tenant.

Every tenant-owned model derives from ``TenantOwned``. Its ``objects`` raises ``TenantForgotten`` on any query that
does not begin with ``.of(tenant)``; what ``of`` returns reads, creates and changes rows of that tenant alone.
``unwalled`` is for the few places that work across tenants (sweep, lanes, census); an architecture test lists them.
Reverse relations are switched off (``related_name="+"``), so there is no second way in.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from msp.tenants.models import Tenant


class TenantForgotten(RuntimeError):
    """A query on a tenant-owned table did not say whose rows it wants."""


class TenantMismatch(RuntimeError):
    """A row of one tenant was about to be written through another tenant's query."""


def tenant_id_of(tenant: Tenant | int) -> int:
    """The id of a tenant given as itself or as its id; raises TenantForgotten for anything else."""
    identity = tenant if isinstance(tenant, int) else getattr(tenant, "pk", None)
    if not isinstance(identity, int) or isinstance(identity, bool):
        raise TenantForgotten(f"{tenant!r} is not a tenant")
    return identity


class WalledQuerySet(models.QuerySet[Any]):
    """Rows of one tenant; writes through it get that tenant, or are refused if they name another."""

    _tenant_id: int | None = None

    def _clone(self) -> Self:
        clone: Self = super()._clone()  # type: ignore[misc]
        clone._tenant_id = self._tenant_id
        return clone

    def create(self, **values: Any) -> Any:
        return super().create(**self._with_tenant(values))

    def get_or_create(self, defaults: Any = None, **values: Any) -> Any:
        return super().get_or_create(defaults=defaults, **self._with_tenant(values))

    def update_or_create(self, defaults: Any = None, create_defaults: Any = None, **values: Any) -> Any:
        return super().update_or_create(defaults=defaults, create_defaults=create_defaults, **self._with_tenant(values))

    def bulk_create(self, objs: Iterable[Any], *args: Any, **options: Any) -> Any:
        rows = list(objs)
        for row in rows:
            if row.tenant_id not in (None, self._tenant_id):
                raise TenantMismatch(f"{row!r} belongs to another tenant")
            row.tenant_id = self._tenant_id
        return super().bulk_create(rows, *args, **options)

    def _with_tenant(self, values: dict[str, Any]) -> dict[str, Any]:
        named = values.pop("tenant", None)
        named_id = values.pop("tenant_id", None if named is None else tenant_id_of(named))
        if named_id not in (None, self._tenant_id):
            raise TenantMismatch(f"tenant {named_id} was named inside the wall of tenant {self._tenant_id}")
        return {**values, "tenant_id": self._tenant_id}


class WalledManager(models.Manager[Any]):
    """Refuses to begin a query without a tenant."""

    def of(self, tenant: Tenant | int) -> WalledQuerySet:
        """All rows of this tenant (given as itself or by id)."""
        rows = WalledQuerySet(self.model, using=self._db).filter(tenant_id=tenant_id_of(tenant))
        rows._tenant_id = tenant_id_of(tenant)
        return rows

    def get_queryset(self) -> models.QuerySet[Any]:
        raise TenantForgotten(f"{self.model.__name__}.objects needs .of(tenant) first")


class TenantOwned(models.Model):
    """A row inside the wall. ``uid`` is what URLs and the API show."""

    id = models.BigAutoField(primary_key=True)
    uid = models.UUIDField(default=uuid.uuid4, db_default=RandomUUID(), editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False)

    objects = WalledManager()
    unwalled: models.Manager[Any] = models.Manager()

    class Meta:
        abstract = True
        base_manager_name = "unwalled"


def uid_key(name: str) -> models.UniqueConstraint:
    """The unique key (tenant, uid) of a tenant-owned table; ``name`` is the table's short name."""
    return models.UniqueConstraint(fields=["tenant", "uid"], name=f"{name}_uid")


def one_of(name: str, field: str, values: Iterable[str]) -> models.CheckConstraint:
    """A check constraint that keeps a short text column to its known values."""
    return models.CheckConstraint(condition=Q(**{f"{field}__in": list(values)}), name=f"{name}_{field}_known")
