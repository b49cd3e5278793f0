"""Links by which a payer looks at what it was invoiced, and how each amount is reached, without a login.

A link is of one seller and one payer, shown once, good for some days, ended by a person at any time. Its key is random
and kept as a hash. Called by the pages of payers (making, ending) and by the portal (opening, reading).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from billing.models import Agreement, BillTo, Invoice, PortalLink, Seller
from billing.queries import InvoicePage, InvoiceRow, invoice_page, invoice_rows
from billing.refusals import NotFound, Refused
from msp.tenants import audit
from msp.tenants.models import LookupKey, Tenant
from msp.tenants.secrets import key_hash, new_key

PREFIX = "blp"
KIND = "portal"
#: Days that a link may be good for.
MOST_DAYS = 800
#: What a payer sees: no draft is one's business before it is final.
SHOWN_STATES = ("final", "void")
LIST_LIMIT = 200


@dataclass(frozen=True)
class FreshLink:
    """A new link; ``key`` is known to nobody afterwards."""

    row: PortalLink
    key: str


def make_link(
    tenant: Tenant, seller: Seller, bill_to: BillTo, *, email: str, days: int, actor: str, now: datetime
) -> FreshLink:
    """A link for ``email``, good for ``days``. Raises Refused if this seller has no agreement with the payer."""
    _check(tenant, seller, bill_to, email=email, days=days)
    key = new_key(PREFIX)
    with transaction.atomic():
        row = PortalLink.objects.of(tenant).create(
            seller=seller,
            bill_to=bill_to,
            email=email,
            created_at=now,
            created_by=actor[:200],
            expires_at=now + timedelta(days=days),
        )
        LookupKey.objects.create(kind=KIND, value=key_hash(key), tenant=tenant, object_id=row.pk)
        _audit(tenant, row, "portal link made", actor=actor, now=now)
    return FreshLink(row, key)


def end_link(tenant: Tenant, uid: UUID, *, actor: str, now: datetime) -> PortalLink:
    """End it at once; one that has ended stays as it is. Raises NotFound."""
    with transaction.atomic():
        row = PortalLink.objects.of(tenant).select_for_update(of=("self",)).filter(uid=uid).first()
        if row is None:
            raise NotFound("There is no such link.")
        link: PortalLink = row
        if link.ended_at is None:
            link.ended_at = now
            link.save(update_fields=["ended_at"])
            _audit(tenant, link, "portal link ended", actor=actor, now=now)
    return link


def links_of(tenant: Tenant, bill_to: BillTo) -> tuple[PortalLink, ...]:
    """Those of a payer, the newest first; one query."""
    rows = PortalLink.objects.of(tenant).filter(bill_to=bill_to).select_related("seller", "bill_to")
    return tuple(rows.order_by("-pk")[:LIST_LIMIT])


def open_by_key(key: str, *, now: datetime) -> PortalLink | None:
    """The link of this key if it is good, noting that it was used; None tells a stranger nothing more."""
    found = LookupKey.objects.filter(kind=KIND, value=key_hash(key)).first()
    if found is None:
        return None
    row = PortalLink.objects.of(found.tenant_id).filter(pk=found.object_id).first()
    link = None if row is None else good_link(row.tenant_id, row.uid, now=now)
    if link is not None:
        PortalLink.objects.of(link.tenant_id).filter(pk=link.pk).update(last_used_at=now)
    return link


def good_link(tenant_id: int, uid: UUID, *, now: datetime) -> PortalLink | None:
    """The link if it is still good and its tenant active; looked at on every request."""
    rows = PortalLink.objects.of(tenant_id).filter(uid=uid, ended_at=None, expires_at__gt=now, tenant__state="active")
    link: PortalLink | None = rows.select_related("tenant", "seller", "bill_to").first()
    return link


def documents_of(link: PortalLink) -> tuple[InvoiceRow, ...]:
    """The final and void documents of this seller for this payer, newest month first; two queries."""
    return invoice_rows(
        link.tenant,
        states=SHOWN_STATES,
        seller_id=link.seller_id,
        bill_to_id=link.bill_to_id,
        limit=LIST_LIMIT,
    )


def document_of(link: PortalLink, uid: UUID) -> InvoicePage:
    """One of these. Raises NotFound for a draft and for anybody else's."""
    mine = Invoice.objects.of(link.tenant_id).filter(
        uid=uid, seller_id=link.seller_id, bill_to_id=link.bill_to_id, state__in=SHOWN_STATES
    )
    if not mine.exists():
        raise NotFound("There is no such document.")
    return invoice_page(link.tenant, uid)


def _check(tenant: Tenant, seller: Seller, bill_to: BillTo, *, email: str, days: int) -> None:
    if not Agreement.objects.of(tenant).filter(seller=seller, bill_to=bill_to).exists():
        raise Refused(f"{seller} has no agreement with {bill_to}: there is nothing to see.")
    if not 1 <= days <= MOST_DAYS:
        raise Refused(f"A link is good for 1 to {MOST_DAYS} days.")
    try:
        validate_email(email)
    except ValidationError as error:
        raise Refused("Say whom the link is for: an email address.") from error


def _audit(tenant: Tenant, row: PortalLink, action: str, *, actor: str, now: datetime) -> None:
    audit.record(
        tenant,
        actor=actor,
        action=action,
        subject_kind="portal link",
        subject_id=row.pk,
        subject=f"{row.bill_to}, {row.email}",
        after={"seller": str(row.seller), "expires_at": row.expires_at.isoformat()},
        now=now,
    )
