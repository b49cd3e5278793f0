"""``/invoices/<uid>/credit-notes``: what takes lines of a final invoice back, for keys with scope billing."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.crediting import CreditedLine, credit
from billing.following import what_followed
from billing.queries import invoice_page
from msp.api.reading import StrictSerializer
from msp.api.resources.invoices import DETAIL, LINE, InvoiceDetailSerializer, MoneyField, MoneyView
from msp.api.schema import changed, described


class CreditedLineSerializer(StrictSerializer):
    """A line to take back; without amount and quantity all that is left of it."""

    line = serializers.UUIDField(source="line_uid", help_text="The line of the invoice.")
    amount = MoneyField(required=False, help_text="Net, without a sign.")
    quantity = serializers.DecimalField(max_digits=24, decimal_places=6, required=False)


class CreditNoteDraftSerializer(StrictSerializer):
    """Without lines all that is left of the invoice."""

    reason = serializers.CharField(max_length=2000)
    lines = CreditedLineSerializer(many=True, required=False)


class CreditNoteRowSerializer(serializers.Serializer[Any]):
    """A credit note; its total is negative."""

    uid = serializers.UUIDField()
    number = serializers.CharField()
    issued_on = serializers.DateField()
    total = MoneyField()
    reason = serializers.CharField()


class CreditNotesSerializer(serializers.Serializer[Any]):
    """All credit notes of an invoice, the oldest first."""

    credited = MoneyField(help_text="Their sum.")
    items = CreditNoteRowSerializer(source="notes", many=True)


ROW = {
    "uid": "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9",
    "number": "CN-2026-00001",
    "issued_on": "2026-11-03",
    "total": "-4.7600",
    "reason": "An outage of two days",
}


class CreditNotesView(MoneyView):
    @described(
        "List credit notes of an invoice",
        "The oldest first. Needs the scope billing.",
        name="credit_notes_list",
        tag="Invoices",
        answer=CreditNotesSerializer,
        shows={"credited": "-4.7600", "items": [ROW]},
        refuses=(404,),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        self.query()
        page = self._page(uid)
        return Response(CreditNotesSerializer(what_followed(self.caller.tenant, page.row.uid)).data)

    @described(
        "Credit an invoice",
        "Writes a final, numbered credit note that takes lines of a final invoice back. Needs the scope billing.",
        name="credit_notes_create",
        tag="Invoices",
        sends=CreditNoteDraftSerializer,
        sent={"reason": ROW["reason"], "lines": [{"line": LINE["uid"], "amount": "4.00"}]},
        answer=InvoiceDetailSerializer,
        shows=changed(DETAIL, number="CN-2026-00001", kind="credit", net="-4.0000", tax="-0.7600", total="-4.7600"),
        status=201,
        refuses=(404, 409),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        if not self.caller.reach.whole_tenant:
            raise Http404
        self.query()
        typed = self.body(CreditNoteDraftSerializer)
        lines = [CreditedLine(**line) for line in typed.get("lines", ())]
        values: dict[str, Any] = {"reason": typed["reason"], "actor": self.caller.actor, "now": self.now}
        note = credit(self.caller.tenant, uid, lines=lines, **values)
        return Response(InvoiceDetailSerializer(self._page(note.uid)).data, status=201)

    def _page(self, uid: UUID) -> Any:
        return invoice_page(self.caller.tenant, uid, reseller_id=self.caller.key.reseller_id)
