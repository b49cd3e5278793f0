"""People of a tenant: invited, given a role, taken off; and the link that lets a new one set a password, once.

A link is only made for somebody who belongs to no other tenant: else an owner of one could open the door of another.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.db import transaction
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from msp.dashboard.changes.recording import record
from msp.dashboard.forms import BadField
from msp.dashboard.scope import Refused, StaffRequest
from msp.tenants.models import Membership, Reseller, User


@dataclass(frozen=True)
class Invited:
    """``link`` sets the first password, "" for somebody who has a login already."""

    membership: Membership
    link: str


def invite(request: StaffRequest, *, email: str, name: str, role: str, reseller: Reseller | None) -> Invited:
    """Make a person a member. Raises BadField if they are one already."""
    tenant = request.scope.tenant
    with transaction.atomic():
        user = User.objects.filter(email=email).first()
        is_new = user is None
        if user is None:
            user = User.objects.create_user(email, password=None, name=name)
        if Membership.objects.of(tenant).filter(user=user).exists():
            raise BadField("email", f"{email} belongs to {tenant.name} already.")
        made = Membership.objects.of(tenant).create(user=user, role=role, reseller=reseller, created_at=request.now)
        record(request, "person invited", made, kind="person", after=_told(made))
    return Invited(made, password_link(user) if is_new else "")


def set_role(request: StaffRequest, member: Membership, *, role: str, reseller: Reseller | None) -> None:
    """Another role. Raises Refused for the last owner."""
    with transaction.atomic():
        locked = _locked(request, member)
        before = _told(locked)
        if role != "owner":
            _refuse_last_owner(request, locked)
        locked.role, locked.reseller = role, reseller
        if _told(locked) != before:
            locked.save(update_fields=["role", "reseller"])
            record(request, "role changed", locked, kind="person", before=before, after=_told(locked))


def remove(request: StaffRequest, member: Membership) -> None:
    """Take a person off this tenant; their login stays, and opens nothing here. Raises Refused for the last owner."""
    with transaction.atomic():
        locked = _locked(request, member)
        _refuse_last_owner(request, locked)
        record(request, "person taken off", locked, kind="person", before=_told(locked))
        Membership.objects.of(request.scope.tenant).filter(pk=locked.pk).delete()


def new_link(request: StaffRequest, member: Membership) -> str:
    """A fresh link to set a password, when the person belongs to this tenant alone. Raises Refused."""
    if Membership.unwalled.filter(user_id=member.user_id).exclude(tenant=request.scope.tenant).exists():
        raise Refused(f"{member.user.email} belongs to another tenant too: they set their password themselves.")
    record(request, "password link made", member, kind="person")
    return password_link(member.user)


def password_link(user: User) -> str:
    """The address under which this person sets a password; it works once, for three days."""
    who = urlsafe_base64_encode(force_bytes(user.pk))
    address = reverse("set-password", args=[who, default_token_generator.make_token(user)])
    return f"{settings.BACKLEDGER.base_url}{address}"


def _locked(request: StaffRequest, member: Membership) -> Membership:
    """The member, after all owners were locked: so two owners cannot take each other off at once."""
    rows = Membership.objects.of(request.scope.tenant)
    list(rows.filter(role="owner").order_by("pk").select_for_update().values_list("pk", flat=True))
    locked: Membership = rows.select_for_update(of=("self",)).select_related("user", "reseller").get(pk=member.pk)
    return locked


def _refuse_last_owner(request: StaffRequest, member: Membership) -> None:
    owners = Membership.objects.of(request.scope.tenant).filter(role="owner")
    if member.role == "owner" and not owners.exclude(pk=member.pk).exists():
        raise Refused(f"{member.user} is the only owner: make somebody else one first.")


def _told(member: Membership) -> dict[str, str | None]:
    return {
        "email": member.user.email,
        "role": member.role,
        "reseller": member.reseller.name if member.reseller else None,
    }
