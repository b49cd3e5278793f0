"""Exports of final documents for accounting programs: the download, and the accounts and names each program needs."""

from __future__ import annotations

import uuid
from datetime import date, timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from billing.exporting import EXPORTS
from billing.exporting.making import make_export, params_of, store_params
from billing.models import Seller
from billing.params import ParamField, fields_of, params_to_json
from msp.dashboard import money
from msp.dashboard.form_pages import REFUSALS, FormPage, as_bad_field, edit
from msp.dashboard.forms import BadField, Field
from msp.dashboard.permits import MONEY, needs
from msp.dashboard.scope import StaffRequest, found
from msp.dashboard.typing_in import read_typed, refill_typed

KINDS = {"whole": "number", "decimal": "decimal", "choice": "choice"}


@needs(MONEY)
def make(request: StaffRequest) -> HttpResponse:
    """The form, or the file it asks for."""
    fields = _fields(request)
    if request.method != "POST":
        return _show(request, fields)
    try:
        values = read_typed(fields, request.POST)
        seller: Seller = found(Seller.objects.of(request.scope.tenant).filter(uid=values["seller"]).first(), "seller")
        file = make_export(
            request.scope.tenant, seller, exporter=values["exporter"], first_day=values["first_day"],
            last_day=values["until"] + timedelta(days=1), actor=request.scope.actor, now=request.now,
        )  # fmt: skip
    except (BadField, *REFUSALS) as refusal:
        bad = as_bad_field(refusal)
        return _show(request, refill_typed(fields, request.POST, error=bad), problem="" if bad.field else bad.reason)
    response = HttpResponse(file.content, content_type=file.content_type)
    response["Content-Disposition"] = f'attachment; filename="{file.name}"'
    return response


@needs(MONEY)
def edit_settings(request: StaffRequest, uid: uuid.UUID, exporter: str) -> HttpResponse:
    """What a program needs to know of a seller."""
    tenant = request.scope.tenant
    seller: Seller = found(Seller.objects.of(tenant).filter(uid=uid).first(), "seller")
    module = found(EXPORTS.get(exporter), "export")
    stored = params_to_json(params_of(tenant, seller, exporter))
    fields = tuple(_field(each, stored[each.name]) for each in fields_of(module.Params))

    def apply(values: dict[str, Any]) -> str:
        given = {name: value for name, value in values.items() if value is not None}
        store_params(tenant, seller, exporter, given, actor=request.scope.actor, now=request.now)
        return reverse("exports")

    back = reverse("exports")
    page = FormPage(title=f"{module.LABEL} for {seller}", lead=module.HELP, back=back, crumbs=(("Exports", back),))
    return edit(request, page, fields, apply=apply, done="The settings of the export are stored.")


def _show(request: StaffRequest, fields: tuple[Field, ...], *, problem: str = "") -> HttpResponse:
    sellers = Seller.objects.of(request.scope.tenant).order_by("legal_name")
    context = {
        "fields": fields,
        "problem": problem,
        "has_seller": bool(fields[0].choices),
        "programs": [
            (
                module.LABEL,
                module.HELP,
                [(str(each), reverse("export-settings", args=[each.uid, name])) for each in sellers]
                if fields_of(module.Params)
                else [],
            )
            for name, module in EXPORTS.items()
        ],
    }
    return render(request, "billing/exports.html", context, status=422 if request.method == "POST" else 200)


def _fields(request: StaffRequest) -> tuple[Field, ...]:
    this = money.today_of(request.scope, now=request.now).replace(day=1)
    first = (this - timedelta(days=1)).replace(day=1)
    programs = tuple((name, module.LABEL) for name, module in EXPORTS.items())
    return (
        money.seller_field(request.scope),
        Field("exporter", "For", kind="choice", choices=programs, value="csv", required=True),
        _day("first_day", "Issued from", this if request.now.date() > this else first),
        _day("until", "to", money.today_of(request.scope, now=request.now)),
    )


def _day(name: str, label: str, value: date) -> Field:
    return Field(name, label, kind="date", value=value.isoformat(), required=True)


def _field(each: ParamField, value: Any) -> Field:
    return Field(
        name=each.name,
        label=each.name.replace("_", " ").capitalize(),
        kind=KINDS.get(each.kind, "text"),
        value="" if value is None else str(value),
        help=each.help,
        choices=tuple((choice, choice) for choice in each.choices),
        maximum=None if each.kind == "whole" else 2000,
    )
