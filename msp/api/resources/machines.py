"""``/machines``: protected computers, what is expected of each, what lies on it, and jobs that have left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.departing import settle_departure
from alerts.evaluating import mark_due
from msp.api import queries
from msp.api.paging import BY_ID
from msp.api.reading import StrictSerializer
from msp.api.resources.base import ApiView, found, only_given
from msp.api.resources.jobs import EXAMPLE as JOB
from msp.api.resources.jobs import JobSerializer
from msp.api.resources.shapes import NamedSerializer
from msp.api.schema import WordField, changed, described, page_example, page_of
from msp.backups.selection_queries import find_selection
from msp.estate.machines import (
    CLASSES,
    EXPECTED,
    MACHINE_VALUES,
    STATES,
    change_machine,
    place_selection,
    register_machine,
    waive_machine,
)
from msp.estate.models import Machine, Selection, Site, Waiver
from msp.estate.queries import within
from msp.estate.spans import BadChange
from msp.tenants.models import Tenant

EXPECTATIONS = ("protected", "waived", "unknown")


class MachineSerializer(serializers.Serializer[Any]):
    """A machine."""

    uid = serializers.UUIDField()
    name = serializers.CharField()
    client = NamedSerializer()
    site = NamedSerializer(allow_null=True)
    machine_class = WordField(CLASSES, help_text="occasional: not always on. The class chooses the tolerance.")
    expectation = WordField(EXPECTATIONS, help_text="Protected: an incident opens while no active job covers it.")
    state = WordField(STATES)
    registered_at = serializers.DateTimeField(allow_null=True)


class WaiverSerializer(serializers.Serializer[Any]):
    """A signed decision that it is not protected."""

    reason = serializers.CharField()
    signed_by = serializers.CharField()
    signed_at = serializers.DateTimeField()
    ends_on = serializers.DateField(allow_null=True, help_text="Its last day; null: no end.")


class MachineDetailSerializer(MachineSerializer):
    """A machine with what lies on it and its waivers, the newest first."""

    selections = NamedSerializer(many=True)
    waivers = WaiverSerializer(many=True)


class MachineFilters(StrictSerializer):
    client = serializers.UUIDField(required=False)
    expectation = WordField(EXPECTATIONS, required=False)
    state = WordField(STATES, required=False)
    name = serializers.CharField(required=False, help_text="Exactly this name.")


class MachineRegistration(StrictSerializer):
    client = serializers.UUIDField()
    name = serializers.CharField(max_length=200)
    machine_class = WordField(CLASSES, default="server")
    expectation = WordField(EXPECTED, default="protected")
    site = serializers.UUIDField(required=False, allow_null=True)


class MachineChange(StrictSerializer):
    name = serializers.CharField(required=False, max_length=200)
    machine_class = WordField(CLASSES, required=False)
    expectation = WordField(EXPECTED, required=False)
    site = serializers.UUIDField(required=False, allow_null=True)
    state = WordField(STATES, required=False, help_text="A retired machine is watched no more.")


class MachineWaiver(StrictSerializer):
    reason = serializers.CharField(max_length=2000)
    signed_by = serializers.CharField(max_length=200)
    ends_on = serializers.DateField(required=False, allow_null=True, help_text="Its last day; null: no end.")


class Placing(StrictSerializer):
    selection = serializers.UUIDField()
    here = serializers.BooleanField(default=True, help_text="false: it no longer lies on this machine.")


class Departure(StrictSerializer):
    left = serializers.BooleanField(help_text="true: retire the job. false: it is still there.")
    reason = serializers.CharField(max_length=2000, help_text="Kept with the job and its incident.")


EXAMPLE = {
    "uid": "5d1c9f6e-2b7a-4c86-9a41-6f0b8d3c2e17",
    "name": "srv-files",
    "client": {"uid": "0d6b8f0f-2a61-4a4e-8f7b-6f1f6a1b2c3d", "name": "Acme Dental"},
    "site": None,
    "machine_class": "server",
    "expectation": "protected",
    "state": "active",
    "registered_at": "2026-01-05T09:15:02Z",
}
DETAIL = changed(
    EXAMPLE,
    selections=[{"uid": "c1b2a3d4-0f5e-4d6c-8b7a-9e8f7a6b5c4d", "name": "backup01: files"}],
    waivers=[],
)
WAIVER = {"reason": "Test machine", "signed_by": "A. Client", "ends_on": "2027-06-30"}


class MachinesView(ApiView):
    @described(
        "List machines",
        "In the order in which they were registered.",
        name="machines_list",
        tag="Machines",
        answer=page_of(MachineSerializer),
        shows=page_example(EXAMPLE, path="machines"),
        query=MachineFilters,
        paged=True,
    )
    def get(self, request: Request) -> Response:
        filters = self.query(MachineFilters, paged=True)
        rows = queries.matching(
            machines(self), filters, client="client__uid", expectation="expectation", state="state", name="name"
        )
        return self.page(rows, BY_ID, MachineSerializer)

    @described(
        "Register a machine",
        "A name that the client's machines have already is answered 409 with the UUID of that machine (`existing`).",
        name="machines_create",
        tag="Machines",
        answer=MachineDetailSerializer,
        shows=DETAIL,
        status=201,
        sends=MachineRegistration,
        sent={"client": "0d6b8f0f-2a61-4a4e-8f7b-6f1f6a1b2c3d", "name": "srv-files"},
        refuses=(409,),
    )
    def post(self, request: Request) -> Response:
        self.query()
        values = self.body(MachineRegistration)
        client = queries.find_client(self.caller.reach, values.pop("client"))
        if client is None:
            raise BadChange("client", "There is no such client.")
        values |= site_of(self.caller.tenant, values, client_id=client.pk)
        machine = register_machine(self.caller.tenant, client=client, actor=self.actor(), **values)
        return show(self, machine.uid, status=201)


class MachineView(ApiView):
    @described(
        "Get a machine",
        "With what lies on it and its waivers.",
        name="machines_get",
        tag="Machines",
        answer=MachineDetailSerializer,
        shows=DETAIL,
        refuses=(404,),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        self.query()
        return show(self, uid)

    @described(
        "Change a machine",
        "Its name, class, site, what is expected of it, or retire it. To waive it, see below.",
        name="machines_change",
        tag="Machines",
        answer=MachineDetailSerializer,
        shows=changed(DETAIL, machine_class="laptop"),
        sends=MachineChange,
        sent={"machine_class": "laptop"},
        refuses=(404, 409),
    )
    def patch(self, request: Request, uid: UUID) -> Response:
        self.query()
        machine = machine_at(self, uid)
        values = self.body(MachineChange)
        values |= site_of(self.caller.tenant, values, client_id=machine.client_id)
        change_machine(self.caller.tenant, machine.pk, only_given(values, *MACHINE_VALUES), actor=self.actor())
        return show(self, uid)


class MachineWaiverView(ApiView):
    @described(
        "Waive a machine",
        "Nobody expects it to be protected up to the last day of the waiver. Earlier waivers end today.",
        name="machines_waive",
        tag="Machines",
        answer=MachineDetailSerializer,
        shows=changed(DETAIL, expectation="waived", waivers=[changed(WAIVER, signed_at="2026-11-23T08:00:00Z")]),
        sends=MachineWaiver,
        sent=WAIVER,
        refuses=(404,),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        self.query()
        machine = machine_at(self, uid)
        values = {"ends_on": None} | self.body(MachineWaiver)
        waive_machine(self.caller.tenant, machine.pk, actor=self.actor(reason=values["reason"]), **values)
        return show(self, uid)


class MachineSelectionsView(ApiView):
    @described(
        "Place a selection on a machine",
        "An active job of it then covers the machine. A selection lies on one machine at most.",
        name="machines_place",
        tag="Machines",
        answer=MachineDetailSerializer,
        shows=DETAIL,
        sends=Placing,
        sent={"selection": "c1b2a3d4-0f5e-4d6c-8b7a-9e8f7a6b5c4d"},
        refuses=(404,),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        self.query()
        machine, values = machine_at(self, uid), self.body(Placing)
        selection = find_selection(self.caller.reach, values["selection"])
        if selection is None:
            raise BadChange("selection", "There is no such selection.")
        if values["here"] or selection.machine_id == machine.pk:
            here = machine if values["here"] else None
            place_selection(self.caller.tenant, selection.pk, machine=here, actor=self.actor())
            former = {selection.machine_id, machine.pk} - {None}
            mark_due(self.caller.tenant.pk, "machine", [pk for pk in former if pk is not None], now=self.now)
        return show(self, uid)


class JobDepartureView(ApiView):
    @described(
        "Say whether a missing job has left",
        "For a job that its product lists no more: retire it (its selection and bills stay), or say that it is there.",
        name="jobs_departure",
        tag="Jobs",
        answer=JobSerializer,
        shows=changed(JOB, state="retired"),
        sends=Departure,
        sent={"left": True, "reason": "The server was replaced."},
        refuses=(404,),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        self.query()
        job, values = found(queries.find_job(self.caller.reach, uid)), self.body(Departure)
        settle_departure(self.caller.tenant, job, left=values["left"], actor=self.actor(reason=values["reason"]))
        reach = self.caller.reach
        (shown,) = queries.show_jobs(reach, [found(queries.find_job(reach, uid))], now=self.now)
        return Response(JobSerializer(shown).data)


def machines(view: ApiView) -> QuerySet[Any]:
    """Machines of clients within the caller's reach."""
    rows = Machine.objects.of(view.caller.tenant).select_related("client", "site")
    return within(rows, view.caller.reach, client="client")


def machine_at(view: ApiView, uid: UUID) -> Machine:
    machine: Machine = found(machines(view).filter(uid=uid).first())
    return machine


def site_of(tenant: Tenant, values: Mapping[str, Any], *, client_id: int) -> dict[str, Site | None]:
    """The site in place of its UUID, where one was sent. Raises BadChange."""
    if values.get("site") is None:
        return {"site": None} if "site" in values else {}
    site = Site.objects.of(tenant).filter(client_id=client_id, uid=values["site"]).first()
    if site is None:
        raise BadChange("site", "This client has no such site.")
    return {"site": site}


def show(view: ApiView, uid: UUID, *, status: int = 200) -> Response:
    """The machine as it is now; after a change its clock is due."""
    machine: Any = machine_at(view, uid)
    if view.request.method != "GET":
        mark_due(view.caller.tenant.pk, "machine", [machine.pk], now=view.now)
    tenant = view.caller.tenant
    machine.selections = Selection.objects.of(tenant).filter(machine_id=machine.pk).order_by("name")
    waivers = Waiver.objects.of(tenant).filter(subject_kind="machine", subject_id=machine.pk)
    machine.waivers = waivers.order_by("-signed_at", "-pk")
    return Response(MachineDetailSerializer(machine).data, status=status)
