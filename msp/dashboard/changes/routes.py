"""Routes in their order: stored, moved, deleted; what is open is routed anew after each change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Max

from alerts.incidents import recheck_tellings
from alerts.models import Route
from msp.dashboard.changes.recording import record, store
from msp.dashboard.scope import StaffRequest
from msp.tenants.models import Tenant


def store_route(request: StaffRequest, route: Route | None, values: Mapping[str, Any]) -> Route:
    """A new route at the end, or a changed one where it is."""
    tenant = request.scope.tenant
    with transaction.atomic():
        _lock(tenant)
        row = route or Route(tenant=tenant, position=_last(tenant) + 1)
        stored: Route = store(request, row, values, kind="route")
        recheck_tellings(tenant.pk, now=request.now)
    return stored


def move(request: StaffRequest, route: Route, *, up: bool) -> None:
    """Let it change places with its neighbour; at the end of the list nothing happens."""
    tenant = request.scope.tenant
    with transaction.atomic():
        rows = _lock(tenant)
        place = next(place for place, row in enumerate(rows) if row.pk == route.pk)
        other = place - 1 if up else place + 1
        if not 0 <= other < len(rows):
            return
        mine, theirs = rows[place], rows[other]
        before = mine.position
        mine.position, theirs.position = theirs.position, mine.position
        mine.save(update_fields=["position"])
        theirs.save(update_fields=["position"])
        after = {"position": mine.position}
        record(request, "route moved", mine, kind="route", before={"position": before}, after=after)
        recheck_tellings(tenant.pk, now=request.now)


def delete(request: StaffRequest, route: Route) -> None:
    """Take it away; the next route that matches takes its incidents."""
    tenant = request.scope.tenant
    with transaction.atomic():
        _lock(tenant)
        record(request, "route deleted", route, kind="route", before={"name": route.name, "position": route.position})
        Route.objects.of(tenant).filter(pk=route.pk).delete()
        recheck_tellings(tenant.pk, now=request.now)


def _lock(tenant: Tenant) -> list[Route]:
    return list(Route.objects.of(tenant).select_for_update(of=("self",)).order_by("position", "pk"))


def _last(tenant: Tenant) -> int:
    last: int | None = Route.objects.of(tenant).aggregate(last=Max("position"))["last"]
    return last or 0
