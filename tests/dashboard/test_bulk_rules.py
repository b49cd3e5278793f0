"""A rule set for many at once: chosen by a filter, tried, saved with one audit entry each; and the rules of a job."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from alerts.models import RuleSetting
from msp.backups.models import BackupJob
from msp.tenants.models import AuditEntry
from tests.dashboard import scene
from tests.dashboard.scene import browser_of
from tests.world import World, make_job

BULK = "/settings/rules/many/"


@pytest.fixture
def technician(world: World) -> Browser:
    return browser_of(world.technician)


@pytest.fixture
def jobs(world: World) -> list[BackupJob]:
    """Two of Acme Dental, one by restic, and one of the reseller's client; each ran last 50 hours ago."""
    made = [
        world.job,
        make_job(world.tenant, world.server, world.client, "db", product="restic"),
        make_job(world.tenant, world.server, world.resold_client, "mail", product="restic"),
    ]
    for job in made:
        for days in range(2, 30):
            scene.make_run(job, at=scene.now() - timedelta(days=days, hours=2))
    return made


def ask(browser: Browser, do: str, **typed: str) -> Any:
    given = {"what": "no_recent_backup.tolerance_hours", "value": "80", "level": "job", "do": do, **typed}
    return browser.post(BULK, given)


def stored(world: World) -> dict[tuple[str, int], Any]:
    rows = RuleSetting.objects.of(world.tenant).filter(kind="no_recent_backup")
    return {(row.scope_kind, row.scope_id): row.parameters for row in rows}


def test_trying_says_what_it_touches_and_stores_nothing(
    world: World, technician: Browser, jobs: list[BackupJob]
) -> None:
    page = " ".join(ask(technician, "try", product="restic").content.decode().split())
    assert "This touches 2 jobs" in page
    assert "Acme Dental: db: nothing set → 80" in page
    assert "<strong>2</strong> of 2 jobs at <strong>2</strong> clients would have been flagged differently" in page
    assert stored(world) == {}


def test_saving_sets_the_chosen_ones_with_an_audit_entry_each(
    world: World, technician: Browser, jobs: list[BackupJob]
) -> None:
    RuleSetting.objects.of(world.tenant).create(
        kind="no_recent_backup", scope_kind="job", scope_id=jobs[1].pk, parameters={"grace_minutes": 5},
        updated_at=scene.now(),
    )  # fmt: skip
    assert ask(technician, "save", client=str(world.client.uid)).status_code == 302
    assert stored(world) == {
        ("job", jobs[0].pk): {"tolerance_hours": 80},
        ("job", jobs[1].pk): {"grace_minutes": 5, "tolerance_hours": 80},
    }
    entries = AuditEntry.objects.of(world.tenant).filter(action="rule set").order_by("subject_id")
    assert [(entry.subject_id, entry.after, entry.actor) for entry in entries] == [
        (jobs[0].pk, {"parameters": {"tolerance_hours": 80}}, "tech@northwind.example"),
        (jobs[1].pk, {"parameters": {"grace_minutes": 5, "tolerance_hours": 80}}, "tech@northwind.example"),
    ]


def test_a_repeat_changes_nothing_and_unsetting_leaves_nothing_behind(
    world: World, technician: Browser, jobs: list[BackupJob]
) -> None:
    for _ in range(2):
        ask(technician, "save", level="client")
    assert set(stored(world)) == {("client", world.client.pk), ("client", world.resold_client.pk)}
    assert AuditEntry.objects.of(world.tenant).filter(action="rule set").count() == 2
    ask(technician, "save", level="client", value="", current="80")
    assert stored(world) == {}


def test_the_value_of_today_chooses_too(world: World, technician: Browser, jobs: list[BackupJob]) -> None:
    RuleSetting.objects.of(world.tenant).create(
        kind="no_recent_backup", scope_kind="client", scope_id=world.client.pk, parameters={"tolerance_hours": 30},
        updated_at=scene.now(),
    )  # fmt: skip
    ask(technician, "save", current="30")
    assert set(stored(world)) == {("client", world.client.pk), ("job", jobs[0].pk), ("job", jobs[1].pk)}


def test_the_number_of_statements_does_not_grow(world: World, technician: Browser, jobs: list[BackupJob]) -> None:
    def statements(do: str) -> int:
        RuleSetting.objects.of(world.tenant).all().delete()
        with CaptureQueriesContext(
            connection,
        ) as captured:
            ask(technician, do)
        return len(captured)

    few = [statements(do) for do in ("try", "save")]
    for number in range(6):
        make_job(world.tenant, world.server, world.client, f"more {number}")
    assert [statements(do) for do in ("try", "save")] == few


@pytest.mark.parametrize("value", ["0", "99999", "soon"])
def test_what_the_rule_refuses_is_refused_with_its_sentence(
    world: World, technician: Browser, jobs: list[BackupJob], value: str
) -> None:
    refused = ask(technician, "save", value=value)
    assert refused.status_code == 422
    assert 'role="alert"' in refused.content.decode()
    assert stored(world) == {}


@pytest.mark.parametrize(("person", "status"), [("stranger", 200), ("reseller_staff", 404), ("billing", 403)])
def test_others_set_nothing_here(world: World, jobs: list[BackupJob], person: str, status: int) -> None:
    browser = browser_of(getattr(world, person))
    answer = ask(browser, "try")
    assert answer.status_code == status
    assert "Acme" not in answer.content.decode()
    ask(browser, "save")
    assert stored(world) == {}


def test_the_page_of_a_job_says_what_each_rule_says_and_by_which_setting(
    world: World, technician: Browser, jobs: list[BackupJob]
) -> None:
    ask(technician, "save", level="client", value="33")
    page = " ".join(technician.get(reverse("job", args=[world.job.uid])).content.decode().split())
    here = page[page.index('id="rules-here"') :]
    assert 'Tolerance: 33 hours <span class="badge badge-accent">client Acme Dental</span>' in here
    assert "<dt>Asked again</dt><dd>with the next log</dd>" in here
    assert "cannot be checked" in here
    assert "fine" in here
