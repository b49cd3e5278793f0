"""Clients as settings: registered, their terms, and what is dated: their state and their reseller."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

from django.http import HttpResponse
from django.urls import reverse

from alerts.acting import settings_changed
from alerts.enabling import enable_jobs_of
from alerts.evaluating import mark_due
from alerts.words.languages import CHOICES, language_of
from msp.dashboard import money
from msp.dashboard.form_pages import FormPage, edit
from msp.dashboard.forms import BadField, Field
from msp.dashboard.permits import OPERATE, needs
from msp.dashboard.scope import StaffRequest, found
from msp.dashboard.views.settings_servers import actor_of
from msp.estate.changing import change_client
from msp.estate.models import CLIENT_STATES, Client
from msp.estate.spans import Taken, register_client, set_client_reseller, set_client_state
from msp.tenants.models import Reseller

GB = 10**9
MOST_GB = 9 * 10**9


@needs(OPERATE)
def new_client(request: StaffRequest) -> HttpResponse:
    """Register a client; its first state and reseller hold from today on."""
    fields = (_code_field(), *_terms(request, None), _state_field("active"), _reseller_field(request, None))

    def apply(values: dict[str, Any]) -> str:
        values["reseller"] = _reseller(request, values["reseller"])
        values["timezone"] = values["timezone"] or ""
        values["notes"], values["language"] = values["notes"] or "", values["language"] or ""
        values["quota_bytes"] = _quota(values.pop("quota_gb"))
        try:
            client = register_client(request.scope.tenant, actor=actor_of(request), **values)
        except Taken as taken:
            raise BadField("code", taken.reason) from taken
        return reverse("client", args=[client.uid])

    page = FormPage(title="New client", back=reverse("clients"), submit="Register", crumbs=_crumbs())
    return edit(request, page, fields, apply=apply, done="The client is registered.")


@needs(OPERATE)
def edit_client(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Name, zone, quota, whether tickets are opened, notes."""
    client = _find(request, uid)
    fields = _terms(request, client)

    def apply(values: dict[str, Any]) -> str:
        values["quota_bytes"] = _quota(values.pop("quota_gb"))
        values["notes"], values["language"] = values["notes"] or "", values["language"] or ""
        values["timezone"] = values["timezone"] or request.scope.tenant.timezone
        was_observed = not client.tickets_enabled
        change_client(request.scope.tenant, client.pk, values, actor=actor_of(request))
        if was_observed and values.get("tickets_enabled"):
            enable_jobs_of(request.scope.tenant, client)
        _look_again(request, client)
        return reverse("client", args=[uid])

    more = {"client": client}
    page = _page(client, f"Settings of {client.name}", template="settings/client.html", more=more)
    return edit(request, page, fields, apply=apply, done="The client is stored.")


@needs(OPERATE)
def change_state(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Another state from a day on."""
    client = _find(request, uid)
    fields = (_state_field(client.state), _on_field(request))

    def apply(values: dict[str, Any]) -> str:
        set_client_state(
            request.scope.tenant, client.pk, state=values["state"], on=values["on"], actor=actor_of(request)
        )
        _look_again(request, client)
        return reverse("client", args=[uid])

    lead = "Trial and suspended days are not billed; a deleted client is watched no more."
    page = _page(client, f"State of {client.name}", submit="Change", lead=lead)
    return edit(request, page, fields, apply=apply, done="The state is changed.")


@needs(OPERATE)
def change_reseller(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Another reseller, or none, from a day on."""
    client = _find(request, uid)
    fields = (_reseller_field(request, client.reseller), _on_field(request))

    def apply(values: dict[str, Any]) -> str:
        reseller = _reseller(request, values["reseller"])
        set_client_reseller(
            request.scope.tenant, client.pk, reseller=reseller, on=values["on"], actor=actor_of(request)
        )
        _look_again(request, client)
        return reverse("client", args=[uid])

    lead = "A reseller's people see their own clients, and nothing of others."
    page = _page(client, f"Reseller of {client.name}", submit="Change", lead=lead)
    return edit(request, page, fields, apply=apply, done="The reseller is changed.")


def _look_again(request: StaffRequest, client: Client) -> None:
    settings_changed(request.scope.tenant, now=request.now)
    mark_due(request.scope.tenant.pk, "client", [client.pk], now=request.now)


def _terms(request: StaffRequest, client: Client | None) -> tuple[Field, ...]:
    tenant = request.scope.tenant
    shown = client or Client(timezone=tenant.timezone, tickets_enabled=not tenant.observe_new)
    quota = format((Decimal(shown.quota_bytes) / GB).normalize(), "f") if shown.quota_bytes else ""
    return (
        Field("name", "Name", value=shown.name, required=True, maximum=200),
        Field("timezone", "Time zone", value=shown.timezone, maximum=64,
              help="Of its schedules, such as Europe/Berlin."),
        Field("quota_gb", "Quota", kind="decimal", unit="GB", value=quota, maximum=MOST_GB,
              help="Agreed ceiling of the protected size, in GB of 10^9 bytes; empty: none is agreed."),
        Field("tickets_enabled", "Tickets are opened for it", kind="switch",
              value="yes" if shown.tickets_enabled else "", help="Otherwise it is only observed."),
        Field("language", "Language of its tickets", kind="choice", value=shown.language,
              choices=(("", f"as set for all: {language_of(tenant.language).name}"), *CHOICES)),
        Field("notes", "Notes", kind="long", value=shown.notes, maximum=5000),
    )  # fmt: skip


def _quota(size: Decimal | None) -> int | None:
    if size is None:
        return None
    if size <= 0:
        raise BadField("quota_gb", "A quota is more than 0; leave it empty where none is agreed.")
    return int(size * GB)


def _code_field() -> Field:
    return Field("code", "Code", required=True, maximum=60, help="Short and unique, such as acme; it stays.")


def _state_field(state: str) -> Field:
    return Field(
        "state", "State", kind="choice", choices=tuple((e, e) for e in CLIENT_STATES), value=state, required=True
    )


def _reseller_field(request: StaffRequest, reseller: Reseller | None) -> Field:
    rows = Reseller.objects.of(request.scope.tenant).order_by("name")
    choices = (("", "none"), *((str(row.uid), row.name) for row in rows))
    return Field("reseller", "Reseller", kind="choice", choices=choices, value=str(reseller.uid) if reseller else "")


def _on_field(request: StaffRequest) -> Field:
    today = money.today_of(request.scope, now=request.now).isoformat()
    return Field("on", "From", kind="date", value=today, required=True, help="Today or earlier; bills follow this day.")


def _reseller(request: StaffRequest, uid: str | None) -> Reseller | None:
    return Reseller.objects.of(request.scope.tenant).get(uid=uid) if uid else None


def _crumbs() -> tuple[tuple[str, str], ...]:
    return (("Clients", reverse("clients")),)


def _page(client: Client, title: str, **values: Any) -> FormPage:
    back = reverse("client", args=[client.uid])
    return FormPage(title=title, back=back, crumbs=(*_crumbs(), (client.name, back)), **values)


def _find(request: StaffRequest, uid: uuid.UUID) -> Client:
    rows = Client.objects.of(request.scope.tenant).select_related("reseller")
    client: Client = found(rows.filter(uid=uid).first(), "client")
    return client
