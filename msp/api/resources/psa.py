"""``/psa-lines``, ``/psa-differences`` and ``/psa-pushes``: quantities for agreements in PSA systems, for own keys."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import agreement_desks
from billing.models_psa import ROUNDINGS, PsaPush
from billing.periods import month_from, refuse_unfinished
from billing.psa_difference import ORDER, planned_rows, read_lines, read_rows, refuse_day
from billing.psa_mapping import choose_line, mapped_lines, plans_of
from billing.psa_pushing import ask_push
from billing.refusals import Refused
from integrations.agreements.desk import Desk
from msp import tasks
from msp.api.paging import BY_ID
from msp.api.reading import StrictSerializer
from msp.api.resources.base import found
from msp.api.resources.invoices import MoneyView
from msp.api.resources.shapes import MonthField, NamedSerializer
from msp.api.schema import WordField, described, page_example, page_of
from msp.estate.models import Client

STATES = ("waiting", "done", "same", "failed")


class QuantityField(serializers.DecimalField):
    """A quantity in the plan's unit as text, with up to six places."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=24, decimal_places=6, **options)


class PsaLineSerializer(serializers.Serializer[Any]):
    """A line of an agreement of the client's company there, as it is now."""

    agreement_id = serializers.CharField()
    line_id = serializers.CharField()
    agreement = serializers.CharField()
    name = serializers.CharField()
    quantity = QuantityField()
    since = serializers.DateField(allow_null=True, help_text="Null where the system keeps no such day.")
    plan = serializers.CharField(help_text="The code of the client's plan that it was chosen for; empty for none.")


class PsaLineFilters(StrictSerializer):
    destination = serializers.UUIDField()
    client = serializers.UUIDField()


class PsaLineWanted(StrictSerializer):
    """Both ids null: the plan has no line any more."""

    destination = serializers.UUIDField()
    client = serializers.UUIDField()
    plan = serializers.CharField(max_length=60, help_text="The code of a plan that the client is or was on.")
    agreement_id = serializers.CharField(max_length=40, allow_null=True)
    line_id = serializers.CharField(max_length=40, allow_null=True)
    rounding = WordField(ROUNDINGS, default="plan", help_text="up: to whole units.")


class PsaChosenSerializer(serializers.Serializer[Any]):
    """What holds now."""

    changed = serializers.BooleanField()


class PsaRowSerializer(serializers.Serializer[Any]):
    """A client's plan in a month: what stands there, and what is to."""

    client = NamedSerializer()
    plan = serializers.CharField(source="plan_code")
    state = WordField(ORDER, source="kind", help_text="unread: the lines were not asked for; nothing else is wrong.")
    problem = serializers.CharField()
    agreement = serializers.CharField(source="chosen.agreement", default=None, allow_null=True)
    line = serializers.CharField(source="chosen.name", default=None, allow_null=True)
    there = QuantityField(source="line.quantity", default=None, allow_null=True, help_text="Null: not read.")
    quantity = QuantityField(allow_null=True, help_text="To be; null: no invoice line of the month charges the plan.")
    unit = serializers.CharField(source="stated.unit", default=None, allow_null=True)
    invoice = WordField(("draft", "final"), source="stated.state", default=None, allow_null=True)


class PsaRowFilters(StrictSerializer):
    destination = serializers.UUIDField()
    month = MonthField(help_text="A month that is over, such as 2026-10.")
    day = serializers.DateField(required=False, help_text="From which the quantities count; the month's first.")
    compare = serializers.BooleanField(default=False, help_text="Read the lines there, for at most 20 seconds.")


class PsaRowWanted(StrictSerializer):
    client = serializers.UUIDField()
    plan = serializers.CharField(max_length=60)


class PsaPushWanted(StrictSerializer):
    """Without ``rows`` everything that is mapped; what stands there already is not written again."""

    destination = serializers.UUIDField()
    month = MonthField()
    day = serializers.DateField(required=False)
    rows = PsaRowWanted(many=True, default=None, allow_null=True)


class PsaAskedSerializer(serializers.Serializer[Any]):
    """What is on its way, and a sentence for each that is not."""

    pushed = serializers.IntegerField()
    problems = serializers.ListField(child=serializers.CharField())


class PsaPushSerializer(serializers.Serializer[Any]):
    """A quantity that somebody had pushed. same: it stood there already, and nothing was written."""

    uid = serializers.UUIDField()
    client = NamedSerializer()
    plan = serializers.CharField(source="plan_code")
    line = serializers.CharField(source="name")
    month = MonthField(source="first_day")
    day = serializers.DateField(source="effective_on")
    before = QuantityField(allow_null=True)
    quantity = QuantityField()
    unit = serializers.CharField()
    state = WordField(STATES)
    problem = serializers.CharField()
    asked_by = serializers.CharField()
    asked_at = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(allow_null=True)


class PsaPushFilters(StrictSerializer):
    state = WordField(STATES, required=False)


DESTINATION = "5a6b7c8d-9e0f-4a1b-8c2d-3e4f5a6b7c8d"
CLIENT = {"uid": "8a1f2c0e-6f0c-4f5e-9b1e-1c1d5a7f0b21", "name": "Acme Dental"}
LINE = {
    "agreement_id": "501",
    "line_id": "9001",
    "agreement": "Managed Backup",
    "name": "Backup storage per GB",
    "quantity": "200.000000",
    "since": "2026-09-01",
    "plan": "backup-gb",
}
LINE_SENT = {
    "destination": DESTINATION,
    "client": CLIENT["uid"],
    "plan": "backup-gb",
    "agreement_id": "501",
    "line_id": "9001",
}
ROW = {
    "client": CLIENT,
    "plan": "backup-gb",
    "state": "change",
    "problem": "",
    "agreement": "Managed Backup",
    "line": "Backup storage per GB",
    "there": "200.000000",
    "quantity": "250.000000",
    "unit": "GB",
    "invoice": "final",
}
PUSH = {
    "uid": "c8d2e3f4-5061-4728-993a-4b5c6d7e8f90",
    "client": CLIENT,
    "plan": "backup-gb",
    "line": "Backup storage per GB",
    "month": "2026-10",
    "day": "2026-10-01",
    "before": "200.000000",
    "quantity": "250.000000",
    "unit": "GB",
    "state": "done",
    "problem": "",
    "asked_by": "API key program",
    "asked_at": "2026-11-23T08:00:00Z",
    "settled_at": "2026-11-23T08:00:02Z",
}


class PsaView(MoneyView):
    """The destinations are the tenant's own; a reseller's key finds nothing."""

    def initial(self, request: Request, *args: Any, **values: Any) -> None:
        super().initial(request, *args, **values)
        found(self.caller.tenant if self.caller.reach.whole_tenant else None)

    def desk(self, uid: UUID) -> Desk:
        desks = agreement_desks.desks_of(self.caller.tenant.pk)
        return found(next((desk for desk in desks if desk.uid == uid), None))

    def client(self, uid: UUID) -> Client:
        client: Client = found(Client.objects.of(self.caller.tenant).filter(uid=uid).first())
        return client

    def lines(self, desk: Desk, client: Client) -> Any:
        """The lines there. Raises Refused where they cannot be read."""
        company = agreement_desks.companies_of(self.caller.tenant.pk, desk.id).get(client.pk, "")
        lines, problem = read_lines(desk, company, on=self.now.date(), now=self.now)
        if problem:
            raise Refused(problem)
        return lines

    def span(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The month and the day from which its quantities count. Raises Refused."""
        period = month_from(asked["month"])
        refuse_unfinished(period, zone=self.caller.tenant.timezone, now=self.now)
        day: date = asked.get("day") or period.first_day
        refuse_day(period, day)
        return {"period": period, "effective_on": day}


class PsaLinesView(PsaView):
    @described(
        "Read agreement lines",
        "Of one client's company in a destination that keeps agreements, as they are there now. 409 with the reason "
        "where they cannot be read. Needs the scope billing; a reseller's key has no such page.",
        name="psa_lines_list",
        tag="Invoices",
        answer=page_of(PsaLineSerializer),
        shows=page_example(LINE),
        query=PsaLineFilters,
        refuses=(404, 409),
    )
    def get(self, request: Request) -> Response:
        asked = self.query(PsaLineFilters)
        desk, client = self.desk(asked["destination"]), self.client(asked["client"])
        chosen = mapped_lines(self.caller.tenant, desk).values()
        plans = {(row.agreement_id, row.line_id): row.plan_code for row in chosen}
        items = [
            {name: getattr(line, name) for name in LINE if name != "plan"}
            | {"plan": plans.get((line.agreement_id, line.line_id), "")}
            for line in self.lines(desk, client)
        ]
        return Response({"items": PsaLineSerializer(items, many=True).data, "next": None})

    @described(
        "Choose a plan's agreement line",
        "The same choice again changes nothing. One line takes one plan of one client.",
        name="psa_lines_choose",
        tag="Invoices",
        answer=PsaChosenSerializer,
        shows={"changed": True},
        sends=PsaLineWanted,
        sent=LINE_SENT,
        refuses=(404, 409),
    )
    def put(self, request: Request) -> Response:
        self.query()
        body, tenant = self.body(PsaLineWanted), self.caller.tenant
        desk, client = self.desk(body["destination"]), self.client(body["client"])
        if body["plan"] not in plans_of(tenant, client):
            raise serializers.ValidationError({"plan": [f"{client.name} is on no plan with this code."]})
        line = None
        if body["line_id"] is not None or body["agreement_id"] is not None:
            place = (body["agreement_id"], body["line_id"])
            lines = self.lines(desk, client)
            line = next((each for each in lines if (each.agreement_id, each.line_id) == place), None)
            if line is None:
                raise serializers.ValidationError({"line_id": ["There is no such line of this client's company."]})
        who: dict[str, Any] = {"rounding": body["rounding"], "actor": self.caller.actor, "now": self.now}
        return Response({"changed": choose_line(tenant, desk, client, body["plan"], line, **who)})


class PsaDifferencesView(PsaView):
    @described(
        "Compare a month with agreement lines",
        "The dry run of a push: what is mapped to no line first, then what cannot be pushed, then what would change. "
        "Nothing is written anywhere, and all rows come in one answer.",
        name="psa_differences_list",
        tag="Invoices",
        answer=page_of(PsaRowSerializer),
        shows=page_example(ROW),
        query=PsaRowFilters,
        refuses=(404, 409),
    )
    def get(self, request: Request) -> Response:
        asked = self.query(PsaRowFilters)
        desk, span = self.desk(asked["destination"]), self.span(asked)
        rows = planned_rows(self.caller.tenant, desk, agreement_desks, **span)
        if asked["compare"]:
            if desk.problem:
                raise Refused(desk.problem)
            rows = read_rows(rows, desk, effective_on=span["effective_on"], now=self.now)
        return Response({"items": PsaRowSerializer(rows, many=True).data, "next": None})


class PsaPushesView(PsaView):
    @described(
        "List pushes",
        "What was pushed to agreement lines, with who asked and what came of it, in the order in which it was asked.",
        name="psa_pushes_list",
        tag="Invoices",
        answer=page_of(PsaPushSerializer),
        shows=page_example(PUSH, path="psa-pushes"),
        query=PsaPushFilters,
        paged=True,
        refuses=(404,),
    )
    def get(self, request: Request) -> Response:
        asked = self.query(PsaPushFilters, paged=True)
        rows = PsaPush.objects.of(self.caller.tenant).select_related("client").filter(**asked)
        return self.page(rows, BY_ID, PsaPushSerializer)

    @described(
        "Push a month's quantities",
        "Delivery looks at each line before it writes: what stands there already is not written again.",
        name="psa_pushes_create",
        tag="Invoices",
        answer=PsaAskedSerializer,
        shows={"pushed": 1, "problems": []},
        status=201,
        sends=PsaPushWanted,
        sent={"destination": DESTINATION, "month": "2026-10"},
        refuses=(404, 409),
    )
    def post(self, request: Request) -> Response:
        self.query()
        body = self.body(PsaPushWanted)
        desk, span = self.desk(body["destination"]), self.span(body)
        rows = body["rows"]
        keys = None if rows is None else [(row["client"], row["plan"]) for row in rows]
        who: dict[str, Any] = {"actor": self.caller.actor, "now": self.now}
        count, problems = ask_push(self.caller.tenant, desk, agreement_desks, keys=keys, **span, **who)
        if count:
            tasks.wake_delivery()
        return Response({"pushed": count, "problems": list(problems)}, status=201)
