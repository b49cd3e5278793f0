"""People: who may come in and as what; invited with a link that is shown once and works once."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.contrib.auth.views import PasswordResetConfirmView
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy

from msp.dashboard.changes import people as changes
from msp.dashboard.form_pages import FormPage, edit, show, show_refused
from msp.dashboard.forms import BadField, Field
from msp.dashboard.permits import OWN, action, needs
from msp.dashboard.scope import StaffRequest, found
from msp.dashboard.typing_in import read_typed
from msp.tenants.models import Membership, Reseller

ROLES = (
    ("technician", "technician: operates, sees no prices"),
    ("billing", "billing: sees money, changes no rules"),
    ("reader", "reader: looks only, sees no prices"),
    ("reseller", "reseller: staff of the reseller below"),
    ("owner", "owner: everything"),
)


class SetPassword(PasswordResetConfirmView):
    """Where an invitation leads: a password is set once, then one logs in."""

    template_name = "settings/set_password.html"
    success_url = reverse_lazy("login")


@needs(OWN)
def list_people(request: StaffRequest) -> HttpResponse:
    """Everybody of the tenant; one query."""
    rows = Membership.objects.of(request.scope.tenant).select_related("user", "reseller").order_by("user__email")
    return render(request, "settings/people.html", {"members": rows})


@needs(OWN)
def invite(request: StaffRequest) -> HttpResponse:
    """Invite somebody; the page that answers shows the link."""
    fields = (
        Field("email", "Email", required=True, maximum=200),
        Field("name", "Name", maximum=120),
        *_role_fields(request, "technician", None),
    )
    page = _page("Invite somebody", submit="Invite")
    if request.method != "POST":
        return show(request, page, fields)
    try:
        values = read_typed(fields, request.POST)
        invited = changes.invite(
            request,
            email=_email(values["email"]),
            name=values["name"] or "",
            role=values["role"],
            reseller=_reseller(request, values),
        )
    except BadField as bad:
        return show_refused(request, page, fields, bad)
    return _show_link(request, invited.membership, invited.link)


@needs(OWN)
def edit_person(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Another role, another reseller."""
    member = _find(request, uid)
    fields = _role_fields(request, member.role, member.reseller)

    def apply(values: dict[str, Any]) -> str:
        changes.set_role(request, member, role=values["role"], reseller=_reseller(request, values))
        return reverse("people")

    more = {"member": member, "is_self": member.user_id == request.scope.actor_id}
    page = replace(_page(str(member.user), lead=member.user.email), template="settings/person.html", more=more)
    return edit(request, page, fields, apply=apply, done="The role is stored.")


@action(OWN)
def new_link(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """A fresh link for somebody who lost theirs."""
    member = _find(request, uid)
    return _show_link(request, member, changes.new_link(request, member))


@action(OWN)
def remove(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Take somebody off the tenant."""
    member = _find(request, uid)
    changes.remove(request, member)
    messages.success(request, f"{member.user} has no access to {request.scope.tenant.name} any more.")
    return redirect("people")


def _show_link(request: StaffRequest, member: Membership, link: str) -> HttpResponse:
    return render(request, "settings/link_once.html", {"member": member, "link": link})


def _role_fields(request: StaffRequest, role: str, reseller: Reseller | None) -> tuple[Field, ...]:
    rows = Reseller.objects.of(request.scope.tenant).order_by("name")
    resellers = (("", "none"), *((str(row.uid), row.name) for row in rows))
    bound = str(reseller.uid) if reseller else ""
    return (
        Field("role", "Role", kind="choice", choices=ROLES, value=role, required=True),
        Field(
            "reseller", "Reseller", kind="choice", choices=resellers, value=bound, help="For a reseller's staff only."
        ),
    )


def _email(typed: str) -> str:
    email = typed.strip().lower()
    try:
        validate_email(email)
    except ValidationError as error:
        raise BadField("email", f"“{typed[:80]}” is no email address.") from error
    return email


def _reseller(request: StaffRequest, values: dict[str, Any]) -> Reseller | None:
    """The reseller a role is bound to. Raises BadField where role and reseller do not fit."""
    uid = values["reseller"]
    if (values["role"] == "reseller") != bool(uid):
        told = "Name the reseller whose staff this is." if not uid else "Only a reseller's staff belongs to a reseller."
        raise BadField("reseller", told)
    return Reseller.objects.of(request.scope.tenant).get(uid=uid) if uid else None


def _page(title: str, **values: Any) -> FormPage:
    return FormPage(title=title, back=reverse("people"), crumbs=(("People", reverse("people")),), **values)


def _find(request: StaffRequest, uid: uuid.UUID) -> Membership:
    rows = Membership.objects.of(request.scope.tenant).select_related("user", "reseller")
    member: Membership = found(rows.filter(uid=uid).first(), "person")
    return member
