"""The audit trail: who changed what, when and why, with what was before and after."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render

from msp.dashboard.paging import asked_page
from msp.dashboard.permits import OWN, needs
from msp.dashboard.scope import StaffRequest
from msp.dashboard.typing_in import free_text
from msp.tenants.models import AuditEntry

PAGE = 50


@dataclass(frozen=True)
class Entry:
    """One change; ``values`` are (name, before, after) of what differs."""

    at: datetime
    actor: str
    action: str
    subject_kind: str
    subject: str
    reason: str
    values: tuple[tuple[str, str, str], ...]


@needs(OWN)
def list_entries(request: StaffRequest) -> HttpResponse:
    """Newest first; by person, kind of thing and text."""
    rows = AuditEntry.objects.of(request.scope.tenant)
    kinds = sorted(set(rows.order_by().values_list("subject_kind", flat=True).distinct()) - {""})
    kind, text = request.GET.get("kind", ""), free_text(request.GET, "text", most=100)
    kind = kind if kind in kinds else ""
    if kind:
        rows = rows.filter(subject_kind=kind)
    if text:
        rows = rows.filter(Q(actor__icontains=text) | Q(action__icontains=text) | Q(subject__icontains=text))
    page = asked_page(request, size=PAGE)
    page = replace(page, total=rows.count())
    shown = rows.order_by("-at", "-pk")[page.offset : page.offset + page.size]
    context = {"entries": [_entry(row) for row in shown], "page": page, "kinds": kinds, "kind": kind, "text": text}
    return render(request, "settings/audit.html", context)


def _entry(row: AuditEntry) -> Entry:
    before, after = row.before or {}, row.after or {}
    names = [*before, *(name for name in after if name not in before)]
    values = tuple((name, _words(before.get(name)), _words(after.get(name))) for name in names)
    changed = tuple(value for value in values if value[1] != value[2])
    return Entry(row.at, row.actor, row.action, row.subject_kind, row.subject, row.reason, changed)


def _words(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else f"{text[:300]}…"
