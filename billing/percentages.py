"""Plans that charge a percentage of other plans' lines: which they are, and what is refused when one is made.

A percentage of a percentage is refused here, so there is no order of lines to get wrong
(``billing.percentage_lines`` composes them).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from billing.models import Plan
from billing.params import BadParams
from msp.tenants.models import Tenant

PERCENTAGE = "percentage"
KnownPlan = tuple[str, str, str, Mapping[str, Any]]


class PricedDraft(Protocol):
    """What is asked of a plan that is about to be stored."""

    @property
    def price(self) -> str: ...

    @property
    def price_params(self) -> Mapping[str, Any]: ...

    @property
    def currency(self) -> str: ...


def is_percentage(plan: Plan) -> bool:
    """Whether the plan charges a share of other lines."""
    return plan.price == PERCENTAGE


def codes_of(price_params: Mapping[str, Any]) -> tuple[str, ...]:
    """The codes of the plans that a percentage is taken of."""
    return tuple(each["code"] for each in price_params.get("plans", ()))


def refuse_chain(tenant: Tenant, *, code: str, draft: PricedDraft) -> None:
    """Refuse a percentage of a percentage, of nothing that exists, or of another currency. Raises BadParams."""
    if draft.price != PERCENTAGE:
        return
    known: list[KnownPlan] = list(Plan.objects.of(tenant).values_list("code", "price", "currency", "price_params"))
    for wanted in codes_of(draft.price_params):
        if wanted == code:
            raise BadParams("plans", "a plan cannot be a percentage of itself")
        _refuse_base(wanted, [each for each in known if each[0] == wanted], currency=draft.currency)
    _refuse_taken_of(known, code)


def _refuse_base(wanted: str, versions: list[KnownPlan], *, currency: str) -> None:
    if not versions:
        raise BadParams("plans", f"there is no plan {wanted}")
    if any(price == PERCENTAGE for _, price, _, _ in versions):
        raise BadParams("plans", f"the plan {wanted} is a percentage itself: a chain of them is not computed")
    other = next((theirs for _, _, theirs, _ in versions if theirs != currency), None)
    if other is not None:
        raise BadParams("plans", f"the plan {wanted} is in {other}, this one in {currency}")


def _refuse_taken_of(known: Iterable[KnownPlan], code: str) -> None:
    for other, price, _, params in known:
        if price == PERCENTAGE and code in codes_of(params):
            raise BadParams("price", f"the plan {other} is a percentage of this one: a chain of them is not computed")
