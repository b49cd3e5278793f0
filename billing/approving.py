"""Asks a second person, and does what was asked for once that person approves; or keeps why it was declined.

What is approved is what was asked for: if the draft, the document or what is left of its lines changed meanwhile, the
approval no longer fits and is refused. Locks: the request, then what the action locks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction

from billing.crediting import CreditedLine, credit, creditable_lines
from billing.finalising import finalise, void_and_replace
from billing.hashing import hash_of, plain
from billing.models import ApprovalRequest, Invoice
from billing.refusals import NotFound, Refused
from billing.second_person import is_same
from msp.tenants import audit
from msp.tenants.models import Tenant


@transaction.atomic
def ask(
    tenant: Tenant,
    invoice_uid: UUID,
    *,
    action: str,
    actor: str,
    now: datetime,
    reason: str = "",
    lines: Sequence[CreditedLine] = (),
) -> ApprovalRequest:
    """Keep a request for a second person; the same one again is the one that stands. Raises NotFound or Refused."""
    invoice = Invoice.objects.of(tenant).select_for_update().filter(uid=invoice_uid).first()
    if invoice is None:
        raise NotFound("There is no such invoice.")
    details: dict[str, Any] = {"reason": reason.strip(), "lines": [plain(vars(line)) for line in lines]}
    wanted = _hash(invoice, action, details)
    known = ApprovalRequest.objects.of(tenant).filter(invoice=invoice, state="open").first()
    if known is not None and known.content_hash == wanted:
        found: ApprovalRequest = known
        return found
    if known is not None:
        _settle(known, state="declined", actor=actor, now=now, reason="Asked for anew, for something else.")
    request: ApprovalRequest = ApprovalRequest.objects.of(tenant).create(
        invoice=invoice,
        action=action,
        details=details,
        content_hash=wanted,
        amount=invoice.total,
        asked_by=actor,
        asked_at=now,
    )
    _audit(request, invoice, action="approval.asked", actor=actor, now=now, reason=reason)
    return request


@transaction.atomic
def approve(tenant: Tenant, request_uid: UUID, *, actor: str, now: datetime, reason: str = "") -> Invoice | None:
    """Do what was asked for; answers the document it led to. Raises NotFound or Refused, and then nothing is done."""
    request = _locked(tenant, request_uid)
    if is_same(request.asked_by, actor):
        raise Refused("You asked for this yourself: another person must approve it.")
    if _hash(request.invoice, request.action, request.details) != request.content_hash:
        raise Refused("What was asked for changed meanwhile: decline this request and have it asked for anew.")
    done = _do(tenant, request, approved_by=actor, now=now)
    _settle(request, state="approved", actor=actor, now=now, reason=reason)
    _audit(request, request.invoice, action="approval.approved", actor=actor, now=now, reason=reason)
    return done


@transaction.atomic
def decline(tenant: Tenant, request_uid: UUID, *, actor: str, now: datetime, reason: str) -> ApprovalRequest:
    """Keep why it is not to be. Raises NotFound or Refused."""
    request = _locked(tenant, request_uid)
    if not reason.strip():
        raise Refused("Say why it is declined: the reason is kept.")
    _settle(request, state="declined", actor=actor, now=now, reason=reason)
    _audit(request, request.invoice, action="approval.declined", actor=actor, now=now, reason=reason)
    return request


def open_requests(tenant: Tenant) -> tuple[ApprovalRequest, ...]:
    """Those that wait, the oldest first, with their invoices; one query."""
    rows = ApprovalRequest.objects.of(tenant).filter(state="open").order_by("asked_at", "pk")
    return tuple(rows.select_related("invoice__seller", "invoice__bill_to").defer("invoice__snapshot"))


def _do(tenant: Tenant, request: ApprovalRequest, *, approved_by: str, now: datetime) -> Invoice | None:
    who: dict[str, Any] = {"actor": request.asked_by, "approved_by": approved_by, "now": now}
    uid, reason = request.invoice.uid, request.details["reason"]
    if request.action == "finalise":
        return finalise(tenant, uid, early_reason=reason, **who)
    if request.action == "void":
        return void_and_replace(tenant, uid, reason=reason, **who)
    return credit(tenant, uid, lines=[_line(each) for each in request.details["lines"]], reason=reason, **who)


def _line(kept: Mapping[str, Any]) -> CreditedLine:
    amount, quantity = kept["amount"], kept["quantity"]
    return CreditedLine(
        line_uid=UUID(kept["line_uid"]),
        amount=None if amount is None else Decimal(amount),
        quantity=None if quantity is None else Decimal(quantity),
    )


def _hash(invoice: Invoice, action: str, details: Mapping[str, Any]) -> str:
    """Of what is to be approved, as it stands now."""
    left = [[line.uid, line.left.normalize()] for line in creditable_lines(invoice)] if action == "credit" else []
    document = [invoice.uid, invoice.state, invoice.draft_hash, invoice.content_hash, invoice.total.normalize()]
    return hash_of([action, document, left, details])


def _locked(tenant: Tenant, uid: UUID) -> ApprovalRequest:
    rows = ApprovalRequest.objects.of(tenant).select_related("invoice")
    request = rows.select_for_update(of=("self",)).filter(uid=uid).first()
    if request is None:
        raise NotFound("There is no such request.")
    if request.state != "open":
        raise Refused(f"This request is {request.state} already, by {request.decided_by}.")
    found: ApprovalRequest = request
    return found


def _settle(request: ApprovalRequest, *, state: str, actor: str, now: datetime, reason: str) -> None:
    request.state, request.decided_by, request.decided_at = state, actor, now
    request.decided_reason = reason.strip()[:2000]
    request.save(update_fields=["state", "decided_by", "decided_at", "decided_reason"])


def _audit(request: ApprovalRequest, invoice: Invoice, *, action: str, actor: str, now: datetime, reason: str) -> None:
    audit.record(
        request.tenant_id,
        actor=actor,
        action=action,
        subject_kind="invoice",
        subject_id=invoice.pk,
        subject=invoice.number or f"draft {invoice.first_day:%Y-%m}",
        after={"what": request.action, "asked_by": request.asked_by, "content_hash": request.content_hash},
        reason=reason,
        now=now,
    )
