"""Which company each client is in a ticket system: what is stored, how it stands there, and what its name suggests."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from alerts.models import Destination
from msp.dashboard.changes import companies as changes
from msp.dashboard.permits import OWN, needs
from msp.dashboard.scope import StaffRequest, found


@needs(OWN)
def edit_companies(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """The list of clients with their companies; saving keeps what names a company there and says what does not."""
    row: Destination = found(Destination.objects.of(request.scope.tenant).filter(uid=uid).first(), "destination")
    if not changes.keeps_companies(row):
        messages.error(request, f"{row.name} keeps no companies, or its settings are not complete.")
        return redirect("destination", uid)
    companies = changes.read_companies(row, now=request.now)
    if request.method == "POST" and not companies.problem:
        typed = {key[2:]: str(value) for key, value in request.POST.items() if key.startswith("c-")}
        number, problems = changes.store_companies(request, row, typed, companies.found)
        for problem in problems[:20]:
            messages.error(request, problem)
        messages.success(request, f"{number} changed." if number != 1 else "1 changed.")
        return redirect("destination-companies", uid)
    mapped = changes.map_clients(row, companies)
    context = {
        "destination": row,
        "companies": companies,
        "options": [changes.written(one.id, one.name) for one in companies.found],
        "mapped": sorted(mapped, key=lambda one: (one.state in ("ok", "renamed"), one.client.name.casefold())),
        "without": sum(one.chosen is None for one in mapped),
    }
    return render(request, "settings/companies.html", context)
