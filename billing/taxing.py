"""Which tax a line bears: from the payer's tax category, the plan's tax class and the seller's rates in that country.

A payer's category other than standard decides alone. Else the class of the plan chooses the rate that holds on the
last day of the period; what cannot be decided is held, in a sentence. Rates and sellers are read in two queries.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from billing.days import Period
from billing.deciding_days import Held
from billing.lines import Composed
from billing.models import BillTo, Seller, Subscription
from billing.models_taxes import TaxRate
from billing.refusals import Refused
from billing.taxes import CATEGORY_WORDS, EXEMPT, NEEDS_BOTH_NUMBERS, category_for
from billing.vat_numbers import is_vat_number
from msp.tenants.models import Tenant

#: seller, country, class
RateKey = tuple[int, str, str]


@dataclass(frozen=True)
class Taxation:
    """What tax is decided from: the sellers, and their rates of each country and class, the latest first."""

    sellers: Mapping[int, Seller]
    rates: Mapping[RateKey, Sequence[tuple[date, Decimal]]]

    def rate_of(self, bill_to: BillTo, tax_class: str, *, seller_id: int, on: date) -> Decimal | None:
        """The seller's rate of that class in the payer's country on a day, None if it has none."""
        rates = self.rates.get((seller_id, bill_to.country.upper(), tax_class), ())
        return next((rate for starts_on, rate in rates if starts_on <= on), None)

    def knows(self, bill_to: BillTo, *, seller_id: int) -> bool:
        """Whether the seller charges tax in the payer's country at all."""
        return any(key[:2] == (seller_id, bill_to.country.upper()) for key in self.rates)


@dataclass(frozen=True)
class LineTax:
    """The tax of a line; ``problem`` is a sentence where it cannot be decided."""

    category: str
    rate: Decimal
    problem: str = ""


def read_taxation(tenant_id: int, seller_ids: Collection[int]) -> Taxation:
    """Two queries."""
    rates: dict[RateKey, list[tuple[date, Decimal]]] = {}
    for row in TaxRate.objects.of(tenant_id).filter(seller_id__in=seller_ids).order_by("-starts_on"):
        rates.setdefault((row.seller_id, row.country, row.tax_class), []).append((row.starts_on, row.rate.normalize()))
    return Taxation(Seller.objects.of(tenant_id).in_bulk(list(seller_ids)), rates)


def taxed(composed: Composed, subscription: Subscription, taxation: Taxation, *, period: Period) -> Composed:
    """The subscription's line with its tax; held where that cannot be decided."""
    if composed.line is None:
        return composed
    agreement = subscription.agreement
    on = period.last_day - timedelta(days=1)
    tax = tax_of(agreement.bill_to, subscription.plan.tax_class, taxation, seller_id=agreement.seller_id, on=on)
    line = replace(composed.line, tax_category=tax.category, tax_rate=tax.rate)
    problems = (Held(tax.problem, (f"tax:{subscription.pk}",)),) if tax.problem else ()
    return Composed(line, (*composed.held, *problems))


def tax_of(bill_to: BillTo, tax_class: str, taxation: Taxation, *, seller_id: int, on: date) -> LineTax:
    """The tax of what a seller sells to a payer, of one tax class, on a day."""
    if bill_to.tax_category not in ("", "S"):
        return LineTax(bill_to.tax_category, Decimal(0), _unnumbered(bill_to, taxation.sellers.get(seller_id)))
    if tax_class == EXEMPT:
        return LineTax("E", Decimal(0))
    rate = taxation.rate_of(bill_to, tax_class, seller_id=seller_id, on=on)
    own = bill_to.tax_rate.normalize()
    if tax_class == "standard" and own:
        rate = own
    if rate is not None:
        return LineTax("S", rate)
    if bill_to.tax_category == "" and not own and not taxation.knows(bill_to, seller_id=seller_id):
        return LineTax(category_for(own), own)
    seller = taxation.sellers.get(seller_id)
    where = bill_to.country.upper() or "a payer without a country"
    return LineTax("S", Decimal(0), f"{bill_to}: {seller} has no {tax_class} tax rate for {where}; enter it.")


def check_profile(bill_to: BillTo, *, tenant: Tenant) -> None:
    """Raises Refused for a tax profile that cannot be right whatever is charged."""
    category, rate = bill_to.tax_category, bill_to.tax_rate
    if category not in ("", "S") and rate:
        raise Refused(f"{CATEGORY_WORDS[category]} has no tax rate: leave the rate at 0, or choose standard.")
    if category == "S" and not rate and not _has_rate(bill_to, tenant):
        raise Refused(
            "Standard tax needs a rate: give one here, or enter the seller's standard rate for the payer's country."
        )
    if category in NEEDS_BOTH_NUMBERS and not is_vat_number(bill_to.tax_id):
        raise Refused(f"{CATEGORY_WORDS[category]} needs the payer's VAT number, with its country before it.")


def _has_rate(bill_to: BillTo, tenant: Tenant) -> bool:
    country = bill_to.country.upper()
    found: bool = TaxRate.objects.of(tenant).filter(country=country, tax_class="standard").exists()
    return bool(country) and found


def _unnumbered(bill_to: BillTo, seller: Seller | None) -> str:
    if bill_to.tax_category not in NEEDS_BOTH_NUMBERS:
        return ""
    missing = [str(party) for party in (seller, bill_to) if party is None or not is_vat_number(party.tax_id)]
    if not missing:
        return ""
    return (
        f"{CATEGORY_WORDS[bill_to.tax_category]} needs the VAT numbers of both sides: {' and '.join(missing)} has none."
    )
