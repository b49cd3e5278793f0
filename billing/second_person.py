"""Whether a change of money needs a second person, and that this person is another one.

Called by what finalises, voids and credits, within their transactions; asking and approving is ``billing.approving``.
"""

from __future__ import annotations

from decimal import Decimal

from billing.models import Seller
from billing.money import money_text
from billing.refusals import Refused


class NeedsSecondPerson(Refused):
    """Nothing was done: another person must approve it first."""


def require_second_person(seller: Seller, amount: Decimal, *, currency: str, actor: str, approved_by: str) -> None:
    """Raises NeedsSecondPerson above the seller's limit, Refused if the second person is the first one."""
    if approved_by and is_same(actor, approved_by):
        raise Refused("You asked for this yourself: another person must approve it.")
    limit = seller.second_person_above
    if limit is not None and abs(amount) > limit and not approved_by:
        above, total = money_text(limit, currency), money_text(amount, currency)
        raise NeedsSecondPerson(f"Above {above} a second person must approve this; it is {total}.")


def is_same(one: str, other: str) -> bool:
    """Whether two names are of one person; addresses differ in case alone at times."""
    return one.strip().casefold() == other.strip().casefold()
