"""Machines and what lies on them, waivers, volumes, departures: by an owner, a reader, a reseller, a stranger."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from alerts.evaluating import evaluate_jobs
from alerts.models import Incident, SubjectState
from msp.backups.models import BackupJob
from msp.estate.models import Machine, Selection, Site, Volume, VolumeReading, Waiver
from tests.api.conftest import NOW, Caller, Callers
from tests.world import START, World, make_job, make_key

DAY = timedelta(days=1)
MISSING = "00000000-0000-4000-8000-000000000000"


def make_machine(world: World, client: Any = None, name: str = "srv1") -> Machine:
    machine: Machine = Machine.objects.of(world.tenant).create(
        client=client or world.client, name=name, registered_at=START
    )
    return machine


def is_due(world: World, kind: str, subject_id: int) -> bool:
    clocks = SubjectState.objects.of(world.tenant).filter(subject_kind=kind, subject_id=subject_id)
    return clocks.filter(check_after__lte=NOW + timedelta(minutes=1)).exists()


class TestMachines:
    def test_a_machine_is_registered_once_and_looked_at(self, callers: Callers, world: World) -> None:
        site = Site.objects.of(world.tenant).create(client=world.client, name="Harbour", timezone="UTC")
        sent = {"client": str(world.client.uid), "name": "srv1", "machine_class": "laptop", "site": str(site.uid)}
        made = callers.owner.post("/machines", sent)
        assert made.status_code == 201
        shown = made.json()
        assert (shown["expectation"], shown["site"]["name"], shown["waivers"]) == ("protected", "Harbour", [])
        machine = Machine.objects.of(world.tenant).get()
        assert machine.machine_class == "laptop"
        assert machine.registered_at is not None
        assert machine.registered_at.date() == NOW.date()
        assert is_due(world, "machine", machine.pk)
        again = callers.owner.post("/machines", sent)
        assert (again.status_code, again.json()["existing"]) == (409, shown["uid"])

    @pytest.mark.parametrize(
        "values,field",
        [
            ({"name": " "}, "name"),
            ({"machine_class": "toaster"}, "machine_class"),
            ({"expectation": "waived"}, "expectation"),
            ({"site": MISSING}, "site"),
            ({"client": MISSING}, "client"),
            ({"colour": "red"}, "colour"),
        ],
    )
    def test_what_makes_no_sense_is_refused(
        self, callers: Callers, world: World, values: dict[str, str], field: str
    ) -> None:
        answer = callers.owner.post("/machines", {"client": str(world.client.uid), "name": "srv1", **values})
        assert answer.status_code == 422
        assert list(answer.json()["errors"]) == [field]
        assert not Machine.objects.of(world.tenant).exists()

    def test_it_is_changed_and_retired(self, callers: Callers, world: World) -> None:
        machine = make_machine(world)
        shown = callers.owner.patch(f"/machines/{machine.uid}", {"machine_class": "seasonal", "state": "retired"})
        assert (shown.json()["machine_class"], shown.json()["state"]) == ("seasonal", "retired")
        assert is_due(world, "machine", machine.pk)
        make_machine(world, name="srv2")
        assert callers.owner.patch(f"/machines/{machine.uid}", {"name": "srv2"}).status_code == 409

    def test_a_waiver_has_a_reason_a_signature_and_an_end(self, callers: Callers, world: World) -> None:
        machine = make_machine(world)
        path = f"/machines/{machine.uid}/waive"
        sent = {"reason": "Test machine", "signed_by": "A. Client", "ends_on": "2026-12-31"}
        assert callers.owner.post(path, sent).json()["expectation"] == "waived"
        for bad in ({"reason": ""}, {"signed_by": " "}, {"ends_on": "2026-11-22"}):
            assert callers.owner.post(path, sent | bad).status_code == 422
        shown = callers.owner.post(path, {"reason": "Still a test machine", "signed_by": "B. Client"}).json()
        assert [(one["signed_by"], one["ends_on"]) for one in shown["waivers"]] == [
            ("B. Client", None), ("A. Client", "2026-11-23"),
        ]  # fmt: skip
        assert is_due(world, "machine", machine.pk)

    def test_a_selection_is_placed_and_taken_off(self, callers: Callers, world: World) -> None:
        machine, selection = make_machine(world), world.job.selection
        path = f"/machines/{machine.uid}/selections"
        shown = callers.owner.post(path, {"selection": str(selection.uid)}).json()
        assert [one["uid"] for one in shown["selections"]] == [str(selection.uid)]
        off = callers.owner.post(path, {"selection": str(selection.uid), "here": False}).json()
        assert off["selections"] == []
        theirs = make_job(world.tenant, world.server, world.resold_client, "theirs").selection
        assert callers.owner.post(path, {"selection": str(theirs.uid)}).status_code == 422
        assert Selection.objects.of(world.tenant).get(pk=theirs.pk).machine_id is None

    def test_whose_it_is(self, callers: Callers, world: World) -> None:
        own, resold = make_machine(world), make_machine(world, world.resold_client)
        for caller, status in ((callers.reseller, 404), (callers.stranger, 404), (callers.nobody, 401)):
            assert caller.get(f"/machines/{own.uid}").status_code == status
            assert caller.patch(f"/machines/{own.uid}", {"state": "retired"}).status_code == status
            waiver = {"reason": "r", "signed_by": "s"}
            assert caller.post(f"/machines/{own.uid}/waive", waiver).status_code == status
        assert [one["uid"] for one in callers.reseller.get("/machines").json()["items"]] == [str(resold.uid)]
        assert callers.stranger.get("/machines").json()["items"] == []
        assert callers.reseller.patch(f"/machines/{resold.uid}", {"machine_class": "other"}).status_code == 200
        reader = Caller(make_key(world.tenant, "reader", scopes=["read"]))
        assert reader.get(f"/machines/{own.uid}").status_code == 200
        assert reader.patch(f"/machines/{own.uid}", {"state": "retired"}).status_code == 403
        assert not Waiver.objects.of(world.tenant).exists()
        assert Machine.objects.of(world.tenant).get(pk=own.pk).state == "active"


class TestVolumes:
    SENT = {"readings": [{"name": "pool", "used_bytes": 79, "capacity_bytes": 100}]}

    def test_a_server_tells_its_own_readings(self, world: World) -> None:
        server = Caller(world.server_key)
        answer = server.post(f"/servers/{world.server.uid}/volumes", self.SENT)
        assert answer.json()["items"][0]["used_bytes"] == 79
        volume = Volume.objects.of(world.tenant).get()
        assert (volume.name, volume.capacity_bytes) == ("pool", 100)
        assert volume.measured_at is not None
        assert volume.measured_at.date() == NOW.date()
        assert is_due(world, "volume", volume.pk)
        assert server.post(f"/servers/{world.other_server.uid}/volumes", self.SENT).status_code == 404
        assert server.get(f"/servers/{world.server.uid}/volumes").status_code == 403

    def test_of_one_day_the_newest_counts_and_an_older_one_changes_nothing_of_today(
        self, callers: Callers, world: World
    ) -> None:
        path = f"/servers/{world.server.uid}/volumes"
        for used, ago in ((50, 2 * DAY), (70, timedelta(hours=2)), (60, timedelta(hours=4)), (40, 3 * DAY)):
            one = {"name": "pool", "used_bytes": used, "measured_at": (NOW - ago).isoformat()}
            assert callers.owner.post(path, {"readings": [one]}).status_code == 200
        readings = VolumeReading.objects.of(world.tenant).order_by("day").values_list("used_bytes", flat=True)
        assert list(readings) == [40, 50, 70]
        (shown,) = callers.owner.get(path).json()["items"]
        assert (shown["used_bytes"], shown["capacity_bytes"]) == (70, None)

    @pytest.mark.parametrize(
        "values",
        [
            {"name": " "},
            {"used_bytes": -1},
            {"capacity_bytes": 0},
            {"measured_at": (NOW + DAY).isoformat()},
            {"used_bytes": 2**63},
        ],
    )
    def test_impossible_readings_are_refused_and_none_is_stored(
        self, callers: Callers, world: World, values: dict[str, Any]
    ) -> None:
        good = self.SENT["readings"][0]
        sent = {"readings": [good, {**good, **values}]}
        assert callers.owner.post(f"/servers/{world.server.uid}/volumes", sent).status_code == 422
        assert not Volume.objects.of(world.tenant).exists()

    def test_whose_they_are(self, callers: Callers, world: World) -> None:
        path = f"/servers/{world.server.uid}/volumes"
        reader = Caller(make_key(world.tenant, "reader", scopes=["read"]))
        for caller, seen, told in (
            (callers.reseller, 404, 404), (callers.stranger, 404, 404), (callers.nobody, 401, 401), (reader, 200, 403),
        ):  # fmt: skip
            assert (caller.get(path).status_code, caller.post(path, self.SENT).status_code) == (seen, told)


class TestDepartures:
    SENT = {"left": True, "reason": "Replaced."}

    def gone(self, world: World) -> str:
        BackupJob.objects.of(world.tenant).filter(pk=world.job.pk).update(gone_at=NOW - DAY, gone_because="not listed")
        evaluate_jobs(world.tenant.pk, [world.job.pk], now=NOW)
        assert Incident.objects.of(world.tenant).get(kind="machine_gone").state == "open"
        return f"/jobs/{world.job.uid}/departure"

    def test_it_has_left(self, callers: Callers, world: World) -> None:
        path = self.gone(world)
        assert callers.owner.post(path, {"left": True, "reason": " "}).status_code == 422
        assert callers.owner.post(path, self.SENT).json()["state"] == "retired"
        incident = Incident.objects.of(world.tenant).get(kind="machine_gone")
        assert (incident.state, incident.closed_by_hand) == ("closed", True)
        assert "It has left: Replaced." in incident.close_reason
        assert callers.owner.post(path, self.SENT).status_code == 422

    def test_it_is_still_there(self, callers: Callers, world: World) -> None:
        path = self.gone(world)
        assert callers.owner.post(path, {"left": False, "reason": "Renamed."}).json()["state"] == "active"
        assert Incident.objects.of(world.tenant).get(kind="machine_gone").state == "closed"
        evaluate_jobs(world.tenant.pk, [world.job.pk], now=NOW + 3 * DAY)
        assert not Incident.objects.of(world.tenant).filter(kind="machine_gone", state="open").exists()

    def test_whose_it_is(self, callers: Callers, world: World) -> None:
        path = self.gone(world)
        for caller, status in ((callers.reseller, 404), (callers.stranger, 404), (callers.nobody, 401)):
            assert caller.post(path, self.SENT).status_code == status
        reader = Caller(make_key(world.tenant, "reader", scopes=["read"]))
        assert reader.post(path, self.SENT).status_code == 403
        assert BackupJob.objects.of(world.tenant).get(pk=world.job.pk).state == "active"
