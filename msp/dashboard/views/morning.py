"""The morning: last night as a grid, the list that a person works through, and the signature under it."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from alerts.models import Review
from alerts.params import BadParams
from alerts.reports.exporting import verdicts_csv
from alerts.reports.grid import read_grid
from alerts.reports.morning import MorningList, MorningScope, read_morning
from alerts.reports.nights import noon_of
from alerts.reports.reviewing import is_intact, sign_review
from msp.dashboard.permits import OPERATE, SETTINGS, action, needs
from msp.dashboard.scope import Refused, StaffRequest, staff_page
from msp.dashboard.typing_in import LONGEST_TEXT, free_text
from msp.dashboard.views.settings_servers import actor_of

REVIEWS_SHOWN = 60


@staff_page
def show_morning(request: StaffRequest) -> HttpResponse:
    """Today's list, or with ``?day=`` that of a day before."""
    return morning_page(request, asked_day(request, request.GET.get("day", "")))


@action(OPERATE)
def sign(request: StaffRequest) -> HttpResponse:
    """Sign today's list as it is now."""
    day = today_of(request)
    if request.POST.get("day") != day.isoformat():
        raise Refused("Only today's list can be signed: open the page again.", status=409)
    try:
        sign_review(
            request.scope.tenant,
            list_of(request, day),
            day=day,
            nothing_left=request.POST.get("left") == "nothing",
            note=free_text(request.POST, "note", most=LONGEST_TEXT),
            actor=actor_of(request),
        )
    except BadParams as refused:
        return morning_page(request, day, problem=refused.reason)
    messages.success(request, "The list is signed and kept.")
    return redirect("morning")


@needs(SETTINGS)
def list_reviews(request: StaffRequest) -> HttpResponse:
    """The last reviews, and whether each is still what was signed."""
    rows = Review.objects.of(request.scope.tenant).order_by("-day", "-signed_at", "-pk")[:REVIEWS_SHOWN]
    reviews = [{"row": row, "intact": is_intact(row)} for row in rows]
    return render(request, "reviews.html", {"reviews": reviews})


def morning_page(request: StaffRequest, day: date, *, problem: str = "") -> HttpResponse:
    scope = request.scope
    today = today_of(request)
    signed = Review.objects.of(scope.tenant).filter(day=day).order_by("signed_at", "pk")
    context = {
        "day": day,
        "is_today": day == today,
        "before": day - timedelta(days=1),
        "after": day + timedelta(days=1) if day < today else None,
        "morning": list_of(request, day),
        "grid": read_grid(scope.tenant, scope.reach, MorningScope(), night=day - timedelta(days=1), now=request.now),
        "reviews": signed if scope.whole_tenant else (),
        "may_sign": day == today and scope.whole_tenant and scope.may_write,
        "address": reverse("morning"),
        "problem": problem,
    }
    return render(request, "morning.html", context, status=422 if problem else 200)


def list_of(request: StaffRequest, day: date) -> MorningList:
    """From noon of the day before: until now, or until noon of a day that is over."""
    zone = request.scope.tenant.timezone
    until: datetime = request.now if day == today_of(request) else noon_of(day, zone)
    since = noon_of(day - timedelta(days=1), zone)
    return read_morning(request.scope.reach, MorningScope(), since=since, until=until)


def today_of(request: StaffRequest) -> date:
    return timezone.localdate(request.now)


def asked_day(request: StaffRequest, text: str) -> date:
    """The day in the address; what is no day, or lies ahead or long ago, is today."""
    today = today_of(request)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return today
    return day if today - timedelta(days=3660) <= day <= today else today


@staff_page
def export_verdicts(request: StaffRequest) -> HttpResponse:
    """A month's verdicts as CSV (``?month=2026-11``): one row for each job and night, as far as may be seen."""
    try:
        month = date.fromisoformat(f"{request.GET.get('month', '')}-01")
    except ValueError:
        raise Refused("Name a month such as 2026-11 in the address.", status=404) from None
    answer = HttpResponse(verdicts_csv(request.scope.reach, month=month), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="verdicts-{month:%Y-%m}.csv"'
    return answer
