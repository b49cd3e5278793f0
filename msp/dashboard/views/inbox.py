"""The inbox: logs that nobody could read or assign, with the reason, and what a person can do about each."""

from __future__ import annotations

import uuid
from dataclasses import replace

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from alerts.wording import count_words
from msp.backups.queries import jobs_within, search_jobs
from msp.dashboard import settling
from msp.dashboard.paging import asked_page
from msp.dashboard.queries import InboxRow, find_inbox_item, list_inbox
from msp.dashboard.receipts import read_lines, show_around
from msp.dashboard.scope import Refused, StaffRequest, found, staff_action, staff_page
from msp.dashboard.typing_in import free_text
from msp.dashboard.views.incidents import safe_back
from msp.dashboard.views.incidents_several import ticked
from msp.estate.queries import clients_within, list_clients
from msp.ingest.models import INBOX_REASONS

PAGE = 50
STATES = (("open", "Open"), ("settled", "Settled"), ("dismissed", "Dismissed"))


@staff_page
def list_all(request: StaffRequest) -> HttpResponse:
    """Items by state and reason."""
    _refuse_resellers(request)
    page, state = asked_page(request, size=PAGE), request.GET.get("state", "open")
    state = state if state in dict(STATES) else "open"
    reason = request.GET.get("reason", "")
    reason = reason if reason in INBOX_REASONS else ""
    text = free_text(request.GET, "text", most=100)
    items = list_inbox(request.scope.reach, state=state, reason=reason, text=text, limit=page.size, offset=page.offset)
    suggested = settling.suggestions_for(request.scope, items.rows) if state == "open" else {}
    context = {
        "items": items,
        "shown": [(row, next(iter(suggested.get(row.id, ())), None)) for row in items.rows],
        "clients": list_clients(request.scope.reach) if state == "open" else (),
        "page": replace(page, total=items.total),
        "state": state,
        "states": STATES,
        "reason": reason,
        "reasons": INBOX_REASONS,
        "text": text,
    }
    return render(request, "inbox.html", context)


@staff_page
def show_item(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """One item: the reason, its line in context, and the jobs it may belong to."""
    item = _find(request, uid)
    lines = read_lines(request.scope.reach, item.receipt_id)
    text = free_text(request.GET, "job", most=100)
    text = text if "job" in request.GET else (item.server or item.source_job or item.host)[:100]
    context = {
        "item": item,
        "assignable": settling.is_assignable(item),
        "suggestions": settling.suggestions_for(request.scope, [item]).get(item.id, ()),
        "log": None if lines is None else show_around(lines, item.line),
        "job_text": text,
        "jobs": search_jobs(request.scope.reach, text, limit=20),
        "clients": list_clients(request.scope.reach),
    }
    return render(request, "parts/job_choices.html" if request.htmx else "inbox_item.html", context)


@staff_page
def offer_jobs(request: StaffRequest) -> HttpResponse:
    """The jobs whose names hold what was typed, to choose one for all ticked items."""
    _refuse_resellers(request)
    text = free_text(request.GET, "job_text", most=100)
    jobs = search_jobs(request.scope.reach, text, limit=20) if text else []
    return render(request, "parts/job_options.html", {"jobs": jobs, "job_text": text})


@staff_action
def assign(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Assign it to a job, or to a new job of a client; remembered for the next log of the same source."""
    item, scope = _find(request, uid), request.scope
    if request.POST.get("job"):
        job = found(jobs_within(scope.reach).filter(uid=_uid(request.POST["job"], "job")).first(), "job")
        moved = request.POST.get("moved") == "yes"
        settling.assign_to_job(scope, [item], job, moved=moved, now=request.now)
        messages.success(request, f"Assigned to {job.name}, now and for the next time; the log is read again.")
        return redirect("inbox")
    wanted = _uid(request.POST.get("client", ""), "client")
    client = found(clients_within(scope.reach).filter(uid=wanted).first(), "client")
    name = free_text(request.POST, "name", most=200)
    made = settling.assign_to_new_job(scope, item, client, name=name, now=request.now)
    messages.success(request, f"The job {made.name} was made for {client.name}; the log is read again.")
    return redirect("inbox")


@staff_action
def settle(request: StaffRequest) -> HttpResponse:
    """Dismiss, replay or assign one item or all ticked ones."""
    items = [item for item in (find_inbox_item(request.scope.reach, uid) for uid in ticked(request)) if item]
    if not items:
        raise Refused("Select at least one open item.")
    if request.POST.get("do") in _ASSIGNING:
        messages.success(request, _ASSIGNING[request.POST["do"]](request, items))
    elif request.POST.get("do") == "replay":
        settling.read_again(request.scope, items, now=request.now)
        messages.success(request, f"{count_words(len(items), 'log')} will be read again now.")
    else:
        settling.dismiss(request.scope, items, reason=free_text(request.POST, "note", most=2000), now=request.now)
        messages.success(request, f"{count_words(len(items), 'item')} dismissed.")
    return redirect(safe_back(request, "inbox"))


def _accept(request: StaffRequest, items: list[InboxRow]) -> str:
    done = settling.accept_sure(request.scope, items, now=request.now)
    left = f" {count_words(done.left, 'item')} had none of high confidence." if done.left else ""
    return f"{count_words(done.assigned, 'item')} assigned as suggested.{left}"


def _assign_each(request: StaffRequest, items: list[InboxRow]) -> str:
    wanted = _uid(request.POST.get("client", ""), "client")
    client = found(clients_within(request.scope.reach).filter(uid=wanted).first(), "client")
    number = settling.assign_each(request.scope, items, client, now=request.now)
    return f"{count_words(number, 'job')} made for {client.name}; the logs are read again."


def _assign_all(request: StaffRequest, items: list[InboxRow]) -> str:
    job = found(jobs_within(request.scope.reach).filter(uid=_uid(request.POST.get("job", ""), "job")).first(), "job")
    settling.assign_to_job(request.scope, items, job, now=request.now)
    return f"{count_words(len(items), 'item')} assigned to {job.name}; the logs are read again."


_ASSIGNING = {"accept": _accept, "new_jobs": _assign_each, "job": _assign_all}


def _find(request: StaffRequest, uid: uuid.UUID) -> InboxRow:
    _refuse_resellers(request)
    return found(find_inbox_item(request.scope.reach, uid), "inbox item")


def _refuse_resellers(request: StaffRequest) -> None:
    if not request.scope.whole_tenant:
        raise Refused("There is no such page, or it is not yours to see.", status=404)


def _uid(typed: str, what: str) -> uuid.UUID:
    try:
        return uuid.UUID(typed)
    except ValueError as error:
        raise Refused(f"Choose a {what} first.") from error
