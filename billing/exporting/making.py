"""Makes an export of what a seller issued: reads the frozen documents, hands them to the export with its settings.

Called by the page, the API and the command. Each export that was made stands in the audit trail, since a file that is
imported twice books everything twice.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.db import transaction

from billing.exporting import EXPORTS, ExportFile, Span
from billing.exporting.documents import ExportedDocument, exported
from billing.models import ExportSettings, Invoice, Seller
from billing.params import params_from_json, params_to_json
from billing.refusals import NotFound, Refused
from msp.tenants import audit
from msp.tenants.models import Tenant

LONGEST_DAYS = 366
#: Documents in one file; beyond it the file is refused, not cut.
MOST_DOCUMENTS = 20_000


def make_export(
    tenant: Tenant, seller: Seller, *, exporter: str, first_day: date, last_day: date, actor: str, now: datetime
) -> ExportFile:
    """What was issued from ``first_day`` to the day before ``last_day``. Raises NotFound, Refused, BadParams."""
    _refuse_unknown(tenant, seller, exporter)
    if not first_day < last_day or (last_day - first_day).days > LONGEST_DAYS:
        raise Refused(f"Choose a first day and a later one, at most {LONGEST_DAYS} days apart.")
    documents = _documents(tenant, seller, first_day=first_day, last_day=last_day, evidence=exporter == "usage")
    if not documents:
        raise Refused(f"{seller} issued no document from {first_day} on and before {last_day}.")
    params = params_of(tenant, seller, exporter)
    file = EXPORTS[exporter].export(documents, params=params, span=Span(first_day, last_day, now))
    audit.record(
        tenant,
        actor=actor,
        action="invoices.exported",
        subject_kind="seller",
        subject_id=seller.pk,
        subject=str(seller),
        after={"export": exporter, "from": str(first_day), "before": str(last_day), "documents": len(documents)},
        now=now,
    )
    return file


def params_of(tenant: Tenant, seller: Seller, exporter: str) -> Any:
    """The settings of a seller's export, or the defaults. Raises NotFound, BadParams."""
    _refuse_unknown(tenant, seller, exporter)
    stored = ExportSettings.objects.of(tenant).filter(seller=seller, exporter=exporter).first()
    return params_from_json(EXPORTS[exporter].Params, stored.params if stored else {})


@transaction.atomic
def store_params(
    tenant: Tenant, seller: Seller, exporter: str, given: dict[str, Any], *, actor: str, now: datetime
) -> None:
    """Check and keep the settings. Raises NotFound, BadParams."""
    before = params_to_json(params_of(tenant, seller, exporter))
    params = params_to_json(params_from_json(EXPORTS[exporter].Params, given))
    ExportSettings.objects.of(tenant).update_or_create(seller=seller, exporter=exporter, defaults={"params": params})
    audit.record(
        tenant,
        actor=actor,
        action="export.settings",
        subject_kind="seller",
        subject_id=seller.pk,
        subject=f"{seller}: {EXPORTS[exporter].LABEL}",
        before=before,
        after=params,
        now=now,
    )


def _refuse_unknown(tenant: Tenant, seller: Seller, exporter: str) -> None:
    if seller.tenant_id != tenant.pk:
        raise NotFound("There is no such seller.")
    if exporter not in EXPORTS:
        raise NotFound(f"There is no export {exporter!r}; there are: {', '.join(EXPORTS)}.")


def _documents(
    tenant: Tenant, seller: Seller, *, first_day: date, last_day: date, evidence: bool
) -> list[ExportedDocument]:
    """In the order of their days; the proofs, most of a document, only where they are asked for."""
    rows = Invoice.objects.of(tenant).filter(seller=seller, issued_on__gte=first_day, issued_on__lt=last_day)
    rows = rows.exclude(state="draft").order_by("issued_on", "number", "pk")
    values = rows.values_list("snapshot", "state", "bill_to__customer_number")
    documents: list[ExportedDocument] = []
    for snapshot, state, customer_number in values.iterator(chunk_size=100):
        if len(documents) == MOST_DOCUMENTS:
            raise Refused(f"These are more than {MOST_DOCUMENTS:,} documents: export a shorter time.")
        if not evidence:
            snapshot = {**snapshot, "lines": [{**line, "evidence": []} for line in snapshot["lines"]]}
        documents.append(exported(snapshot, void=state == "void", customer_number=customer_number))
    return documents
