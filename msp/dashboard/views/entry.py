"""The way in: login, the choice of a tenant, the page for people who belong to none."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from msp.tenants.middleware import SESSION_TENANT
from msp.tenants.models import Membership, User


class LoginForm(AuthenticationForm):
    """Email and password; one sentence for every way it can be wrong."""

    error_messages = {
        "invalid_login": "No login fits this email address and password.",
        "inactive": "This login is switched off: ask the owner of your account.",
    }


class Login(LoginView):
    """Goes on to the page that was asked for; people of several tenants choose one first."""

    template_name = "login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = True

    def get_success_url(self) -> str:
        target = super().get_success_url()
        memberships = memberships_of(cast("User", self.request.user))
        if len(memberships) > 1 and SESSION_TENANT not in self.request.session:
            return f"{reverse('choose-tenant')}?{urlencode({'next': target})}"
        return target


def memberships_of(user: User) -> list[Membership]:
    """The active tenants a person belongs to; asked before a tenant is known, so across the wall by the person's id."""
    rows = Membership.unwalled.filter(user_id=user.pk, tenant__state="active")
    return list(rows.select_related("tenant", "reseller").order_by("tenant__name"))


@login_required
def choose_tenant(request: HttpRequest) -> HttpResponse:
    """Lists the tenants of the person, and remembers the chosen one in the session."""
    memberships = memberships_of(cast("User", request.user))
    if request.method == "POST":
        chosen = request.POST.get("tenant", "")
        for membership in memberships:
            if str(membership.tenant.uid) == chosen:
                request.session[SESSION_TENANT] = membership.tenant_id
                return redirect(safe_next(request))
    context: dict[str, Any] = {"memberships": memberships, "next": safe_next(request)}
    return render(request, "choose_tenant.html", context)


def safe_next(request: HttpRequest) -> str:
    """The page to go on to, if it is one of ours; else the overview."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    ours = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return target if ours else reverse("overview")


@login_required
def no_tenant(request: HttpRequest) -> HttpResponse:
    """For a login without a membership."""
    if getattr(request, "membership", None) is not None:
        return redirect("overview")
    return render(request, "no_tenant.html", status=403)
