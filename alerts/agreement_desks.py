"""Which destinations of tickets also keep agreements, and as whom each client is known there.

Billing takes these functions from whoever calls it: there is one place for a system's credentials, its companies and
its budget of calls, and billing knows no destinations. Nothing here calls anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from alerts import pacing
from alerts.models import ClientCompany, Destination
from integrations.agreements import SYSTEMS
from integrations.agreements.desk import Desk
from integrations.configuration import BadConfig, config_from_json
from integrations.tickets import GATEWAYS


def desks_of(tenant_id: int) -> tuple[Desk, ...]:
    """Every destination whose system keeps agreements, in order of name."""
    rows = Destination.objects.of(tenant_id).filter(gateway__in=list(SYSTEMS)).order_by("name")
    return tuple(_desk(row) for row in rows)


def desk_of(tenant_id: int, destination_id: int) -> Desk | None:
    """One of them; None when it is gone or keeps no agreements."""
    return next((desk for desk in desks_of(tenant_id) if desk.id == destination_id), None)


def companies_of(tenant_id: int, destination_id: int) -> Mapping[int, str]:
    """The ids that the system has for the clients whose company a person chose, by the client's id."""
    rows = ClientCompany.objects.of(tenant_id).filter(destination=destination_id)
    return dict(rows.values_list("client_id", "company_id"))


def wait_for_call(tenant_id: int, destination_id: int, *, now: datetime) -> timedelta | None:
    """Take a push from the budget of calls; None when it may be made, else how long to wait."""
    destination = Destination.objects.of(tenant_id).get(pk=destination_id)
    return pacing.take(destination, "push", now=now)


def _desk(row: Destination) -> Desk:
    config: Any = None
    problem = ""
    try:
        config = config_from_json(GATEWAYS[row.gateway].Config, row.config)
    except BadConfig as bad:
        problem = f"The settings of {row.name} cannot work: {bad}."
    if not row.enabled:
        problem = f"{row.name} is switched off: nothing is pushed to it."
    elif row.dry_run:
        problem = f"{row.name} is being tried out: nothing is written there until that is switched off."
    return Desk(id=row.pk, uid=row.uid, name=row.name, system=SYSTEMS[row.gateway], config=config, problem=problem)
