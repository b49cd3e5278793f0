"""What can be changed: clients, servers and keys, jobs, rules. Dated, audited, evaluated anew, harmless to repeat."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from alerts.models import RuleSetting, SubjectState
from msp.backups.models import BackupJob, JobState
from msp.estate.models import BackupServer, Client, ClientResellerSpan, ClientStateSpan
from msp.ingest.models import InboxItem
from msp.tenants.models import ApiKey, AuditEntry, Reseller, Tenant
from tests.api.conftest import NOW, Caller, Callers
from tests.world import START, World, make_reseller_of, make_server

FAR = NOW + timedelta(days=9)


def audited(world: World) -> list[str]:
    return list(AuditEntry.objects.of(world.tenant).order_by("id").values_list("action", flat=True))


class TestClients:
    def test_registering(self, api: Caller, world: World) -> None:
        Tenant.objects.filter(pk=world.tenant.pk).update(timezone="Pacific/Auckland")
        made = api.post("/clients", {"name": "Quay Florists", "code": "quay", "quota_bytes": 10**12})
        assert made.status_code == 201
        body = made.json()
        assert body == api.get(f"/clients/{body['uid']}").json()
        assert (body["state"], body["timezone"], body["reseller"]) == ("active", "Pacific/Auckland", None)
        client = Client.objects.of(world.tenant).get(uid=body["uid"])
        # 23 November, 08:00 UTC, is the same day in Auckland; its spans begin then.
        spans = ClientStateSpan.objects.of(world.tenant).filter(client=client)
        assert list(spans.values_list("state", "since", "until")) == [("active", date(2026, 11, 23), None)]
        assert ClientResellerSpan.objects.of(world.tenant).get(client=client).reseller is None
        assert audited(world) == ["client registered"]

    def test_a_repeat_names_the_one_that_is_there(self, api: Caller, world: World) -> None:
        again = api.post("/clients", {"name": "Acme Dental again", "code": "acme-dental"})
        assert again.status_code == 409
        assert again.json()["existing"] == str(world.client.uid)
        assert "Acme Dental" in again.json()["detail"]
        assert Client.objects.of(world.tenant).count() == 2

    def test_a_reseller_is_not_told_who_has_the_code(self, callers: Callers, world: World) -> None:
        again = callers.reseller.post("/clients", {"name": "Mine", "code": "acme-dental"})
        assert again.status_code == 409
        assert "existing" not in again.json()
        assert "Acme" not in str(again.json())
        own = callers.reseller.post("/clients", {"name": "Mine", "code": "bay-bakery"})
        assert own.json()["existing"] == str(world.resold_client.uid)

    def test_a_resellers_client_is_its_own(self, callers: Callers, world: World) -> None:
        made = callers.reseller.post("/clients", {"name": "Mine", "code": "mine"}).json()
        assert made["reseller"]["uid"] == str(world.reseller.uid)
        other = make_reseller_of(world.tenant, "Elsewhere")
        assert (
            callers.reseller.post("/clients", {"name": "X", "code": "x", "reseller": str(other.uid)}).status_code == 403
        )
        assert callers.reseller.patch(f"/clients/{made['uid']}", {"reseller": None}).status_code == 403
        assert callers.reseller.patch(f"/clients/{made['uid']}", {"reseller": str(other.uid)}).status_code == 403
        assert callers.owner.patch(f"/clients/{made['uid']}", {"reseller": str(other.uid)}).status_code == 200
        assert callers.reseller.get(f"/clients/{made['uid']}").status_code == 404

    def test_a_reseller_of_another_tenant_is_none(self, api: Caller, world: World) -> None:
        foreign = make_reseller_of(world.other, "Foreign")
        refused = api.patch(f"/clients/{world.client.uid}", {"reseller": str(foreign.uid)})
        assert refused.status_code == 422
        assert list(refused.json()["errors"]) == ["reseller"]

    def test_a_dated_state(self, api: Caller, world: World) -> None:
        path = f"/clients/{world.client.uid}"
        changed = api.patch(path, {"state": "suspended", "on": "2026-11-01", "reason": "Contract ended."})
        assert changed.json()["state"] == "suspended"
        spans = ClientStateSpan.objects.of(world.tenant).filter(client=world.client).order_by("since")
        assert list(spans.values_list("state", "since", "until")) == [
            ("active", date(2026, 1, 1), date(2026, 11, 1)),
            ("suspended", date(2026, 11, 1), None),
        ]
        entry = AuditEntry.objects.of(world.tenant).get()
        assert (entry.action, entry.reason) == ("client state", "Contract ended.")
        assert entry.actor.startswith("API key program")

    def test_a_date_before_what_holds_now_is_refused_and_nothing_is_changed(self, api: Caller, world: World) -> None:
        path = f"/clients/{world.client.uid}"
        refused = api.patch(path, {"name": "Renamed", "state": "suspended", "on": "2025-12-31"})
        assert refused.status_code == 422
        assert "2026-01-01" in refused.json()["errors"]["on"][0]
        assert api.patch(path, {"state": "suspended", "on": "2026-11-24"}).status_code == 422
        world.client.refresh_from_db()
        assert (world.client.state, world.client.name) == ("active", "Acme Dental")
        assert audited(world) == []

    def test_a_change_looks_at_jobs_and_quota_anew(self, api: Caller, world: World) -> None:
        JobState.objects.of(world.tenant).update(check_after=FAR)
        api.patch(f"/clients/{world.client.uid}", {"notes": "A note."})
        assert JobState.objects.of(world.tenant).get().check_after == FAR
        api.patch(f"/clients/{world.client.uid}", {"timezone": "Europe/Berlin", "quota_bytes": 5})
        assert JobState.objects.of(world.tenant).get().check_after < FAR
        state = SubjectState.objects.of(world.tenant).get(subject_kind="client", subject_id=world.client.pk)
        assert state.check_after < FAR
        assert api.patch(f"/clients/{world.client.uid}", {"quota_bytes": None}).json()["quota_bytes"] is None

    def test_a_repeated_change_is_written_once(self, api: Caller, world: World) -> None:
        for _ in range(3):
            assert api.patch(f"/clients/{world.client.uid}", {"state": "trial", "notes": "x"}).status_code == 200
        assert audited(world) == ["client state", "client changed"]


class TestServers:
    def test_registering_shows_a_key_that_works_once(self, api: Caller, world: World) -> None:
        made = api.post("/servers", {"name": "nas", "new_jobs": "auto", "client": str(world.client.uid)})
        assert made.status_code == 201
        assert made.headers["Cache-Control"] == "no-store"
        secret = made.json()["ingest_key"]
        assert Caller(secret).get("/me").json()["scopes"] == ["ingest"]
        shown = api.get(f"/servers/{made.json()['uid']}")
        assert secret not in shown.content.decode()
        assert [key["hint"] for key in shown.json()["keys"]] == [secret[:8]]
        server = BackupServer.objects.of(world.tenant).get(name="nas")
        assert ApiKey.objects.of(world.tenant).get(server_id=server.pk).scopes == ["ingest"]
        assert secret not in str(list(AuditEntry.objects.of(world.tenant).values()))

    def test_a_repeat_names_the_one_that_is_there_and_makes_no_key(self, api: Caller, world: World) -> None:
        keys = ApiKey.objects.of(world.tenant).count()
        again = api.post("/servers", {"name": "backup01"})
        assert (again.status_code, again.json()["existing"]) == (409, str(world.server.uid))
        assert ApiKey.objects.of(world.tenant).count() == keys

    def test_making_jobs_by_itself_needs_a_client(self, api: Caller, world: World) -> None:
        assert list(api.post("/servers", {"name": "nas", "new_jobs": "auto"}).json()["errors"]) == ["client"]
        foreign = str(Client.objects.of(world.other).get().uid)
        assert api.post("/servers", {"name": "nas", "client": foreign}).status_code == 422
        assert api.patch(f"/servers/{world.server.uid}", {"client": None}).status_code == 422

    def test_a_reseller_names_a_client_of_its_own(self, callers: Callers, world: World) -> None:
        own, foreign = str(world.resold_client.uid), str(world.client.uid)
        assert callers.reseller.post("/servers", {"name": "nas"}).status_code == 422
        assert callers.reseller.post("/servers", {"name": "nas", "client": foreign}).status_code == 422
        made = callers.reseller.post("/servers", {"name": "nas", "client": own})
        assert made.status_code == 201
        assert callers.reseller.patch(f"/servers/{made.json()['uid']}", {"client": None}).status_code == 403
        taken = callers.reseller.post("/servers", {"name": "backup01", "client": own})
        assert (taken.status_code, "existing" in taken.json()) == (409, False)

    def test_replacing_the_key(self, api: Caller, world: World) -> None:
        path = f"/servers/{world.server.uid}/keys"
        first = api.post(path, {"keep_old_hours": 24}).json()["ingest_key"]
        assert Caller(world.server_key).get("/me").status_code == 200
        assert ApiKey.objects.of(world.tenant).get(name="key of backup01").expires_at is not None
        second = api.post(path).json()["ingest_key"]
        assert Caller(world.server_key).get("/me").status_code == 401
        assert Caller(first).get("/me").status_code == 401
        assert Caller(second).get("/me").status_code == 200
        assert api.post(path, {"keep_old_hours": -1}).status_code == 422

    def test_changing(self, api: Caller, world: World) -> None:
        make_server(world.tenant, "backup02")
        path = f"/servers/{world.server.uid}"
        assert api.patch(path, {"name": "vault", "timezone": "Europe/Vienna"}).json()["name"] == "vault"
        taken = api.patch(path, {"name": "backup02"})
        assert (taken.status_code, "existing" in taken.json()) == (409, True)
        JobState.objects.of(world.tenant).update(check_after=FAR)
        api.patch(path, {"state": "retired"})
        assert JobState.objects.of(world.tenant).get().check_after < FAR


class TestJobs:
    def test_state_and_clock_are_shown(self, api: Caller, world: World) -> None:
        BackupJob.objects.of(world.tenant).update(schedule="daily 22:00", registered_at=START)
        ended = datetime(2026, 11, 22, 22, 30, tzinfo=UTC)
        JobState.objects.of(world.tenant).update(
            last_run_at=ended, last_good_at=ended, last_outcome="success", protected_bytes=5, failures_in_row=0
        )
        job = api.get(f"/jobs/{world.job.uid}").json()
        assert job["runs"]["last_good_at"] == "2026-11-22T22:30:00Z"
        assert job["runs"]["protected_bytes"] == 5
        # Due again on the 23rd at 22:00, plus the rule's default grace.
        assert job["clock"]["good_until"].startswith("2026-11-2")
        assert job["clock"]["good_until"] >= "2026-11-23T22:00:00Z"
        assert job["clock"]["overdue"] is False
        assert "daily 22:00" in job["clock"]["because"]
        assert job["client"] == {"uid": str(world.client.uid), "name": "Acme Dental"}
        assert job["server"] == {"uid": str(world.server.uid), "name": "backup01"}

    def test_a_schedule_is_checked_by_whoever_reads_it(self, api: Caller, world: World) -> None:
        path = f"/jobs/{world.job.uid}"
        assert api.patch(path, {"schedule": "weekdays 22:00"}).json()["schedule"] == "weekdays 22:00"
        for bad in ("sometimes", "0 0 31 2 *", "every 1m", "daily 25:00"):
            refused = api.patch(path, {"schedule": bad})
            assert (refused.status_code, list(refused.json()["errors"])) == (422, ["schedule"]), bad
        assert api.get(path).json()["schedule"] == "weekdays 22:00"
        assert api.patch(path, {"timezone": "Nowhere/At_All"}).status_code == 422
        assert api.patch(path, {"state": "proposed"}).status_code == 422
        assert api.patch(path, {"schedule": ""}).json()["schedule"] == ""

    def test_a_change_makes_the_clock_due(self, api: Caller, world: World) -> None:
        JobState.objects.of(world.tenant).update(check_after=FAR)
        assert api.patch(f"/jobs/{world.job.uid}", {"state": "paused"}).json()["clock"]["good_until"] is None
        assert JobState.objects.of(world.tenant).get().check_after < FAR
        assert audited(world) == ["job changed"]


class TestRules:
    def path(self, world: World, kind: str = "errors") -> str:
        return f"/rule-settings/{kind}/client/{world.client.uid}"

    def test_kinds_and_parameters_come_from_the_rules(self, api: Caller) -> None:
        rules = {rule["kind"]: rule for rule in api.get("/rules").json()["items"]}
        assert set(rules) >= {"no_recent_backup", "no_data_sent", "errors", "quota_overrun"}
        warn = next(each for each in rules["quota_overrun"]["parameters"] if each["name"] == "warn_percent")
        assert warn == {
            "name": "warn_percent", "type": "integer", "label": "Warn at", "unit": "percent", "default": 90,
            "at_least": 1, "at_most": 100, "options": [],
            "help": "Share of the quota from which on there is a warning.",
        }  # fmt: skip

        (metric,) = [each for each in rules["quota_overrun"]["parameters"] if each["name"] == "metric"]
        assert (metric["type"], metric["default"], metric["options"]) == (
            "choice",
            "protected",
            ["protected", "stored"],
        )

    def test_a_contradiction_is_named_at_its_parameter(self, api: Caller, world: World) -> None:
        given = {"parameters": {"failures": 5, "critical_failures": 2}}
        refused = api.put(self.path(world), given)
        assert refused.status_code == 422
        assert list(refused.json()["errors"]["parameters"]) == ["critical_failures"]
        assert not RuleSetting.objects.of(world.tenant).exists()

    def test_put_replaces_and_looks_anew(self, api: Caller, world: World) -> None:
        JobState.objects.of(world.tenant).update(check_after=FAR)
        path = self.path(world, "quota_overrun")
        assert api.put(path, {"parameters": {"warn_percent": 80}, "severity": "info"}).status_code == 200
        assert JobState.objects.of(world.tenant).get().check_after < FAR
        assert SubjectState.objects.of(world.tenant).filter(subject_kind="client", subject_id=world.client.pk).exists()
        shown = api.put(path, {"enabled": False}).json()
        assert (shown["parameters"], shown["enabled"], shown["severity"]) == ({}, False, "")
        assert shown["scope_name"] == "Acme Dental"
        (listed,) = api.get("/rule-settings?kind=quota_overrun&scope=client").json()["items"]
        assert listed == shown

    def test_a_repeat_is_written_once(self, api: Caller, world: World) -> None:
        for _ in range(3):
            api.put(self.path(world), {"enabled": True})
        assert audited(world) == ["rule set"]

    @pytest.mark.parametrize(
        "parameters", [
            {"warn_percent": 0}, {"warn_percent": "80"}, {"warn_percent": True}, {"warn": 80}, {"a\x00b": 1},
            {"metric": "eaten"}, {"metric": ["stored"]}, {"metric": None},
        ],
    )  # fmt: skip
    def test_bad_parameters_are_named(self, parameters: dict[str, object], api: Caller, world: World) -> None:
        refused = api.put(self.path(world, "quota_overrun"), {"parameters": parameters})
        assert refused.status_code == 422
        assert list(refused.json()["errors"]["parameters"]) == list(parameters)
        assert not RuleSetting.objects.of(world.tenant).exists()

    def test_removing_twice_is_no_error(self, api: Caller, world: World) -> None:
        api.put(self.path(world), {"enabled": True})
        assert api.delete(self.path(world)).status_code == 204
        assert api.delete(self.path(world)).status_code == 204
        assert api.get("/rule-settings").json()["items"] == []
        assert audited(world) == ["rule set", "rule setting removed"]

    def test_every_kind_of_level(self, api: Caller, world: World) -> None:
        levels = {
            "tenant": world.tenant.uid,
            "reseller": Reseller.objects.of(world.tenant).get().uid,
            "client": world.client.uid,
            "selection": world.job.selection.uid,
            "job": world.job.uid,
        }
        for scope, uid in levels.items():
            assert api.put(f"/rule-settings/errors/{scope}/{uid}", {"enabled": True}).status_code == 200, scope
        listed = {item["scope"]: item["scope_uid"] for item in api.get("/rule-settings").json()["items"]}
        assert listed == {scope: str(uid) for scope, uid in levels.items()}
        assert api.put(f"/rule-settings/errors/job/{world.client.uid}", {}).status_code == 404
        assert api.put(f"/rule-settings/errors/tenant/{world.other.uid}", {}).status_code == 404


class TestAssignment:
    SENT = {"name": "n", "action": "new_job", "patterns": {"job": "{client}-*"}}

    def test_a_rule_lives_and_is_nobody_elses(self, api: Caller, callers: Callers, world: World) -> None:
        made = api.post("/assignment-rules", self.SENT)
        assert made.status_code == 201
        path = f"/assignment-rules/{made.json()['uid']}"
        assert api.patch(path, {"server": str(world.server.uid)}).json()["server"]["name"] == "backup01"
        assert api.patch(path, {"server": str(world.other_server.uid)}).status_code == 422
        for other in (callers.stranger, callers.reseller):
            assert other.get(path).status_code == other.delete(path).status_code == 404
            assert other.post(f"{path}/read-waiting").status_code == 404
            assert other.get("/assignment-rules").json()["items"] == []
        assert callers.reseller.post("/assignment-rules", self.SENT).status_code == 404
        assert callers.reseller.post("/assignment-rules/preview", self.SENT).status_code == 404
        assert api.delete(path).status_code == 204
        assert audited(world) == [f"assignment rule {what}" for what in ("added", "changed", "deleted")]

    def test_items_are_assigned_by_their_own_people_only(self, api: Caller, callers: Callers, world: World) -> None:
        item = InboxItem.objects.of(world.tenant).create(
            receipt_id=1, place=0, reason="unassigned", source_job="j", opened_at=NOW, server=world.server
        )
        body = {"items": [str(item.uid)], "new_jobs_of": str(world.client.uid)}
        for other in (callers.stranger, callers.reseller):
            assert other.post("/inbox/assign", body).status_code == 404
            assert other.get(f"/inbox/{item.uid}/suggestions").status_code == 404
        assert api.post("/inbox/assign", {"items": [str(item.uid)]}).status_code == 422
        assert api.post("/inbox/assign", body).json() == {"count": 1}
        assert BackupJob.objects.of(world.tenant).filter(name="j", server=world.server).exists()
        assert api.post("/inbox/assign", body).status_code == 404
