"""Keeps which line of an agreement in a PSA system each client's plan is, as a person chose it.

Nothing is ever mapped by itself. One line is one plan of one client.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import IntegrityError, transaction

from billing.models import Plan, Subscription
from billing.models_psa import ROUNDINGS, PsaLine
from billing.refusals import Refused
from integrations.agreements import AgreementLine
from integrations.agreements.desk import Desk
from msp.estate.models import Client
from msp.tenants import audit
from msp.tenants.models import Tenant


def mapped_lines(tenant: Tenant, desk: Desk) -> dict[tuple[int, str], PsaLine]:
    """What was chosen, by client and code of plan; one query."""
    rows = PsaLine.objects.of(tenant).filter(destination_id=desk.id).select_related("client")
    return {(row.client_id, row.plan_code): row for row in rows}


def plan_names(tenant: Tenant) -> dict[str, str]:
    """The name of each plan's latest version by its code; one query."""
    return dict(Plan.objects.of(tenant).order_by("code", "version").values_list("code", "name"))


def plans_of(tenant: Tenant, client: Client) -> dict[str, str]:
    """The plans that a client is or was on, with what was chosen for it besides: name by code."""
    subscribed = Subscription.objects.of(tenant).filter(client=client, layer="retail")
    codes = set(subscribed.values_list("plan__code", flat=True))
    codes |= set(PsaLine.objects.of(tenant).filter(client=client).values_list("plan_code", flat=True))
    names = plan_names(tenant)
    return {code: names.get(code, code) for code in sorted(codes)}


def choose_line(
    tenant: Tenant,
    desk: Desk,
    client: Client,
    plan_code: str,
    line: AgreementLine | None,
    *,
    rounding: str = "plan",
    actor: str,
    now: datetime,
) -> bool:
    """Keep the choice, or with None take it away; whether anything changed. Raises Refused for a line in use."""
    if rounding not in ROUNDINGS:
        raise Refused("The quantity is pushed as the plan states it, or rounded up to whole units.")
    rows = PsaLine.objects.of(tenant).filter(destination_id=desk.id, client=client, plan_code=plan_code)
    before = rows.first()
    if line is None:
        if before is None:
            return False
        with transaction.atomic():
            rows.delete()
            _audit(tenant, desk, client, plan_code, before=_told(before), after=None, actor=actor, now=now)
        return True
    values = {
        "agreement_id": line.agreement_id, "line_id": line.line_id, "agreement": line.agreement[:200],
        "name": line.name[:200], "rounding": rounding,
    }  # fmt: skip
    if before is not None and all(getattr(before, name) == value for name, value in values.items()):
        return False
    who = {"chosen_by": actor[:200], "chosen_at": now}
    try:
        with transaction.atomic():
            row, _ = PsaLine.objects.of(tenant).update_or_create(
                destination_id=desk.id, client=client, plan_code=plan_code, defaults=values | who
            )
            told = None if before is None else _told(before)
            _audit(tenant, desk, client, plan_code, before=told, after=_told(row), actor=actor, now=now)
    except IntegrityError:
        raise Refused(
            f"The line “{line.name}” of {line.agreement} is another plan's already: one line takes one plan's quantity."
        ) from None
    return True


def _told(row: PsaLine) -> Mapping[str, str]:
    return {"agreement": row.agreement, "line": row.name, "line_id": row.line_id, "rounding": row.rounding}


def _audit(
    tenant: Tenant,
    desk: Desk,
    client: Client,
    plan_code: str,
    *,
    before: Mapping[str, str] | None,
    after: Mapping[str, str] | None,
    actor: str,
    now: datetime,
) -> None:
    audit.record(
        tenant, actor=actor, action="psa.line_chosen" if after else "psa.line_removed", subject_kind="client",
        subject_id=client.pk, subject=client.name, before=before, after=after, reason=f"{desk.name}: {plan_code}",
        now=now,
    )  # fmt: skip
