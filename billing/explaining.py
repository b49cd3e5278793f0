"""Explains an invoice line from its amount down: steps, days, runs and the raw receipts they were read from.

For pages, the PDF's annex and the API. Everything comes from the working and evidence stored with the line by the code
that computed it; nothing is derived again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from billing.models import InvoiceLine
from billing.refusals import NotFound
from billing.working import explain
from msp.tenants.models import Tenant


@dataclass(frozen=True)
class Step:
    """One step of the arithmetic: ``sentence`` reads "label: formula = amount"; ``amount`` is exact text."""

    label: str
    formula: str
    amount: str
    unit: str
    sentence: str


@dataclass(frozen=True)
class ProvenDay:
    """A day of a selection and what proves its figure. ``quantity`` in bytes, None if nothing is charged.

    ``measured_on`` is the day the figure was measured, earlier than ``day`` if it stands or was carried. Run and
    receipt are UUIDs as text, "" where the figure came without a run; ``run_month`` finds the run. ``corrected`` is the
    reason of the person who corrected the figure. ``names`` are those of what was counted.
    """

    day: date
    state: str
    quantity: int | None
    note: str
    basis: str = ""
    measured_on: date | None = None
    measured_at: datetime | None = None
    job: str = ""
    job_name: str = ""
    run_key: str = ""
    run: str = ""
    run_month: date | None = None
    receipt: str = ""
    facts: str = ""
    corrected: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProvenSelection:
    """A selection on a line, each day of the period in order."""

    name: str
    uid: str
    client_name: str
    metric: str
    days: tuple[ProvenDay, ...]


@dataclass(frozen=True)
class ChargedDay:
    """What a day enters the meter with, in bytes, all selections of the line together; None if it does not count."""

    day: str
    state: str
    charged: int | None
    note: str


@dataclass(frozen=True)
class ExplainedLine:
    """A line with its reasons. ``plan`` is the plan version as JSON, as it was when the line was computed.

    ``size_contract`` is the version that its agreement names, "" for a line that charges no usage.
    """

    uid: UUID
    invoice_uid: UUID
    number: str
    state: str
    description: str
    quantity: Decimal
    unit: str
    amount: Decimal
    currency: str
    plan: Mapping[str, Any]
    steps: tuple[Step, ...]
    days: tuple[ChargedDay, ...]
    selections: tuple[ProvenSelection, ...]
    size_contract: str = ""


def explain_line(tenant: Tenant, line_uid: UUID) -> ExplainedLine:
    """The line of this tenant with its steps, days and proofs; one query. Raises NotFound."""
    line = InvoiceLine.objects.of(tenant).select_related("invoice").filter(uid=line_uid).first()
    if line is None:
        raise NotFound("There is no such invoice line.")
    return explained(line)


def explained(line: InvoiceLine) -> ExplainedLine:
    """The same for a line read already, with its invoice."""
    invoice, working = line.invoice, line.working
    return ExplainedLine(
        uid=line.uid,
        invoice_uid=invoice.uid,
        number=invoice.number,
        state=invoice.state,
        description=line.description,
        quantity=line.quantity,
        unit=line.unit,
        amount=line.amount,
        currency=invoice.currency,
        plan=working["plan"],
        steps=tuple(_step(step, said) for step, said in zip(working["steps"], explain(working), strict=True)),
        days=tuple(_charged_day(day) for day in working["days"]),
        selections=tuple(_selection(selection) for selection in line.evidence),
        size_contract=working.get("size_contract", ""),
    )


def _step(step: Mapping[str, Any], sentence: str) -> Step:
    return Step(step["label"], step["formula"], step["amount"], step["unit"], sentence)


def _charged_day(day: Mapping[str, Any]) -> ChargedDay:
    charged = None if day["charged"] is None else int(day["charged"])
    return ChargedDay(day["key"], day["state"], charged, day["note"])


def _selection(selection: Mapping[str, Any]) -> ProvenSelection:
    return ProvenSelection(
        name=selection["name"],
        uid=selection["selection"],
        client_name=selection["client_name"],
        metric=selection["metric"],
        days=tuple(_proven_day(day) for day in selection["days"]),
    )


def _proven_day(day: Mapping[str, Any]) -> ProvenDay:
    proven = ProvenDay(date.fromisoformat(day["day"]), day["state"], day["quantity"], day["note"])
    if "source" not in day:
        return proven
    return ProvenDay(
        day=proven.day,
        state=proven.state,
        quantity=proven.quantity,
        note=proven.note,
        basis=day["basis"],
        measured_on=date.fromisoformat(day["measured_on"]),
        measured_at=datetime.fromisoformat(day["measured_at"]),
        job=day["job"],
        job_name=day["job_name"],
        run_key=day["run_key"],
        run=day["run"],
        run_month=date.fromisoformat(day["run_month"]) if day["run_month"] else None,
        receipt=day["receipt"],
        facts=day["facts"],
        corrected=day.get("corrected", ""),
        names=tuple(day.get("names", ())),
    )
