"""A learned schedule is shown as a guess, becomes the job's own by one click, or is left aside; both are audited."""

from __future__ import annotations

import pytest
from django.test import Client as Browser
from django.urls import reverse

from alerts.models import RuleSetting
from msp.backups.models import JobHistory
from msp.tenants.models import AuditEntry
from tests.dashboard.scene import browser_of
from tests.world import World

GUESS = {"schedule": "daily 22:00", "confidence": 96, "samples": 28, "because": "27 of 28 began then.", "since": 0}


@pytest.fixture
def technician(world: World) -> Browser:
    JobHistory.objects.of(world.tenant).update_or_create(
        job=world.job, defaults={"tenant": world.tenant, "learned": {**GUESS, "ripe": True}}
    )
    return browser_of(world.technician)


def page(browser: Browser, world: World) -> str:
    return " ".join(browser.get(reverse("job", args=[world.job.uid])).content.decode().split())


def test_it_says_that_it_is_a_guess_how_sure_and_why(world: World, technician: Browser) -> None:
    shown = page(technician, world)
    assert "Its runs keep <strong>daily 22:00</strong>: 96 % of 28 runs fit. 27 of 28 began then." in shown
    assert "Use this" in shown


def test_use_this_sets_the_schedule(world: World, technician: Browser) -> None:
    technician.post(reverse("guess-use", args=[world.job.uid]), {"schedule": "daily 22:00"})
    world.job.refresh_from_db()
    assert world.job.schedule == "daily 22:00"
    (entry,) = AuditEntry.objects.of(world.tenant).filter(action="job changed")
    assert entry.after == {"schedule": "daily 22:00"}
    assert "a guess" not in page(technician, world)


def test_another_guess_than_the_one_shown_is_not_taken(world: World, technician: Browser) -> None:
    answer = technician.post(reverse("guess-use", args=[world.job.uid]), {"schedule": "daily 20:00"})
    assert answer.status_code == 409
    world.job.refresh_from_db()
    assert world.job.schedule == ""


def test_not_this_leaves_guesses_aside_and_keeps_what_else_is_set(world: World, technician: Browser) -> None:
    RuleSetting.objects.of(world.tenant).create(
        kind="did_not_start", scope_kind="job", scope_id=world.job.pk, parameters={"start_grace_minutes": 30},
        updated_at=world.job.registered_at,
    )  # fmt: skip
    technician.post(reverse("guess-refuse", args=[world.job.uid]))
    row = RuleSetting.objects.of(world.tenant).get()
    assert row.parameters == {"start_grace_minutes": 30, "learned_confidence": 0}
    assert "a guess" not in page(technician, world)
    assert AuditEntry.objects.of(world.tenant).filter(action="rule set").count() == 1


@pytest.mark.parametrize(("person", "status"), [("stranger", 404), ("reseller_staff", 404), ("billing", 403)])
def test_others_decide_nothing(world: World, technician: Browser, person: str, status: int) -> None:
    browser = browser_of(getattr(world, person))
    for name in ("guess-use", "guess-refuse"):
        assert browser.post(reverse(name, args=[world.job.uid]), {"schedule": "daily 22:00"}).status_code == status
