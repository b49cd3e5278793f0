"""The pages of incidents: assigned, accepted, several at once; what is quiet is shown and said, never hidden."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alerts.models import Incident, IncidentEvent, RuleSetting
from msp.backups.models import BackupJob
from msp.estate.models import Client, Site, Volume
from tests.dashboard import scene
from tests.dashboard.conftest import Stage
from tests.dashboard.scene import browser_of
from tests.world import make_person

HOUR = timedelta(hours=1)


def change(incident: Incident, **values: object) -> None:
    Incident.objects.of(incident.tenant_id).filter(pk=incident.pk).update(**values)


def page_of(stage: Stage, address: str) -> str:
    response = browser_of(stage.world.technician).get(address)
    assert response.status_code == 200
    text: str = response.content.decode()
    return text


def test_taking_giving_and_taking_back(stage: Stage) -> None:
    browser, address = browser_of(stage.world.technician), f"/incidents/{stage.incident.uid}/"
    assert "Take it" in page_of(stage, address)
    browser.post(f"{address}assign/")
    stage.incident.refresh_from_db()
    assert stage.incident.assigned_to == stage.world.technician
    assert "Take it" not in page_of(stage, address)
    browser.post(f"{address}assign/", {"person": str(stage.world.owner.uid)})
    stage.incident.refresh_from_db()
    assert stage.incident.assigned_to == stage.world.owner
    assert f"<strong>{stage.world.owner.name}</strong>" in page_of(stage, address)
    browser.post(f"{address}unassign/")
    stage.incident.refresh_from_db()
    assert stage.incident.assigned_to is None


@pytest.mark.parametrize("action", ["assign/", "unassign/", "accept/"])
def test_who_may_not_act(stage: Stage, action: str) -> None:
    reader = make_person(stage.world.tenant, "reader@northwind.example", role="reader")
    change(stage.incident, sticky=True)
    for person, status in ((reader, 403), (stage.world.reseller_staff, 403), (stage.world.stranger, 404)):
        address = f"/incidents/{stage.incident.uid}/{action}"
        assert browser_of(person).post(address, {"reason": "Fine."}).status_code == status
    stage.incident.refresh_from_db()
    assert (stage.incident.state, stage.incident.assigned_to) == ("open", None)


def test_nobody_elses_people_are_offered_or_taken(stage: Stage) -> None:
    address = f"/incidents/{stage.incident.uid}/"
    page = page_of(stage, address)
    for person in (stage.world.stranger, stage.world.reseller_staff):
        assert str(person.uid) not in page
        refused = browser_of(stage.world.technician).post(f"{address}assign/", {"person": str(person.uid)})
        assert refused.status_code == 409
    assert browser_of(stage.world.technician).post(f"{address}assign/", {"person": "me"}).status_code == 409
    resold = browser_of(stage.world.reseller_staff).get(f"/incidents/{stage.resold_incident.uid}/").content.decode()
    assert stage.world.owner.name not in resold, "a reseller does not see who works at the company"


def test_what_waits_for_a_person_says_so_and_closes_with_a_reason(stage: Stage) -> None:
    browser, address = browser_of(stage.world.technician), f"/incidents/{stage.incident.uid}/"
    assert "Accept and close" not in page_of(stage, address)
    assert browser.post(f"{address}accept/", {"reason": "Fine."}).status_code == 409
    change(stage.incident, sticky=True, clear_proposed_at=scene.now(), clear_reason="The size is as before.")
    page = page_of(stage, address)
    for shown in ("Is it fine now?", "The size is as before.", "Accept and close", "waits to be accepted"):
        assert shown in page
    assert "Close by hand" not in page, "one way to close it, not two"
    assert "1 incident waits to be accepted" in page_of(stage, "/")
    assert browser.post(f"{address}accept/", {"reason": " "}).status_code == 409
    browser.post(f"{address}accept/", {"reason": "The archive moved."})
    stage.incident.refresh_from_db()
    assert stage.incident.state == "closed"
    assert stage.incident.close_reason == "Accepted by tech@northwind.example: The archive moved."


def test_the_page_says_which_setting_won_and_how_it_lives(stage: Stage) -> None:
    world = stage.world
    RuleSetting.objects.of(world.tenant).create(
        kind="errors", scope_kind="client", scope_id=world.client.pk, escalate_hours=12, tells="report",
        updated_at=scene.now(),
    )  # fmt: skip
    change(stage.incident, reopened_count=3, calm_since=scene.now() - HOUR, escalated="critical")
    page = page_of(stage, f"/incidents/{stage.incident.uid}/")
    for shown in (
        "Why it was flagged", "client Acme Dental", "each 12 hours", "no ticket", "came back 3 times",
        "raised to critical", "gone since",
    ):  # fmt: skip
        assert shown in page, shown


def listed(stage: Stage, standing: str) -> bool:
    return str(stage.incident.uid) in page_of(stage, f"/incidents/?standing={standing}")


def test_standings_of_the_list(stage: Stage) -> None:
    change(stage.resold_incident, state="closed", closed_at=scene.now())
    assert {standing for standing in STANDINGS if listed(stage, standing)} == {"", "needs", "nobody", "untold", "all"}
    later = scene.now() + HOUR
    change(stage.incident, silenced_until=later)
    assert (listed(stage, "silenced"), listed(stage, "needs"), listed(stage, "")) == (True, False, True)
    cause = scene.make_incident(stage.world.job, kind="server_silent")
    change(stage.incident, silenced_until=scene.now() - HOUR, cause_id=cause.pk)
    assert (listed(stage, "under"), listed(stage, "needs"), listed(stage, "")) == (True, False, True)
    change(stage.incident, cause_id=None, assigned_to=stage.world.technician)
    assert (listed(stage, "mine"), listed(stage, "nobody")) == (True, False)
    assert (
        str(stage.incident.uid) not in browser_of(stage.world.owner).get("/incidents/?standing=mine").content.decode()
    )


STANDINGS = (
    "", "needs", "mine", "nobody", "silenced", "under", "observed", "untold", "acknowledged", "snoozed", "closed", "all"
)  # fmt: skip


@pytest.mark.parametrize("level", ["tenant", "client", "job"])
def test_what_is_only_observed_is_listed_and_told_on_the_overview(stage: Stage, level: str) -> None:
    world = stage.world
    assert not listed(stage, "observed")
    assert "only observed" not in page_of(stage, "/")
    if level == "tenant":
        world.tenant.tickets_enabled = False
        world.tenant.save()
    elif level == "client":
        Client.objects.of(world.tenant).filter(pk=world.client.pk).update(tickets_enabled=False)
    else:
        BackupJob.objects.of(world.tenant).filter(pk=world.job.pk).update(observed=True)
    assert listed(stage, "observed")
    assert listed(stage, "needs"), "it needs somebody all the same"
    page = page_of(stage, "/")
    assert "only observed:" in page
    assert "no ticket is opened" in page


def test_silenced_and_kept_under_are_told_on_the_overview(stage: Stage) -> None:
    cause = scene.make_incident(stage.world.job, kind="server_silent")
    change(stage.incident, silenced_until=scene.now() + HOUR)
    change(stage.resold_incident, cause_id=cause.pk)
    page = page_of(stage, "/")
    assert "1 silenced" in page
    assert "1 kept under another incident" in page
    assert "1 needs somebody" in page
    assert "silenced until" in page_of(stage, "/incidents/")


@pytest.mark.parametrize(
    ("typed", "kind", "words"),
    [
        ({"do": "acknowledge", "note": "On it."}, "acknowledged", "2 incidents acknowledged."),
        ({"until": "1h"}, "snoozed", "2 incidents put off."),
        ({"do": "take"}, "assigned", "2 incidents assigned to you."),
        ({"do": "close", "note": "Scrapped."}, "closed", "2 incidents closed."),
    ],
)
def test_several_at_once(stage: Stage, typed: dict[str, str], kind: str, words: str) -> None:
    items = [str(stage.incident.uid), str(stage.resold_incident.uid)]
    answer = browser_of(stage.world.technician).post("/incidents/several/", {"item": items, **typed}, follow=True)
    assert words in answer.content.decode()
    assert IncidentEvent.objects.of(stage.world.tenant).filter(kind=kind).count() == 2


@pytest.mark.parametrize("typed", [{}, {"do": "burn"}, {"do": "close", "note": " "}, {"until": "never"}])
def test_several_at_once_refused_with_a_sentence(stage: Stage, typed: dict[str, str]) -> None:
    form = {"item": [str(stage.incident.uid)], **typed}
    assert browser_of(stage.world.technician).post("/incidents/several/", form).status_code == 409
    assert IncidentEvent.objects.of(stage.world.tenant).filter(incident=stage.incident).count() == 1


def test_several_at_once_is_for_those_who_may_write(stage: Stage) -> None:
    reader = make_person(stage.world.tenant, "reader@northwind.example", role="reader")
    form = {"item": [str(stage.incident.uid)], "do": "take"}
    assert [browser_of(one).post("/incidents/several/", form).status_code for one in (
        reader, stage.world.reseller_staff, stage.world.stranger)] == [403, 403, 302]  # fmt: skip
    stage.incident.refresh_from_db()
    assert stage.incident.assigned_to is None


def test_lists_name_what_an_incident_is_about(stage: Stage) -> None:
    """Never by a number of ours: a volume with its server, a site, a machine, a selection, a channel."""
    tenant, world = stage.world.tenant, stage.world
    volume = Volume.objects.of(tenant).create(server=world.server, name="vault-b")
    site = Site.objects.of(tenant).create(client=world.client, name="Harbour street", timezone="")
    about = {
        "volume": (volume.pk, "volume_full", {"server_id": world.server.pk}),
        "site": (site.pk, "site_silent", {}),
        "selection": (world.job.selection_id, "restore_untested", {}),
    }
    for kind, (subject_id, rule, values) in about.items():
        made = scene.make_incident(world.job, kind=rule, summary="x")
        change(made, subject_kind=kind, subject_id=subject_id, job_id=None, fingerprint=f"{rule}:{kind}:1", **values)
    page = page_of(stage, "/incidents/")
    assert "vault-b on backup01" in page
    assert "Harbour street" in page
    assert world.job.selection.name in page
    assert f"Volume {volume.pk}" not in page
