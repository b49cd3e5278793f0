"""Try before you save, as people see it: the answer beside the form, refusals as sentences, nothing stored."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client as Browser
from django.urls import reverse

from alerts.models import RuleSetting
from msp.backups.models import BackupJob
from msp.tenants.models import User
from tests.dashboard import scene
from tests.dashboard.scene import browser_of
from tests.world import World, make_job


@pytest.fixture
def technician(world: World) -> Browser:
    return browser_of(world.technician)


@pytest.fixture
def gapped(world: World) -> BackupJob:
    """A job with a good run each night for the last ten weeks, but none on two nights a month ago."""
    now = scene.now()
    for day in range(70):
        if day not in (30, 31):
            scene.make_run(world.job, at=now - timedelta(days=day, hours=3))
    return world.job


def try_at(browser: Browser, world: World, kind: str, **typed: str) -> str:
    address = reverse("rule-try", args=["client", world.client.uid, kind])
    answer = browser.post(address, {f"{kind}-{name}": value for name, value in typed.items()})
    assert answer.status_code == 200, answer.content
    return " ".join(answer.content.decode().split())


def test_a_wider_tolerance_no_longer_flags_the_two_nights(world: World, technician: Browser, gapped: BackupJob) -> None:
    told = try_at(technician, world, "no_recent_backup", tolerance_hours="80")
    assert "<strong>1</strong> of 1 job at <strong>1</strong> client would have been flagged differently" in told
    assert "would not flag" in told
    assert "at most 1 day 2 hours between two" in told  # the sentence that it was flagged with
    assert "as set today at most 1 on a day" in told
    assert not RuleSetting.objects.of(world.tenant).exists()


def test_the_same_setting_changes_nothing(world: World, technician: Browser, gapped: BackupJob) -> None:
    told = try_at(technician, world, "no_recent_backup")
    assert "Nothing would have been flagged differently in the last 90 days, on 1 job." in told


def test_what_the_rule_refuses_is_a_sentence_and_not_a_chart(world: World, technician: Browser) -> None:
    told = try_at(technician, world, "no_recent_backup", tolerance_hours="0")
    assert "Tolerance must be from 1 to 8784 hours, not 0." in told
    assert "<svg" not in told


def test_a_rule_that_does_not_rest_on_runs_says_why_it_cannot_be_tried(world: World, technician: Browser) -> None:
    told = try_at(technician, world, "quota_overrun")
    assert "cannot be tried on the past: it is about a client" in told
    assert "<svg" not in told


def test_a_schedule_shows_its_next_starts_and_what_it_would_have_flagged(
    world: World, technician: Browser, gapped: BackupJob
) -> None:
    args = [gapped.uid]
    typed = {"schedule": "weekdays 22:00", "timezone": "Europe/Berlin"}
    starts = technician.post(reverse("job-upcoming", args=args), typed).content.decode()
    assert starts.count("<li>") == 5 == starts.count(" 22:00 CE")
    tried = technician.post(reverse("job-try", args=args), typed).content.decode()
    assert "in the last 90 days" in tried
    gapped.refresh_from_db()
    assert gapped.schedule == ""


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"schedule": "0 0 31 2 *"}, "There is no day 31 in month 2"),
        ({"schedule": "every now and then"}, "is not an interval"),
        ({"schedule": "daily 22:00", "timezone": "Atlantis"}, "is no time zone"),
    ],
)
def test_an_impossible_schedule_is_refused_with_a_sentence(
    world: World, technician: Browser, typed: dict[str, str], sentence: str
) -> None:
    for name in ("job-upcoming", "job-try"):
        assert sentence in technician.post(reverse(name, args=[world.job.uid]), typed).content.decode()


@pytest.mark.parametrize(("person", "status"), [("stranger", 404), ("reseller_staff", 404), ("billing", 403)])
def test_others_try_nothing(world: World, person: str, status: int) -> None:
    user: User = getattr(world, person)
    browser = browser_of(user)
    addresses = [
        reverse("rule-try", args=["client", world.client.uid, "errors"]),
        reverse("job-try", args=[world.job.uid]),
        reverse("job-upcoming", args=[world.job.uid]),
    ]
    assert {browser.post(each).status_code for each in addresses} == {status}


def test_jobs_of_other_clients_are_not_counted(world: World, technician: Browser, gapped: BackupJob) -> None:
    elsewhere = make_job(world.tenant, world.server, world.resold_client, "mail")
    scene.make_run(elsewhere, at=scene.now() - timedelta(days=50))
    assert "on 1 job." in try_at(technician, world, "errors")


def test_hold_escalation_and_whom_it_tells_are_set_and_say_where_they_come_from(
    world: World, technician: Browser
) -> None:
    address = reverse("rule-change", args=["client", world.client.uid, "errors"])
    typed = {"errors-hold_minutes": "45", "errors-escalate_hours": "24", "errors-tells": "report", "do": "save"}
    assert technician.post(address, typed).status_code == 302
    row = RuleSetting.objects.of(world.tenant).get()
    assert (row.hold_minutes, row.escalate_hours, row.tells) == (45, 24, "report")
    page = technician.get(reverse("rules-of", args=["job", world.job.uid])).content.decode()
    assert "Inherited: 45 minutes, from client Acme Dental." in page
    assert "Inherited: only lists and reports, from client Acme Dental." in page
    refused = technician.post(address, {"errors-hold_minutes": "99999", "do": "save"})
    assert (refused.status_code, "Hold must be from 0 to 10,080 minutes" in refused.content.decode()) == (422, True)
