"""The pages of assignment: rules with their preview, proposed jobs, suggestions and bulk in the inbox; every role."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from msp.backups.models import BackupJob, JobState
from msp.estate.models import Selection
from msp.ingest.models import AssignmentRule, InboxItem
from msp.tenants.models import AuditEntry
from tests.dashboard.scene import browser_of
from tests.ingest.test_assigning import log, post, process
from tests.ingest.test_ruling import rule, second_way
from tests.world import START, World, make_job, make_server

TYPED = {"name": "By code", "pattern_item": "{client}-*", "action": "new_job", "enabled": "yes",
         "name_template": "{item}"}  # fmt: skip


@pytest.fixture
def technician(world: World) -> Browser:
    return browser_of(world.technician)


@pytest.fixture
def waiting(world: World) -> Any:
    server, _ = make_server(world.tenant, "holding")
    post(server, log({"job": "pve", "item": "acme-dental-<b>web"}, {"job": "pve", "item": "bay-bakery-db"}))
    process()
    return server


def test_a_rule_is_tried_stored_and_reads_what_waits(world: World, technician: Browser, waiting: Any) -> None:
    shown = technician.post(reverse("assignment-preview-new"), TYPED).content.decode()
    assert "<strong>2</strong> of 2 waiting logs" in shown
    assert "acme-dental-&lt;b&gt;web" in shown
    assert not AssignmentRule.objects.of(world.tenant).exists()
    answer = technician.post(reverse("assignment-rule-new"), TYPED)
    row = AssignmentRule.objects.of(world.tenant).get()
    assert answer["Location"] == reverse("assignment-rule", args=[row.uid])
    assert "Read these again" in technician.get(answer["Location"]).content.decode()
    assert technician.post(reverse("assignment-read", args=[row.uid])).status_code == 302
    process()
    assert BackupJob.objects.of(world.tenant).filter(server=waiting).count() == 2
    assert not InboxItem.objects.of(world.tenant).filter(state="open").exists()
    assert AuditEntry.objects.of(world.tenant).filter(action="assignment rule added", actor_id__isnull=False).exists()


def test_what_cannot_be_is_said_at_once_and_not_stored(world: World, technician: Browser) -> None:
    bad = TYPED | {"pattern_item": "*{client}"}
    assert "Put a character between" in technician.post(reverse("assignment-preview-new"), bad).content.decode()
    assert technician.post(reverse("assignment-rule-new"), bad).status_code == 422
    assert technician.post(reverse("assignment-rule-new"), TYPED | {"action": "job", "job": "x"}).status_code == 422
    assert not AssignmentRule.objects.of(world.tenant).exists()


@pytest.mark.parametrize(("role", "sees", "changes"), [("owner", 200, 302), ("technician", 200, 302),
                                                       ("billing", 200, 403), ("reseller_staff", 404, 404),
                                                       ("stranger", 200, 404)])  # fmt: skip
def test_who_may_see_and_change(world: World, role: str, sees: int, changes: int) -> None:
    row, job = rule(world, patterns={"job": "zzz"}), second_way(world)
    browser = browser_of(getattr(world, role))
    for name in ("assignment-rules", "proposed-jobs"):
        page = browser.get(reverse(name))
        assert page.status_code == sees
        assert role != "stranger" or job.name not in page.content.decode()
    assert browser.post(reverse("proposed-decide", args=[job.uid]), {"do": "yes"}).status_code == changes
    assert browser.post(reverse("assignment-move", args=[row.uid]), {"to": "up"}).status_code == changes
    assert browser.post(reverse("assignment-delete", args=[row.uid])).status_code == changes
    job.refresh_from_db()
    assert (job.state == "active") is (changes == 302)
    assert AssignmentRule.objects.of(world.tenant).exists() is (changes != 302)


def test_the_inbox_suggests_and_takes_many(world: World, technician: Browser, waiting: Any) -> None:
    post(world.server, log({"job": "known", "host": "h1"}), name="k")
    post(waiting, log({"job": "known", "host": "h1"}), name="2")
    process()
    listed = technician.get(reverse("inbox")).content.decode()
    assert "Perhaps known of Acme Dental (high)" in listed
    item = InboxItem.objects.of(world.tenant).get(source_job="known")
    assert "It moved here" in technician.get(reverse("inbox-item", args=[item.uid])).content.decode()
    uids = [str(uid) for uid in InboxItem.objects.of(world.tenant).values_list("uid", flat=True)]
    assert technician.post(reverse("inbox-settle"), {"item": uids, "do": "accept"}).status_code == 302
    assert InboxItem.objects.of(world.tenant).filter(state="open").count() == 2
    left = [str(row.uid) for row in InboxItem.objects.of(world.tenant).filter(state="open")]
    typed = {"item": left, "do": "new_jobs", "client": str(world.client.uid)}
    assert technician.post(reverse("inbox-settle"), typed).status_code == 302
    assert BackupJob.objects.of(world.tenant).get(name="known").server_id == waiting.pk
    assert BackupJob.objects.of(world.tenant).filter(server=waiting).count() == 3


def test_all_ticked_items_go_to_the_job_that_was_found(world: World, technician: Browser, waiting: Any) -> None:
    offered = technician.get(reverse("inbox-jobs"), {"job_text": world.job.name[:5]}).content.decode()
    assert f'<option value="{world.job.uid}">{world.job.name}' in offered
    assert "No job holds" in technician.get(reverse("inbox-jobs"), {"job_text": "<b>nothing"}).content.decode()
    assert "<b>" not in technician.get(reverse("inbox-jobs"), {"job_text": "<b>nothing"}).content.decode()
    uids = [str(uid) for uid in InboxItem.objects.of(world.tenant).filter(state="open").values_list("uid", flat=True)]
    assert len(uids) > 1
    assert "All to this job" in technician.get(reverse("inbox")).content.decode()
    typed = {"item": uids, "do": "job", "job": str(world.job.uid)}
    assert technician.post(reverse("inbox-settle"), typed).status_code == 302
    assert not InboxItem.objects.of(world.tenant).filter(state="open").exists()
    stranger = browser_of(world.stranger).get(reverse("inbox-jobs"), {"job_text": world.job.name[:5]})
    assert str(world.job.uid) not in stranger.content.decode()


# ---- two figures side by side --------------------------------------------------------------------------------------


@pytest.mark.parametrize("found, apart", [(101_000_000_000, False), (40_000_000_000, True), (None, False)])
def test_a_proposed_job_is_decided_with_both_figures_in_sight(world: World, found: int | None, apart: bool) -> None:
    second = make_job(world.tenant, world.server, world.client, "second", state="proposed")
    BackupJob.objects.of(world.tenant).filter(pk=second.pk).update(selection_id=world.job.selection_id)
    Selection.objects.of(world.tenant).filter(pk=world.job.selection_id).update(measuring_job_id=world.job.pk)
    states = JobState.objects.of(world.tenant)
    states.filter(job=world.job).update(protected_bytes=100_000_000_000, protected_at=START)
    states.filter(job=second).update(protected_bytes=found, protected_at=START)
    page = browser_of(world.technician).get(reverse("proposed-jobs")).content.decode()
    assert 'title="100,000,000,000 bytes"' in page
    assert found is None or f'title="{found:,} bytes"' in page
    assert ("far apart" in page) == apart
