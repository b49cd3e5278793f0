"""What single objects show, what people do to incidents, ETags, and the census."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from alerts.marking import ensure_clocks
from alerts.models import Incident, IncidentEvent, SubjectState
from msp.backups.models import JobState
from msp.estate.models import Selection
from msp.ingest.models import ReceiptQueue
from tests.api.conftest import NOW, Caller, Callers
from tests.api.things import MONTH, Things, make_incident, make_run
from tests.world import World, make_job


class TestRuns:
    def test_a_run_is_found_in_its_month_only(self, api: Caller, things: Things) -> None:
        run = things.own.run
        shown = api.get(f"/runs/{MONTH}/{run.uid}").json()
        assert shown["receipt"] == str(things.own.receipt.uid)
        assert shown["job"] == str(things.own.job.uid)
        assert shown["month"] == MONTH
        assert api.get(f"/runs/2026-10/{run.uid}").status_code == 404

    def test_a_run_stays_with_the_client_it_was_recorded_for(
        self, callers: Callers, things: Things, world: World
    ) -> None:
        moved = make_job(world.tenant, world.server, world.resold_client, "moved")
        before = make_run(moved, world.client, things.own.receipt, NOW - timedelta(days=9))
        after = make_run(moved, world.resold_client, things.resold.receipt, NOW - timedelta(days=1))
        seen = callers.reseller.get(f"/jobs/{moved.uid}/runs").json()["items"]
        assert [run["uid"] for run in seen] == [str(after.uid)]
        assert callers.reseller.get(f"/runs/2026-11/{before.uid}").status_code == 404


class TestIncidents:
    def act(self, api: Caller, things: Things, action: str, body: object = None) -> dict[str, object]:
        answer = api.post(f"/incidents/{things.own.incident.uid}/{action}", body)
        assert answer.status_code == 200, answer.content
        shown: dict[str, object] = answer.json()
        return shown

    def events(self, things: Things) -> list[str]:
        rows = IncidentEvent.objects.of(things.own.client.tenant_id).filter(incident=things.own.incident)
        return [kind for kind in rows.order_by("seq").values_list("kind", flat=True) if kind != "untold"]

    def test_one_with_its_history(self, api: Caller, things: Things) -> None:
        shown = api.get(f"/incidents/{things.own.incident.uid}").json()
        assert shown["evidence"] == {"failures_in_row": 1}
        assert shown["lines"] == ["Fatal: no space left"]
        assert [event["kind"] for event in shown["events"]] == ["opened"]
        assert shown["job"] == str(things.own.job.uid)
        assert shown["server"] == "backup01"
        assert shown["ticket"]["external_id"] == things.own.ticket.external_id

    def test_acknowledging_twice_is_once(self, api: Caller, things: Things) -> None:
        body = {"note": "On it.", "until": "2026-11-25T08:00:00Z"}
        first = self.act(api, things, "acknowledge", body)
        assert first["acknowledged_note"] == "On it."
        assert str(first["acknowledged_by"]).startswith("API key program")
        assert self.act(api, things, "acknowledge", body) == first
        assert self.events(things).count("acknowledged") == 1
        self.act(api, things, "acknowledge", body | {"note": "Still on it."})
        assert self.events(things).count("acknowledged") == 2

    def test_taking_it_back(self, api: Caller, things: Things) -> None:
        self.act(api, things, "unacknowledge")
        assert "unacknowledged" not in self.events(things)
        self.act(api, things, "acknowledge", {})
        assert self.act(api, things, "unacknowledge")["acknowledged_at"] is None

    def test_snoozing_twice_is_once(self, api: Caller, things: Things) -> None:
        body = {"until": "2026-11-24T08:00:00Z"}
        assert self.act(api, things, "snooze", body)["snoozed_until"] == "2026-11-24T08:00:00Z"
        self.act(api, things, "snooze", body)
        assert self.events(things).count("snoozed") == 1

    def test_closing_twice_is_once(self, api: Caller, things: Things) -> None:
        closed = self.act(api, things, "close", {"reason": "Retired."})
        assert closed["state"] == "closed"
        assert "Retired." in str(closed["close_reason"])
        assert self.act(api, things, "close", {"reason": "Again."})["close_reason"] == closed["close_reason"]
        assert self.events(things).count("closed") == 1

    def test_what_makes_no_sense_is_refused_with_a_sentence(self, api: Caller, things: Things) -> None:
        path = f"/incidents/{things.own.incident.uid}"
        assert api.post(f"{path}/snooze", {"until": "2026-11-01T08:00:00Z"}).status_code == 409
        assert api.post(f"{path}/acknowledge", {"until": "2026-11-01T08:00:00Z"}).status_code == 409
        assert api.post(f"{path}/snooze", {"until": "9999-12-31T23:59:59Z"}).status_code == 422
        assert api.post(f"{path}/snooze", {}).status_code == 422
        assert api.post(f"{path}/close", {"reason": "  "}).status_code == 422
        self.act(api, things, "close", {"reason": "Done."})
        refused = api.post(f"{path}/acknowledge", {})
        assert (refused.status_code, refused.json()["detail"]) == (409, "The incident is closed already.")


class TestTickets:
    def test_one_with_its_updates_and_incidents(self, api: Caller, things: Things) -> None:
        shown = api.get(f"/tickets/{things.own.ticket.uid}").json()
        assert [(update["kind"], update["told"]) for update in shown["history"]] == [("opened", False)]
        assert shown["incidents"] == [str(things.own.incident.uid)]
        assert (shown["updates"], shown["updates_told"], shown["needs_person"]) == (1, 0, False)


class TestMoney:
    """400 GB all October at 0.10 to 100 GB and 0.08 beyond: 10.00 + 24.00."""

    def test_an_invoice_with_its_lines_and_their_working(self, api: Caller, things: Things) -> None:
        shown = api.get(f"/invoices/{things.own.invoice.uid}").json()
        assert (shown["net"], shown["total"], shown["currency"]) == ("34.0000", "34.0000", "EUR")
        assert shown["number"] == "2026-00001"
        (line,) = shown["lines"]
        assert line["amount"] == "34.0000"
        assert line["quantity"] == "400.000000"
        assert any("24" in step["amount"] for step in line["steps"])

    def test_a_line_down_to_the_days(self, api: Caller, things: Things) -> None:
        shown = api.get(f"/invoice-lines/{things.own.line.uid}/explain").json()
        (selection,) = shown["selections"]
        assert len(selection["days"]) == 31
        assert selection["days"][0]["day"] == "2026-10-01"
        assert selection["days"][0]["quantity"] == 400 * 10**9
        assert selection["days"][0]["job_name"] == "files"
        assert shown["invoice"] == str(things.own.invoice.uid)

    def test_usage_is_sizes_by_day(self, callers: Callers, things: Things) -> None:
        path = f"/usage?client={things.own.client.uid}"
        days = callers.reader.get(f"{path}&month=2026-10").json()["items"]
        assert len(days) == 31
        assert {day["quantity_bytes"] for day in days} == {400 * 10**9}
        assert {day["selection"] for day in days} == {str(things.own.job.selection.uid)}
        assert callers.reader.get(f"{path}&month=2026-09").json()["items"] == []
        assert callers.reader.get(f"{path}&month=2026-10&metric=stored").json()["items"] == []


class TestEtags:
    def test_what_did_not_change_is_not_sent_again(self, api: Caller, world: World) -> None:
        path = f"/clients/{world.client.uid}"
        first = api.get(path)
        again = api.get(path, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        api.patch(path, {"notes": "changed"})
        assert api.get(path, headers={"If-None-Match": first.headers["ETag"]}).status_code == 200

    def test_a_stranger_gets_no_304_of_anothers_object(self, callers: Callers, world: World) -> None:
        path = f"/clients/{world.client.uid}"
        etag = callers.owner.get(path).headers["ETag"]
        assert callers.stranger.get(path, headers={"If-None-Match": etag}).status_code == 404
        assert callers.nobody.get(path, headers={"If-None-Match": etag}).status_code == 401

    def test_answers_are_private(self, api: Caller) -> None:
        assert api.get("/me").headers["Cache-Control"] == "private, no-cache"


class TestCensus:
    @pytest.fixture(autouse=True)
    def _clocks(self, world: World) -> None:
        ensure_clocks(now=NOW)

    def numbers(self, caller: Caller) -> dict[str, object]:
        shown: dict[str, object] = caller.get("/health/census").json()
        return shown

    def test_all_is_well(self, api: Caller, things: Things) -> None:
        ensure_clocks(now=NOW)
        shown = self.numbers(api)
        assert (shown["healthy"], shown["faults"], shown["waiting_receipts"]) == (True, [], 0)

    def test_a_job_without_a_clock(self, callers: Callers, world: World) -> None:
        JobState.objects.of(world.tenant).update(check_after=None)
        assert self.numbers(callers.owner)["jobs_without_clock"] == 1
        assert self.numbers(callers.owner)["healthy"] is False
        assert self.numbers(callers.reseller)["jobs_without_clock"] == 0
        assert self.numbers(callers.stranger)["jobs_without_clock"] == 0
        JobState.objects.of(world.tenant).all().delete()
        assert self.numbers(callers.owner)["jobs_without_clock"] == 1
        callers.owner.patch(f"/clients/{world.client.uid}", {"state": "suspended"})
        assert self.numbers(callers.owner)["jobs_without_clock"] == 0

    def test_a_selection_without_a_clock(self, callers: Callers, world: World) -> None:
        SubjectState.objects.of(world.tenant).filter(subject_kind="selection").update(check_after=None)
        shown = self.numbers(callers.owner)
        assert (shown["subjects_without_clock"], shown["healthy"]) == (
            Selection.objects.of(world.tenant).count(), False,
        )  # fmt: skip
        assert self.numbers(callers.stranger)["subjects_without_clock"] == 0

    def test_an_incident_nobody_was_told_of(self, callers: Callers, world: World) -> None:
        made = make_incident(world.tenant, world.resold_client, None, untold_reason="")
        for caller in (callers.owner, callers.reseller):
            assert self.numbers(caller)["untold_incidents"] == 1
        for explained in ({"untold_reason": "held"}, {"told_at": NOW}, {"tell_after": NOW + timedelta(hours=1)}):
            values = {"untold_reason": "", "told_at": None, "tell_after": None} | explained
            Incident.objects.of(world.tenant).filter(pk=made.pk).update(**values)
            assert self.numbers(callers.owner)["untold_incidents"] == 0, explained

    def test_a_log_that_waits_too_long(self, callers: Callers, world: World) -> None:
        ReceiptQueue.objects.of(world.tenant).create(receipt_id=1, received_at=NOW - timedelta(minutes=5))
        assert self.numbers(callers.owner)["healthy"] is True
        ReceiptQueue.objects.of(world.tenant).create(receipt_id=2, received_at=NOW - timedelta(minutes=20))
        shown = self.numbers(callers.owner)
        assert (shown["waiting_receipts"], shown["healthy"]) == (2, False)
        assert self.numbers(callers.reseller)["waiting_receipts"] is None
        assert self.numbers(callers.stranger)["waiting_receipts"] == 0

    def test_the_command_sees_all_tenants_and_fails_on_faults(self, world: World, things: Things) -> None:
        # The runs of these tests name receipts and jobs that exist; a queued receipt that does not is an orphan.
        ensure_clocks(now=NOW)
        told = StringIO()
        call_command("census", stdout=told)
        assert "active jobs without a clock" in told.getvalue()
        ReceiptQueue.objects.of(world.other).create(receipt_id=0, received_at=NOW)
        with pytest.raises(CommandError, match="1 queued receipts are not there"):
            call_command("census", "--json", stdout=StringIO())
