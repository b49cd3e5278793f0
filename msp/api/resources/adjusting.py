"""``/charges`` and ``/discounts``: what stands on invoices beside usage, for keys with scope billing of the tenant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.adjusting_queries import discount_row, discounts_read, one_off_row
from billing.charging import OneOffDraft, enter_one_off, withdraw
from billing.discounting import DiscountDraft, end_discount, give_discount
from billing.models import Agreement, Subscription
from billing.models_adjusting import ONE_OFF_KINDS, OneOff
from billing.params import BadParams
from msp.api.paging import BY_ID
from msp.api.reading import StrictSerializer
from msp.api.resources.base import found
from msp.api.resources.invoices import MoneyField, MoneyView
from msp.api.resources.shapes import MonthField
from msp.api.schema import WordField, changed, described, page_example, page_of
from msp.estate.models import Client

T = TypeVar("T")


class RateField(serializers.DecimalField):
    """A share of one as text: 0.19."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=6, decimal_places=5, **options)


class ChargeSerializer(serializers.Serializer[Any]):
    """A charge or credit that is due once."""

    uid = serializers.UUIDField()
    kind = WordField(ONE_OFF_KINDS)
    description = serializers.CharField()
    agreement = serializers.UUIDField(source="agreement_uid")
    bill_to = serializers.CharField()
    client = serializers.UUIDField(source="client_uid", allow_null=True)
    quantity = serializers.DecimalField(max_digits=18, decimal_places=6)
    unit = serializers.CharField()
    unit_price = MoneyField()
    amount = MoneyField(help_text="Net; negative for a credit.")
    currency = serializers.CharField()
    tax_rate = RateField(allow_null=True, help_text="Null: the payer's.")
    month = MonthField(allow_null=True, help_text="The earliest month it stands on; null: the next invoice.")
    state = WordField(("waiting", "draft", "final", "void", "withdrawn"), help_text="Of the invoice that has it.")
    invoice = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()


class ChargeWanted(StrictSerializer):
    """Either ``amount``, or ``quantity`` and ``unit_price``."""

    kind = WordField(ONE_OFF_KINDS, default="charge")
    agreement = serializers.UUIDField()
    client = serializers.UUIDField(default=None, allow_null=True)
    description = serializers.CharField(max_length=200)
    amount = serializers.DecimalField(max_digits=18, decimal_places=6, default=None, allow_null=True)
    quantity = serializers.DecimalField(max_digits=18, decimal_places=6, default=None, allow_null=True)
    unit = serializers.CharField(default="each", max_length=8)
    unit_price = serializers.DecimalField(max_digits=18, decimal_places=6, default=None, allow_null=True)
    currency = serializers.CharField(
        default="", allow_blank=True, max_length=3, help_text="Refused if not the payer's."
    )
    tax_rate = RateField(default=None, allow_null=True, help_text="Such as 0.19; left out: the payer's.")
    month = MonthField(default=None, allow_null=True, help_text="Left out: the next invoice.")


class ChargeFilters(StrictSerializer):
    kind = WordField(ONE_OFF_KINDS, required=False)


class WithdrawWanted(StrictSerializer):
    reason = serializers.CharField(max_length=2000)


class DiscountSerializer(serializers.Serializer[Any]):
    """A percentage or an amount a month off the lines of an agreement, a client or a subscription."""

    uid = serializers.UUIDField()
    name = serializers.CharField()
    agreement = serializers.UUIDField(source="agreement_uid")
    client = serializers.UUIDField(source="client_uid", allow_null=True)
    subscription = serializers.UUIDField(source="subscription_uid", allow_null=True)
    bill_to = serializers.CharField()
    off = serializers.CharField(help_text="What it is taken of, in words.")
    percent = serializers.DecimalField(max_digits=7, decimal_places=4, allow_null=True)
    amount = MoneyField(allow_null=True)
    currency = serializers.CharField()
    position = serializers.IntegerField(help_text="The lower is taken off first.")
    starts_on = serializers.DateField()
    ends_on = serializers.DateField(allow_null=True, help_text="The first day without it.")
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()


class DiscountWanted(StrictSerializer):
    """Either ``percent`` or ``amount``; neither client nor subscription: the whole agreement."""

    name = serializers.CharField(max_length=120)
    agreement = serializers.UUIDField()
    client = serializers.UUIDField(default=None, allow_null=True)
    subscription = serializers.UUIDField(default=None, allow_null=True)
    percent = serializers.DecimalField(max_digits=9, decimal_places=6, default=None, allow_null=True)
    amount = serializers.DecimalField(max_digits=18, decimal_places=6, default=None, allow_null=True)
    currency = serializers.CharField(
        default="", allow_blank=True, max_length=3, help_text="Refused if not the payer's."
    )
    position = serializers.IntegerField(
        default=None, allow_null=True, help_text="Left out: after those that are there."
    )
    starts_on = serializers.DateField()
    ends_on = serializers.DateField(default=None, allow_null=True)


class DiscountFilters(StrictSerializer):
    agreement = serializers.UUIDField(required=False)


class EndWanted(StrictSerializer):
    on = serializers.DateField(help_text="The first day without it.")


CHARGE: dict[str, Any] = {
    "uid": "b7c1d2e3-4f50-4617-8829-3a4b5c6d7e8f",
    "kind": "charge",
    "description": "Restore on site",
    "agreement": "5a6b7c8d-9e0f-4a1b-8c2d-3e4f5a6b7c8d",
    "bill_to": "Acme Dental Ltd",
    "client": None,
    "quantity": "2.500000",
    "unit": "hour",
    "unit_price": "80.0000",
    "amount": "200.0000",
    "currency": "EUR",
    "tax_rate": None,
    "month": "2026-11",
    "state": "waiting",
    "invoice": None,
    "created_at": "2026-11-23T08:00:00Z",
    "created_by": "API key program",
}
CHARGE_SENT = {
    name: CHARGE[name] for name in ("kind", "agreement", "description", "quantity", "unit", "unit_price", "month")
}
DISCOUNT: dict[str, Any] = {
    "uid": "c8d2e3f4-5061-4728-993a-4b5c6d7e8f90",
    "name": "Loyalty",
    "agreement": "5a6b7c8d-9e0f-4a1b-8c2d-3e4f5a6b7c8d",
    "client": None,
    "subscription": None,
    "bill_to": "Acme Dental Ltd",
    "off": "all lines of agreement A-17",
    "percent": "10.0000",
    "amount": None,
    "currency": "EUR",
    "position": 1,
    "starts_on": "2026-11-01",
    "ends_on": None,
    "created_at": "2026-11-23T08:00:00Z",
    "created_by": "API key program",
}
DISCOUNT_SENT = {name: DISCOUNT[name] for name in ("name", "agreement", "percent", "starts_on")}


class AdjustingView(MoneyView):
    """Whatever concerns the tenant's own agreements; a reseller's key finds nothing."""

    def initial(self, request: Request, *args: Any, **values: Any) -> None:
        super().initial(request, *args, **values)
        found(self.caller.tenant if self.caller.reach.whole_tenant else None)

    def named(self, model: Any, name: str, uid: UUID | None, *also: str) -> Any:
        """The row that the body names, None if it names none. Raises ValidationError."""
        if uid is None:
            return None
        row = model.objects.of(self.caller.tenant).select_related(*also).filter(uid=uid).first()
        if row is None:
            raise serializers.ValidationError({name: [f"There is no such {name}."]})
        return row

    def charges(self) -> Any:
        return OneOff.objects.of(self.caller.tenant).select_related("agreement__bill_to", "client", "invoice")

    def charge(self, uid: UUID, *, status: int = 200) -> Response:
        row = found(self.charges().filter(uid=uid).first())
        return Response(ChargeSerializer(one_off_row(row)).data, status=status)

    def discount(self, uid: UUID, *, status: int = 200) -> Response:
        row = found(discounts_read(self.caller.tenant).filter(uid=uid).first())
        return Response(DiscountSerializer(discount_row(row)).data, status=status)


def checked(apply: Callable[[], T]) -> T:
    """A setting that cannot be, at its field. Raises ValidationError."""
    try:
        return apply()
    except BadParams as bad:
        reason = bad.reason[:1].upper() + bad.reason[1:]
        raise serializers.ValidationError({bad.field: [f"{reason}."]}) from None


class ChargesView(AdjustingView):
    @described(
        "List charges and credits",
        "In the order in which they were entered. Needs the scope billing; a reseller's key has no such page.",
        name="charges_list",
        tag="Invoices",
        answer=page_of(ChargeSerializer),
        shows=page_example(CHARGE, path="charges"),
        query=ChargeFilters,
        paged=True,
        refuses=(404,),
    )
    def get(self, request: Request) -> Response:
        asked = self.query(ChargeFilters, paged=True)
        rows = self.charges().filter(kind=asked["kind"]) if "kind" in asked else self.charges()
        return self.page(rows, BY_ID, ChargeSerializer, dressed=lambda page: [one_off_row(row) for row in page])

    @described(
        "Charge or credit once",
        "It lands on the payer's first invoice that is drafted for its month or a later one, once.",
        name="charges_create",
        tag="Invoices",
        answer=ChargeSerializer,
        shows=CHARGE,
        status=201,
        sends=ChargeWanted,
        sent=CHARGE_SENT,
        refuses=(404,),
    )
    def post(self, request: Request) -> Response:
        self.query()
        body = self.body(ChargeWanted)
        agreement = self.named(Agreement, "agreement", body.pop("agreement"), "bill_to")
        client = self.named(Client, "client", body.pop("client"))
        draft, tenant = OneOffDraft(**body), self.caller.tenant
        made = checked(
            lambda: enter_one_off(tenant, agreement, draft=draft, client=client, actor=self.caller.actor, now=self.now)
        )
        return self.charge(made.uid, status=201)


class ChargeView(AdjustingView):
    @described(
        "Get a charge or credit",
        "With the invoice that has it.",
        name="charges_get",
        tag="Invoices",
        answer=ChargeSerializer,
        shows=CHARGE,
        refuses=(404,),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        self.query()
        return self.charge(uid)


class ChargeWithdrawView(AdjustingView):
    @described(
        "Withdraw a charge or credit",
        "While no final invoice has it; a draft loses it when it is drafted again.",
        name="charges_withdraw",
        tag="Invoices",
        answer=ChargeSerializer,
        shows=changed(CHARGE, state="withdrawn"),
        sends=WithdrawWanted,
        sent={"reason": "Entered twice."},
        refuses=(404, 409),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        self.query()
        reason, tenant = self.body(WithdrawWanted)["reason"], self.caller.tenant
        found(self.charges().filter(uid=uid).first())
        checked(lambda: withdraw(tenant, uid, actor=self.caller.actor, reason=reason, now=self.now))
        return self.charge(uid)


class DiscountsView(AdjustingView):
    @described(
        "List discounts",
        "In the order in which they were given, ended ones too. Needs the scope billing; a reseller's key has no such "
        "page.",
        name="discounts_list",
        tag="Invoices",
        answer=page_of(DiscountSerializer),
        shows=page_example(DISCOUNT, path="discounts"),
        query=DiscountFilters,
        paged=True,
        refuses=(404,),
    )
    def get(self, request: Request) -> Response:
        asked = self.query(DiscountFilters, paged=True)
        rows = discounts_read(self.caller.tenant)
        rows = rows.filter(agreement__uid=asked["agreement"]) if "agreement" in asked else rows
        return self.page(rows, BY_ID, DiscountSerializer, dressed=lambda page: [discount_row(row) for row in page])

    @described(
        "Give a discount",
        "On a whole agreement, on one client's lines or on one subscription's, from a day on.",
        name="discounts_create",
        tag="Invoices",
        answer=DiscountSerializer,
        shows=DISCOUNT,
        status=201,
        sends=DiscountWanted,
        sent=DISCOUNT_SENT,
        refuses=(404,),
    )
    def post(self, request: Request) -> Response:
        self.query()
        body, tenant = self.body(DiscountWanted), self.caller.tenant
        on = {
            "client": self.named(Client, "client", body.pop("client")),
            "subscription": self.named(Subscription, "subscription", body.pop("subscription")),
        }
        agreement = self.named(Agreement, "agreement", body.pop("agreement"), "bill_to")
        draft = DiscountDraft(**body)
        made = checked(
            lambda: give_discount(tenant, agreement, draft=draft, actor=self.caller.actor, now=self.now, **on)
        )
        return self.discount(made.uid, status=201)


class DiscountView(AdjustingView):
    @described(
        "Get a discount",
        "One discount.",
        name="discounts_get",
        tag="Invoices",
        answer=DiscountSerializer,
        shows=DISCOUNT,
        refuses=(404,),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        self.query()
        return self.discount(uid)


class DiscountEndView(AdjustingView):
    @described(
        "End a discount",
        "On a day; on its first day it is as if it had never been given.",
        name="discounts_end",
        tag="Invoices",
        answer=DiscountSerializer,
        shows=changed(DISCOUNT, ends_on="2026-12-01"),
        sends=EndWanted,
        sent={"on": "2026-12-01"},
        refuses=(404,),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        self.query()
        on, tenant = self.body(EndWanted)["on"], self.caller.tenant
        found(discounts_read(tenant).filter(uid=uid).first())
        checked(lambda: end_discount(tenant, uid, on=on, actor=self.caller.actor, now=self.now))
        return self.discount(uid)
