"""Plans: made and given new versions, never changed; and a plan's terms as the meters and prices take them.

Settings are checked by the modules that use them; what cannot be is refused with ``BadParams``, a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Max

from billing.counting import count_again
from billing.exact import Rounding, number_text
from billing.metering import METERS, AcceptMissing, read_meter_params
from billing.metrics import COUNTS, METRICS
from billing.models import CHARGE_SEEDING, CHARGE_SUSPENDED, Plan
from billing.money import UnknownCurrency, currency_of
from billing.params import BadParams, params_to_json
from billing.percentages import refuse_chain
from billing.pricing import read_price_params
from billing.pricing.priced import Thing
from billing.pricing.rate import PlanTerms
from billing.refusals import Refused
from billing.taxes import TAX_CLASSES, TaxClass
from msp.tenants import audit
from msp.tenants.models import Tenant

#: Digits before and after the point that a plan keeps of an amount; more would be lost unseen.
KEPT = {"allowance": (12, 6), "allowance_each": (12, 6), "minimum": (14, 4), "maximum": (14, 4)}

#: What a plan hands on to its terms as it stands.
TERMS = (
    "unit", "quantity_places", "quantity_rounding", "allowance", "allowance_each", "allowance_per", "minimum",
    "maximum",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PlanDraft:
    """What a plan version says; ``meter_params`` and ``price_params`` as JSON objects. Quantities in ``unit``."""

    name: str
    currency: str
    price: str
    price_params: Mapping[str, Any]
    metric: str = "protected"
    meter: str = "daily_average"
    meter_params: Mapping[str, Any] = field(default_factory=dict)
    pool: str = "subscription"
    unit: str = "GB"
    quantity_places: int = 3
    quantity_rounding: Rounding = "half-up"
    allowance: Decimal = Decimal(0)
    allowance_each: Decimal = Decimal(0)
    allowance_per: Thing = "selection"
    minimum: Decimal = Decimal(0)
    maximum: Decimal = Decimal(0)
    carry_days: int = 3
    starts_with: str = "first_good"
    charge_suspended: str = "no"
    charge_seeding: str = "first_figure"
    tax_class: TaxClass = "standard"


def make_plan(tenant: Tenant, *, code: str, draft: PlanDraft, actor: str, now: datetime) -> Plan:
    """The first version of a new plan. Raises BadParams, or Refused if the code is taken."""
    if not code.strip():
        raise BadParams("code", "a plan needs a code, such as backup-gb")
    with transaction.atomic():
        if Plan.objects.of(tenant).filter(code=code).exists():
            raise Refused(f"There is a plan {code} already; make a new version of it.")
        return _store(tenant, code=code, version=1, draft=draft, actor=actor, now=now)


def new_version(tenant: Tenant, *, code: str, draft: PlanDraft, actor: str, now: datetime) -> Plan:
    """The next version of a plan; subscriptions stay on theirs until they are changed. Raises BadParams or Refused."""
    with transaction.atomic():
        last = Plan.objects.of(tenant).filter(code=code).aggregate(last=Max("version"))["last"]
        if last is None:
            raise Refused(f"There is no plan {code}.")
        return _store(tenant, code=code, version=last + 1, draft=draft, actor=actor, now=now)


def draft_of(plan: Plan, **changes: Any) -> PlanDraft:
    """What a version says, with changes: the beginning of the next one."""
    values = {name: getattr(plan, name) for name in PlanDraft.__dataclass_fields__}
    return replace(PlanDraft(**values), **changes)


def terms_of(plan: Plan | PlanDraft) -> PlanTerms:
    """What the plan charges. Raises BadParams for a plan that cannot be computed."""
    same = {name: getattr(plan, name) for name in TERMS}
    return PlanTerms(price=plan.price, price_params=read_price_params(plan.price, plan.price_params), **same)


def meter_params_of(plan: Plan, *, accept_missing: AcceptMissing | None) -> Any:
    """The settings of the plan's meter with this invoice's decision in."""
    return read_meter_params(plan.meter, plan.meter_params, accept_missing=accept_missing)


def plan_record(plan: Plan) -> dict[str, Any]:
    """The whole version as JSON, as working and snapshot keep it; numbers as exact text."""
    values = asdict(draft_of(plan)) | {"code": plan.code, "version": plan.version}
    return {name: number_text(value) if isinstance(value, Decimal) else value for name, value in values.items()}


def _store(tenant: Tenant, *, code: str, version: int, draft: PlanDraft, actor: str, now: datetime) -> Plan:
    checked = _checked(draft)
    if checked.metric in COUNTS and not Plan.objects.of(tenant).filter(metric=checked.metric).exists():
        since = (now.date().replace(day=1) - timedelta(days=1)).replace(day=1)
        transaction.on_commit(partial(count_again, tenant.pk, since=since, now=now))
    refuse_chain(tenant, code=code, draft=checked)
    plan: Plan = Plan.objects.of(tenant).create(
        code=code, version=version, created_at=now, **{name: getattr(checked, name) for name in asdict(checked)}
    )
    audit.record(
        tenant,
        actor=actor,
        action="plan.created" if version == 1 else "plan.new_version",
        subject_kind="plan",
        subject_id=plan.pk,
        subject=str(plan),
        after=plan_record(plan),
        now=now,
    )
    return plan


def _checked(draft: PlanDraft) -> PlanDraft:
    """The draft with its settings as the modules read them. Raises BadParams."""
    meter_params = read_meter_params(draft.meter, draft.meter_params)
    _check_words(draft)
    terms = terms_of(draft)
    written = params_to_json(meter_params)
    _refuse_preset(written.pop("accept_missing", None))
    return replace(draft, meter_params=written, price_params=params_to_json(terms.price_params))


def _refuse_preset(decision: object) -> None:
    if decision is not None:
        raise BadParams("accept_missing", "what becomes of missing days is decided for each invoice, not in the plan")


def _check_words(draft: PlanDraft) -> None:
    try:
        currency_of(draft.currency)
    except UnknownCurrency as error:
        raise BadParams("currency", str(error)) from None
    if not draft.name.strip():
        raise BadParams("name", "a plan needs a name")
    if draft.metric not in METRICS:
        raise BadParams("metric", f"this must be one of: {', '.join(METRICS)}")
    _check_unit(draft)
    for name, (digits, places) in KEPT.items():
        _check_kept(getattr(draft, name), name, digits=digits, places=places)
    if draft.pool not in ("subscription", "selection"):
        raise BadParams("pool", "this must be subscription or selection")
    if draft.starts_with not in ("first_good", "agreed"):
        raise BadParams("starts_with", "this must be first_good or agreed")
    for name, words in (("charge_suspended", CHARGE_SUSPENDED), ("charge_seeding", CHARGE_SEEDING)):
        if getattr(draft, name) not in words:
            raise BadParams(name, f"this must be one of: {', '.join(words)}")
    if draft.tax_class not in TAX_CLASSES:
        raise BadParams("tax_class", f"this must be one of: {', '.join(TAX_CLASSES)}")
    if not 0 <= draft.carry_days <= 366:
        raise BadParams("carry_days", "a figure is carried for 0 to 366 days")


def _check_unit(draft: PlanDraft) -> None:
    """Things are counted in the unit each, sizes in a unit of bytes."""
    things, counted = METERS[draft.meter].TAKES == "things", draft.metric in COUNTS
    if things and counted:
        raise BadParams("meter", f"{draft.metric} are a number already: the meter count is for what has a size")
    if (things or counted) and draft.unit != "each":
        what = "the meter counts things" if things else f"{draft.metric} are counted"
        raise BadParams("unit", f"{what}: choose the unit each")
    if not (things or counted) and draft.unit == "each":
        raise BadParams("unit", "sizes are billed in a unit of bytes, such as GB or GiB; each is for what is counted")
    if (things or draft.metric == "machines") and draft.pool != "subscription":
        raise BadParams("pool", "things are counted together, all that a subscription covers: choose subscription")


def _check_kept(value: Decimal, name: str, *, digits: int, places: int) -> None:
    exponent = value.normalize().as_tuple().exponent
    if not isinstance(exponent, int) or value.adjusted() >= digits or exponent < -places:
        raise BadParams(name, f"this must be a number with at most {digits} digits before and {places} after the point")
