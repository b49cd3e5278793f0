"""Quantities for agreements in PSA systems: which line each plan is, what would change there, and the push."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from alerts import agreement_desks
from billing.days import Period
from billing.periods import month_from
from billing.psa_difference import ORDER, planned_rows, read_lines, read_rows, refuse_day
from billing.psa_mapping import choose_line, mapped_lines, plans_of
from billing.psa_pushing import ask_push, pushes_of
from billing.refusals import Refused as BillingRefused
from integrations.agreements.desk import Desk
from integrations.agreements.matching import suggest_line
from msp.dashboard import money
from msp.dashboard.forms import BadField, Field
from msp.dashboard.permits import MONEY, action, needs
from msp.dashboard.scope import Refused, StaffRequest, found
from msp.dashboard.typing_in import read_one
from msp.estate.models import Client
from msp.tasks import wake_delivery

#: Rows of one page: their lines are read while a person waits.
ROWS = 50
#: Pushes that are shown, the newest first.
PUSHES = 50


@needs(MONEY)
def show(request: StaffRequest) -> HttpResponse:
    """The rows of a month for one destination; with ``compare`` the lines are read there first."""
    tenant = request.scope.tenant
    desks = agreement_desks.desks_of(tenant.pk)
    months = money.months_over(request.scope, now=request.now)
    asked = request.GET.get("destination", "")
    desk = next((each for each in desks if str(each.uid) == asked), desks[0] if desks else None)
    if desk is None:
        return render(request, "billing/psa.html", {"desks": ()})
    chosen = request.GET.get("month", "")
    period = month_from(date.fromisoformat(chosen if chosen in dict(months) else months[0][0]))
    effective_on, problem = _day(request.GET, period)
    rows = planned_rows(tenant, desk, agreement_desks, period=period, effective_on=effective_on)
    first = _first(request.GET.get("from", ""))
    page, compare = rows[first : first + ROWS], request.GET.get("compare") == "yes" and not desk.problem
    if compare:
        page = read_rows(page, desk, effective_on=effective_on, now=request.now)
    asked_for = {"destination": desk.uid, "month": period.first_day, "day": effective_on}
    context = {
        "desks": desks, "desk": desk, "months": months, "chosen": period.first_day.isoformat(),
        "first_day": period.first_day, "effective_on": effective_on, "compare": compare, "rows": page,
        "problem": problem or desk.problem, "counts": {kind: sum(r.kind == kind for r in rows) for kind in ORDER},
        "first": first + 1, "last": first + len(page), "all": len(rows),
        "changes": sum(row.kind == "change" for row in page),
        "before": _address(asked_for, first - ROWS) if first else "",
        "after": _address(asked_for, first + ROWS) if first + ROWS < len(rows) else "",
        "compare_address": _address(asked_for | {"compare": "yes"}, first),
        "pushes": pushes_of(tenant, desk.id, most=PUSHES),
    }  # fmt: skip
    return render(request, "billing/psa.html", context)


@action(MONEY)
def push(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Have the ticked rows pushed."""
    tenant, desk = request.scope.tenant, _desk(request, uid)
    chosen = request.POST.get("month", "")
    if chosen not in dict(money.months_over(request.scope, now=request.now)):
        raise Refused("Choose a month that is over.")
    period = month_from(date.fromisoformat(chosen))
    effective_on, problem = _day(request.POST, period)
    if problem:
        raise Refused(problem)
    keys = [key for key in map(_key, request.POST.getlist("row")) if key is not None]
    if not keys:
        raise Refused("Tick at least one line that is to be pushed.")
    try:
        count, problems = ask_push(
            tenant, desk, agreement_desks, period=period, effective_on=effective_on, keys=keys,
            actor=request.scope.actor, now=request.now,
        )  # fmt: skip
    except BillingRefused as refusal:
        raise Refused(refusal.reason) from refusal
    for sentence in problems[:20]:
        messages.error(request, sentence)
    if count:
        wake_delivery()
        messages.success(
            request, "1 quantity is on its way." if count == 1 else f"{count} quantities are on their way."
        )
    return redirect(_address({"destination": desk.uid, "month": period.first_day, "day": effective_on}, 0))


@needs(MONEY)
def choose(request: StaffRequest, uid: uuid.UUID, client_uid: uuid.UUID) -> HttpResponse:
    """Which line there each plan of a client is; lines as they are now."""
    tenant, desk = request.scope.tenant, _desk(request, uid)
    client: Client = found(Client.objects.of(tenant).filter(uid=client_uid).first(), "client")
    company = agreement_desks.companies_of(tenant.pk, desk.id).get(client.pk, "")
    lines, problem = read_lines(desk, company, on=money.today_of(request.scope, now=request.now), now=request.now)
    plans, chosen = plans_of(tenant, client), mapped_lines(tenant, desk)
    if request.method == "POST" and not problem:
        by_place = {f"{line.agreement_id}/{line.line_id}": line for line in lines}
        changed = 0
        for code in plans:
            typed = request.POST.get(f"line-{code}", "")
            if typed and typed not in by_place:
                continue  # it stands there no more: what was chosen stays, and the page says that it is gone
            try:
                changed += choose_line(
                    tenant, desk, client, code, by_place.get(typed),
                    rounding=request.POST.get(f"rounding-{code}", "plan"), actor=request.scope.actor, now=request.now,
                )  # fmt: skip
            except BillingRefused as refusal:
                messages.error(request, refusal.reason)
        messages.success(request, f"{changed} changed.")
        return redirect("psa-lines", desk.uid, client.uid)
    taken = {(row.agreement_id, row.line_id) for row in chosen.values()}
    free = [line for line in lines if (line.agreement_id, line.line_id) not in taken]
    shown = []
    for code, name in plans.items():
        row = chosen.get((client.pk, code))
        suggestion = None if row else suggest_line(name, free)
        stands = row or suggestion
        value = f"{stands.agreement_id}/{stands.line_id}" if stands else ""
        is_there = any(value == f"{line.agreement_id}/{line.line_id}" for line in lines)
        shown.append({"code": code, "name": name, "row": row, "suggestion": suggestion, "value": value,
                      "gone": row is not None and not problem and not is_there})  # fmt: skip
    options = [(f"{line.agreement_id}/{line.line_id}", line) for line in lines]
    context = {"desk": desk, "client": client, "company": company, "problem": problem, "plans": shown,
               "options": options, "whole": desk.system.WHOLE}  # fmt: skip
    return render(request, "billing/psa_lines.html", context)


def _desk(request: StaffRequest, uid: uuid.UUID) -> Desk:
    desks = agreement_desks.desks_of(request.scope.tenant.pk)
    return found(next((desk for desk in desks if desk.uid == uid), None), "destination with agreements")


def _day(typed: Mapping[str, str], period: Period) -> tuple[date, str]:
    """The day from which quantities count, the month's first by default; and why the typed one cannot be."""
    try:
        day = read_one(Field("day", "Counts from", kind="date"), typed) or period.first_day  # type: ignore[arg-type]
        refuse_day(period, day)
    except BadField as bad:
        return period.first_day, bad.reason
    except BillingRefused as refusal:
        return period.first_day, refusal.reason
    return day, ""


def _key(text: str) -> tuple[uuid.UUID, str] | None:
    """A ticked row: the client's uid and the code of the plan."""
    client, _, code = text.partition("/")
    try:
        return uuid.UUID(client), code
    except ValueError:
        return None


def _first(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0


def _address(values: Mapping[str, Any], first: int) -> str:
    return f"{reverse('psa')}?{urlencode(values | ({'from': max(first, 0)} if first > 0 else {}))}"  # type: ignore[operator]
