"""``/invoices`` and ``/invoice-lines``: documents with the working of every amount, for keys with scope billing."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.comparing import compare_line
from billing.explaining import explain_line
from billing.queries import invoice_page
from billing.taxes import TAX_CATEGORIES
from msp.api import queries
from msp.api.paging import Order
from msp.api.reading import StrictSerializer
from msp.api.resources.base import ApiView, found
from msp.api.resources.shapes import MonthField
from msp.api.schema import WordField, changed, described, page_example, page_of

NEWEST_MONTH_FIRST = Order(("-first_day", "-id"), ("day", "id"))
STATES = ("draft", "final", "void")


class MoneyField(serializers.DecimalField):
    """An amount as text, so that no program rounds it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=18, decimal_places=4, **options)


class InvoiceSerializer(serializers.Serializer[Any]):
    """A document in a list. Number and dates are empty for a draft."""

    uid = serializers.UUIDField()
    number = serializers.CharField()
    state = WordField(STATES)
    kind = WordField(("regular", "credit"))
    seller = serializers.CharField()
    bill_to = serializers.CharField()
    first_day = serializers.DateField()
    last_day = serializers.DateField(help_text="The day after the period.")
    issued_on = serializers.DateField(allow_null=True)
    due_on = serializers.DateField(allow_null=True)
    net = MoneyField()
    tax = MoneyField()
    total = MoneyField()
    currency = serializers.CharField()
    held = serializers.SerializerMethodField(help_text="How many decisions of a person it waits for.")
    paid = serializers.SerializerMethodField()

    def get_held(self, invoice: Any) -> int:
        return len(invoice.held)

    def get_paid(self, invoice: Any) -> bool:
        return invoice.paid_id is not None


class StepSerializer(serializers.Serializer[Any]):
    """One step of the arithmetic; ``amount`` is exact."""

    label = serializers.CharField()  # type: ignore[assignment]  # a field here, not the label of a field
    formula = serializers.CharField()
    amount = serializers.CharField()
    unit = serializers.CharField()
    sentence = serializers.CharField()


class LineSerializer(serializers.Serializer[Any]):
    """A line with its working."""

    uid = serializers.UUIDField()
    description = serializers.CharField()
    quantity = serializers.DecimalField(max_digits=24, decimal_places=6)
    unit = serializers.CharField()
    amount = MoneyField()
    currency = serializers.CharField()
    plan = serializers.DictField(help_text="The plan's version as it was when the line was computed.")
    size_contract = serializers.CharField(help_text="Version of the size contract; empty where no usage is charged.")
    steps = StepSerializer(many=True)


class ChargedDaySerializer(serializers.Serializer[Any]):
    """What a day enters the meter with, in bytes; null if it does not count."""

    day = serializers.CharField()
    state = serializers.CharField()
    charged = serializers.IntegerField(allow_null=True)
    note = serializers.CharField()


class ProvenDaySerializer(serializers.Serializer[Any]):
    """A day of a selection and what proves its figure; run and receipt lead to the raw log."""

    day = serializers.DateField()
    state = serializers.CharField()
    quantity = serializers.IntegerField(allow_null=True, help_text="Bytes; null if nothing is charged.")
    note = serializers.CharField()
    basis = serializers.CharField()
    measured_on = serializers.DateField(allow_null=True)
    measured_at = serializers.DateTimeField(allow_null=True)
    job = serializers.CharField()
    job_name = serializers.CharField()
    names = serializers.ListField(child=serializers.CharField(), help_text="Of what was counted; else empty.")
    run = serializers.CharField(help_text="UUID of the run; empty where the figure came without one.")
    run_month = MonthField(allow_null=True)
    receipt = serializers.CharField()
    corrected = serializers.CharField(help_text="Why a person corrected the figure; empty if nobody did.")


class ProvenSelectionSerializer(serializers.Serializer[Any]):
    """A selection on a line, day by day."""

    uid = serializers.CharField()
    name = serializers.CharField()
    client_name = serializers.CharField()
    metric = serializers.CharField()
    days = ProvenDaySerializer(many=True)


class ComparedMeterSerializer(serializers.Serializer[Any]):
    """What a meter would have made of the same days, on the terms of the line's plan."""

    meter = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field here, not the label of a field
    quantity = serializers.DecimalField(max_digits=30, decimal_places=6)
    unit = serializers.CharField()
    amount = MoneyField(allow_null=True, help_text="Null where the plan has no price for such a quantity.")
    difference = MoneyField(allow_null=True, help_text="The amount minus what was billed.")
    is_used = serializers.BooleanField(help_text="Whether it is the plan's own meter.")


class LineExplainedSerializer(LineSerializer):
    """A line from its amount down to the days, runs and receipts it rests on."""

    invoice = serializers.UUIDField(source="invoice_uid")
    number = serializers.CharField()
    state = WordField(STATES)
    days = ChargedDaySerializer(many=True)
    selections = ProvenSelectionSerializer(many=True)
    meters = ComparedMeterSerializer(many=True, help_text="What each meter would have billed; computed, not stored.")


class TaxSerializer(serializers.Serializer[Any]):
    """The tax of one category and rate."""

    category = WordField(TAX_CATEGORIES, help_text="UNCL 5305: S standard, Z zero rated, E exempt, AE reverse charge.")
    rate = serializers.DecimalField(max_digits=6, decimal_places=5, help_text="A share: 0.19 is 19 %.")
    net = MoneyField(help_text="What its lines come to.")
    tax = MoneyField(help_text="Rounded once, half up.")


class InvoiceDetailSerializer(serializers.Serializer[Any]):
    """A document with its lines. Seller and bill-to are those of the document, not of today, once it is final."""

    uid = serializers.UUIDField(source="row.uid")
    number = serializers.CharField(source="row.number")
    state = WordField(STATES, source="row.state")
    kind = WordField(("regular", "credit"), source="row.kind")
    first_day = serializers.DateField(source="row.first_day")
    last_day = serializers.DateField(source="row.last_day", help_text="The day after the period.")
    issued_on = serializers.DateField(source="row.issued_on", allow_null=True)
    due_on = serializers.DateField(source="row.due_on", allow_null=True)
    net = MoneyField(source="row.net")
    tax = MoneyField(source="row.tax")
    tax_rate = serializers.DecimalField(max_digits=6, decimal_places=5)
    taxes = TaxSerializer(many=True)
    total = MoneyField(source="row.total")
    currency = serializers.CharField(source="row.currency")
    paid = serializers.BooleanField(source="row.paid")
    timezone = serializers.CharField(help_text="Zone whose days are metered.")
    cut_off = serializers.DateTimeField(help_text="What was known then is in it.")
    seller = serializers.DictField()
    bill_to = serializers.DictField()
    lines = LineSerializer(many=True)
    held = serializers.ListField(child=serializers.CharField(), help_text="What a person must decide, in sentences.")
    decisions = serializers.ListField(child=serializers.JSONField())
    replaces = serializers.CharField(help_text="Number of the document this one stands in for.")
    replaced_by = serializers.CharField()
    void_reason = serializers.CharField()
    content_hash = serializers.CharField(help_text="SHA-256 of the final document.")
    pay_url = serializers.CharField()


class InvoiceFilters(StrictSerializer):
    state = WordField(STATES, required=False)
    month = MonthField(required=False)
    number = serializers.CharField(required=False)
    currency = serializers.CharField(required=False, max_length=3)


EXAMPLE = {
    "uid": "9d3c2b1a-0f9e-4d8c-b7a6-958473625140",
    "number": "2026-00017",
    "state": "final",
    "kind": "regular",
    "seller": "Northwind MSP GmbH",
    "bill_to": "Acme Dental Ltd",
    "first_day": "2026-10-01",
    "last_day": "2026-11-01",
    "issued_on": "2026-11-02",
    "due_on": "2026-11-16",
    "net": "34.0000",
    "tax": "6.4600",
    "total": "40.4600",
    "currency": "EUR",
    "held": 0,
    "paid": False,
}
LINE: dict[str, Any] = {
    "uid": "4c5d6e7f-8091-4a2b-b3c4-d5e6f7a8b9c0",
    "description": "Acme Dental: Backup, October 2026",
    "quantity": "400.000000",
    "unit": "GB",
    "amount": "34.0000",
    "currency": "EUR",
    "size_contract": "1",
    "plan": {"code": "tiered", "version": 1},
    "steps": [
        {
            "label": "Up to 100 GB",
            "formula": "100 GB × 0.10 EUR",
            "amount": "10.00",
            "unit": "EUR",
            "sentence": "Up to 100 GB: 100 GB × 0.10 EUR = 10.00 EUR",
        },
        {
            "label": "Up to 500 GB",
            "formula": "300 GB × 0.08 EUR",
            "amount": "24.00",
            "unit": "EUR",
            "sentence": "Up to 500 GB: 300 GB × 0.08 EUR = 24.00 EUR",
        },
    ],
}
DETAIL = {
    **{name: value for name, value in EXAMPLE.items() if name not in ("seller", "bill_to", "held")},
    "tax_rate": "0.19000",
    "taxes": [{"category": "S", "rate": "0.19000", "net": "34.0000", "tax": "6.4600"}],
    "timezone": "Europe/Berlin",
    "cut_off": "2026-11-02T08:00:00Z",
    "seller": {"legal_name": "Northwind MSP GmbH", "country": "DE"},
    "bill_to": {"legal_name": "Acme Dental Ltd", "country": "DE"},
    "lines": [LINE],
    "held": [],
    "decisions": [],
    "replaces": "",
    "replaced_by": "",
    "void_reason": "",
    "content_hash": "9b74c9897bac770ffc029102a200c5de9b74c9897bac770ffc029102a200c5de",
    "pay_url": "",
}
PROVEN_DAY = {
    "day": "2026-10-01",
    "state": "measured",
    "quantity": 400000000000,
    "note": "",
    "basis": "logical-once",
    "measured_on": "2026-10-01",
    "measured_at": "2026-10-01T21:14:09Z",
    "job": "3f0c8c7e-4f0b-4b7a-9a53-2f1d0e9b8c11",
    "job_name": "files",
    "names": [],
    "run": "6a7c1e52-6b0e-4f4e-9a9f-3c2b1a0d9e8f",
    "run_month": "2026-10",
    "receipt": "e4a1c0de-75b1-4f8e-8c3d-9b8a7f6e5d4c",
    "corrected": "",
}
EXPLAINED = changed(
    LINE,
    invoice=EXAMPLE["uid"],
    number="2026-00017",
    state="final",
    days=[{"day": "2026-10-01", "state": "measured", "charged": 400000000000, "note": ""}],
    selections=[
        {
            "uid": "c1b2a3d4-0f5e-4d6c-8b7a-9e8f7a6b5c4d",
            "name": "backup01: files",
            "client_name": "Acme Dental",
            "metric": "protected",
            "days": [PROVEN_DAY],
        }
    ],
    meters=[
        {
            "meter": "peak_day",
            "label": "Peak day",
            "quantity": "420.000000",
            "unit": "GB",
            "amount": "35.6000",
            "difference": "1.6000",
            "is_used": False,
        }
    ],
)


class MoneyView(ApiView):
    """Whatever shows money asks for scope billing."""

    reads = "billing"
    writes = "billing"


class InvoicesView(MoneyView):
    @described(
        "List invoices",
        "Newest month first. A reseller's key sees the documents of its own sellers only. Needs the scope billing.",
        name="invoices_list",
        tag="Invoices",
        answer=page_of(InvoiceSerializer),
        shows=page_example(EXAMPLE),
        query=InvoiceFilters,
        paged=True,
    )
    def get(self, request: Request) -> Response:
        rows = queries.invoices(self.caller.reach, self.query(InvoiceFilters, paged=True))
        return self.page(rows, NEWEST_MONTH_FIRST, InvoiceSerializer)


class InvoiceView(MoneyView):
    @described(
        "Get an invoice",
        "One document with its lines and their working. Needs the scope billing.",
        name="invoices_get",
        tag="Invoices",
        answer=InvoiceDetailSerializer,
        shows=DETAIL,
        refuses=(404,),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        self.query()
        page = invoice_page(self.caller.tenant, uid, reseller_id=self.caller.key.reseller_id)
        return Response(InvoiceDetailSerializer(page).data)


class LineExplainView(MoneyView):
    @described(
        "Explain an invoice line",
        "From the amount down: steps, days, and for each day the run and the receipt that prove it; and what other "
        "meters would have billed for the same days. Needs the scope billing.",
        name="invoice_lines_explain",
        tag="Invoices",
        answer=LineExplainedSerializer,
        shows=EXPLAINED,
        refuses=(404,),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        self.query()
        found(queries.has_line(self.caller.reach, uid) or None)
        told = vars(explain_line(self.caller.tenant, uid))
        meters = compare_line(self.caller.tenant, uid).meters
        return Response(LineExplainedSerializer(told | {"meters": meters}).data)
