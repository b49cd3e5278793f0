"""Routes: ordered rules from incident to destination, moved up and down, and tried on a made-up incident."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, time
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from alerts.facts import SEVERITIES, Subject
from alerts.models import GROUPINGS, Destination, Route
from alerts.planning import load_routes
from alerts.routing import IncidentFacts, NoRoute
from alerts.routing import route as choose_route
from alerts.rules import RULES
from alerts.words.languages import CHOICES
from msp.dashboard.changes import routes as changes
from msp.dashboard.form_pages import FormPage, edit
from msp.dashboard.forms import BadField, Field
from msp.dashboard.permits import OWN, SETTINGS, action, needs
from msp.dashboard.scope import StaffRequest, found
from msp.dashboard.typing_in import MANY, read_typed, refill_typed
from msp.estate.models import BackupServer, Client
from msp.tenants.models import Reseller

GROUPING_WORDS = {
    "job": "one ticket a job", "incident": "one ticket an incident", "client": "one ticket a client",
    "client_day": "one ticket a client and day", "server": "one ticket a server",
}  # fmt: skip
LOUD = (
    ("critical", "critical"),
    ("warning", "warning or worse"),
    ("", "nothing"),
)
#: No incident is about this job: its id stands for "some job" when routes are tried.
SOME_JOB = 0
SCOPED: tuple[tuple[str, str, Any], ...] = (
    ("client_ids", "Only these clients", Client),
    ("reseller_ids", "Only clients of these resellers", Reseller),
    ("server_ids", "Only these servers", BackupServer),
)


@needs(SETTINGS)
def list_routes(request: StaffRequest) -> HttpResponse:
    """The routes in order, and the form that tries them."""
    return _show(request, _try_fields(request))


@needs(SETTINGS)
def try_routes(request: StaffRequest) -> HttpResponse:
    """Which destination such an incident would go to, and by which route."""
    fields = _try_fields(request)
    try:
        values = read_typed(fields, request.GET)
    except BadField as bad:
        return _show(request, refill_typed(fields, request.GET, error=bad))
    answer = _answer(request, values)
    return _show(request, refill_typed(fields, request.GET), answer=answer)


@needs(OWN)
def edit_route(request: StaffRequest, uid: uuid.UUID | None = None) -> HttpResponse:
    """A new route at the end, or one that is there."""
    row = None if uid is None else _find(request, uid)
    fields = _fields(request, row)

    def apply(values: dict[str, Any]) -> str:
        changes.store_route(request, row, _stored(request, values))
        return reverse("routes")

    title = "New route" if row is None else f"Route {row.name or row.position}"
    lead = "The first route whose conditions all hold decides. An empty condition holds for everything."
    page = FormPage(title=title, back=reverse("routes"), lead=lead, crumbs=(("Routes", reverse("routes")),))
    return edit(request, page, fields, apply=apply, done="The route is stored; what is open is routed anew.")


@action(OWN)
def move_route(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Up or down by one."""
    changes.move(request, _find(request, uid), up=request.POST.get("to") == "up")
    return redirect("routes")


@action(OWN)
def delete_route(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Take it away."""
    changes.delete(request, _find(request, uid))
    messages.success(request, "The route is gone; what is open is routed anew.")
    return redirect("routes")


def _show(
    request: StaffRequest, try_fields: tuple[Field, ...], *, answer: dict[str, Any] | None = None
) -> HttpResponse:
    rows = list(Route.objects.of(request.scope.tenant).select_related("destination").order_by("position"))
    names = _names(request)
    context = {
        "routes": [_described(row, names) for row in rows],
        "fields": try_fields,
        "answer": answer,
        "may_change": OWN.holds(request.scope),
        "has_destination": Destination.objects.of(request.scope.tenant).exists(),
    }
    return render(request, "settings/routes.html", context)


def _described(row: Route, names: dict[str, dict[int, str]]) -> dict[str, Any]:
    """A route with its conditions in words."""
    conditions = [", ".join(RULES[kind].LABEL for kind in row.kinds if kind in RULES)] if row.kinds else []
    if row.severity_at_least != "info":
        conditions.append(f"{row.severity_at_least} or worse")
    for field, _, _ in SCOPED:
        named = [names[field].get(each, "one that is gone") for each in getattr(row, field)]
        conditions += [", ".join(named)] if named else []
    return {
        "row": row,
        "conditions": conditions,
        "grouping": GROUPING_WORDS[row.grouping],
        "quiet": quiet_words(row),
    }


def quiet_words(row: Route) -> str:
    """When it is quiet, and what is told all the same."""
    nights = f"{clock_words(row.quiet_from)} to {clock_words(row.quiet_until)}" if row.quiet_from else ""
    told = " and ".join(part for part in (nights, "on weekends" if row.quiet_weekends else "") if part)
    unless = dict(LOUD).get(row.quiet_unless, "") if row.quiet_unless else ""
    return f"{told}, but for {unless}" if told and unless else told


def _names(request: StaffRequest) -> dict[str, dict[int, str]]:
    return {field: dict(model.objects.of(request.scope.tenant).values_list("pk", "name")) for field, _, model in SCOPED}


def _find(request: StaffRequest, uid: uuid.UUID) -> Route:
    row: Route = found(Route.objects.of(request.scope.tenant).filter(uid=uid).first(), "route")
    return row


def _fields(request: StaffRequest, row: Route | None) -> tuple[Field, ...]:
    shown = row or Route()
    destinations = Destination.objects.of(request.scope.tenant).order_by("name")
    choices = (("", "nobody, on purpose"), *((str(each.uid), each.name) for each in destinations))
    where = str(shown.destination.uid) if row and shown.destination else choices[-1][0] if row is None else ""
    return (
        Field("name", "Name", value=shown.name, maximum=120, help="For people, such as: critical to the on-call box."),
        Field("destination", "Goes to", kind="choice", choices=choices, value=where),
        Field("kinds", "Only these problems", kind="many", value=MANY.join(shown.kinds),
              choices=tuple((kind, rule.LABEL) for kind, rule in RULES.items())),
        Field("severity_at_least", "Severity", kind="choice", value=shown.severity_at_least, required=True,
              choices=tuple((each, f"{each} or worse" if each != "critical" else each) for each in SEVERITIES)),
        *(_scope_field(request, shown, *each) for each in SCOPED),
        Field("grouping", "Tickets", kind="choice", value=shown.grouping, required=True,
              choices=tuple((each, GROUPING_WORDS[each]) for each in GROUPINGS)),
        Field("hold_minutes", "Wait before telling", kind="number", minimum=0, maximum=10080, unit="minutes",
              value=str(shown.hold_minutes), required=True,
              help="A failure is told earlier at its deadline or its third repeat. 0 tells at once."),
        Field("repeat_hours", "Remind every", kind="number", minimum=0, maximum=8760, unit="hours",
              value=str(shown.repeat_hours), required=True, help="0 never reminds."),
        Field("language", "Language", kind="choice", value=shown.language,
              choices=(("", "that of the client"), *CHOICES),
              help="Of its tickets."),
        Field("quiet_from", "Quiet from", value=clock_words(shown.quiet_from), placeholder="22:00", maximum=5,
              help=f"On the clock of {request.scope.tenant.timezone}. What comes up then is told when it ends."),
        Field("quiet_until", "Quiet until", value=clock_words(shown.quiet_until), placeholder="07:00", maximum=5),
        Field("quiet_weekends", "Quiet on weekends", kind="switch", value="yes" if shown.quiet_weekends else "",
              help="All of Saturday and Sunday."),
        Field("quiet_unless", "Told all the same", kind="choice", value=shown.quiet_unless, choices=LOUD,
              help="What goes through in quiet hours. A closing always does."),
        Field("enabled", "In use", kind="switch", value="yes" if shown.enabled else ""),
    )  # fmt: skip


def clock_words(at: time | None) -> str:
    """A time of day as it is typed."""
    return "" if at is None else f"{at:%H:%M}"


def _quiet(values: Mapping[str, Any]) -> dict[str, Any]:
    """The quiet hours as stored. Raises BadField."""
    read = {name: _time(name, values[name]) for name in ("quiet_from", "quiet_until")}
    begins, ends = read["quiet_from"], read["quiet_until"]
    if (begins is None) != (ends is None):
        missing = "quiet_until" if ends is None else "quiet_from"
        raise BadField(missing, "Quiet hours have a beginning and an end: give both, or neither.")
    if begins is not None and begins == ends:
        raise BadField("quiet_until", "Quiet hours must end at another time than they begin.")
    return {**read, "quiet_weekends": bool(values["quiet_weekends"]), "quiet_unless": values["quiet_unless"] or ""}


def _time(name: str, typed: str | None) -> time | None:
    if not typed:
        return None
    try:
        return datetime.strptime(typed, "%H:%M").time()  # noqa: DTZ007  (a time of day has no zone)
    except ValueError as error:
        raise BadField(name, f"A time of day is written like 22:00, not {typed!r}.") from error


def _scope_field(request: StaffRequest, row: Route, name: str, label: str, model: Any) -> Field:
    rows = list(model.objects.of(request.scope.tenant).order_by("name"))
    chosen = [str(each.uid) for each in rows if each.pk in set(getattr(row, name))]
    return Field(name, label, kind="many", value=MANY.join(chosen), choices=tuple((str(e.uid), e.name) for e in rows))


def _stored(request: StaffRequest, values: dict[str, Any]) -> dict[str, Any]:
    tenant = request.scope.tenant
    stored = values | {"name": values["name"] or "", "language": values["language"] or "", **_quiet(values)}
    for name, _, model in SCOPED:
        stored[name] = sorted(model.objects.of(tenant).filter(uid__in=values[name]).values_list("pk", flat=True))
    where = values["destination"]
    stored["destination"] = Destination.objects.of(tenant).get(uid=where) if where else None
    return stored


def _try_fields(request: StaffRequest) -> tuple[Field, ...]:
    tenant = request.scope.tenant
    clients = Client.objects.of(tenant).exclude(state="deleted").order_by("name")
    servers = BackupServer.objects.of(tenant).order_by("name")
    return (
        Field("kind", "Problem", kind="choice", choices=tuple((kind, rule.LABEL) for kind, rule in RULES.items()),
              value=next(iter(RULES)), required=True),
        Field("severity", "Severity", kind="choice", choices=tuple((each, each) for each in SEVERITIES),
              value="critical", required=True),
        Field("client", "Client", kind="choice", choices=(("", "any"), *((str(e.uid), e.name) for e in clients))),
        Field("server", "Server", kind="choice", choices=(("", "any"), *((str(e.uid), e.name) for e in servers))),
    )  # fmt: skip


def _answer(request: StaffRequest, values: dict[str, Any]) -> dict[str, Any]:
    tenant = request.scope.tenant
    client = Client.objects.of(tenant).filter(uid=values["client"]).first() if values["client"] else None
    server = BackupServer.objects.of(tenant).filter(uid=values["server"]).first() if values["server"] else None
    facts = IncidentFacts(
        kind=values["kind"],
        subject=Subject("job", SOME_JOB),
        severity=values["severity"],
        client_id=client.pk if client else None,
        reseller_id=client.reseller_id if client else None,
        server_id=server.pk if server else None,
        opened_on=request.now.date(),
    )
    chosen = choose_route(facts, load_routes(tenant.pk))
    if isinstance(chosen, NoRoute):
        return {"reason": chosen.reason}
    row = Route.objects.of(tenant).select_related("destination").get(pk=chosen.route_id)
    return {"row": row, "grouping": GROUPING_WORDS[row.grouping]}
