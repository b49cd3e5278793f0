"""A job's history and clock, and a client's sizes: nothing lost between pages, nothing counted twice."""

from __future__ import annotations

import re
from datetime import timedelta

from alerts.models import RuleSetting
from msp.backups.models import BackupJob, JobSelectionSpan, JobState
from msp.backups.queries import runs_of_job, size_trend, totals_by_client
from msp.estate.queries import Reach
from tests.dashboard import scene
from tests.dashboard.scene import browser_of
from tests.world import World


def test_pages_of_a_history_hold_every_run_once(world: World) -> None:
    at = scene.now() - timedelta(days=2)
    for number in (0, 1, 1, 1, 2, 3):
        scene.make_run(world.job, at=at + timedelta(hours=number))
    reach, seen, before = Reach(world.tenant.pk), [], None
    for _ in range(6):
        page = runs_of_job(reach, world.job.pk, now=scene.now(), before=before, limit=3)
        seen += [run.uid for run in page.rows]
        before = page.older_than
        if before is None:
            break
    assert len(seen) == len(set(seen)) == 6


def test_the_page_leads_to_older_runs(world: World) -> None:
    for day in range(25):
        scene.make_run(world.job, at=scene.now() - timedelta(days=day + 1))
    browser = browser_of(world.technician)
    page = browser.get(f"/jobs/{world.job.uid}/").content.decode()
    older = re.findall(r'href="(\?before=[^"]+)"', page)
    assert len(older) == 1
    page = browser.get(f"/jobs/{world.job.uid}/{older[0]}").content.decode()
    assert page.count('href="/runs/') == 5
    assert "?before=" not in page


def test_a_cursor_that_is_no_moment_is_the_first_page(world: World) -> None:
    scene.make_run(world.job, at=scene.now() - timedelta(days=1))
    for typed in ("yesterday", "2026-02-31T00:00:00Z", "2026-01-01T00:00:00"):
        response = browser_of(world.technician).get(f"/jobs/{world.job.uid}/", {"before": typed})
        assert response.content.decode().count('href="/runs/') == 1


def test_the_clock_says_until_when_and_which_setting_won(world: World) -> None:
    scene.fold(world.job, last_good_at=scene.now() - timedelta(hours=5), last_outcome="success")
    RuleSetting.objects.of(world.tenant).create(
        kind="no_recent_backup", scope_kind="client", scope_id=world.client.pk,
        parameters={"tolerance_hours": 90}, updated_at=scene.now(),
    )  # fmt: skip
    page = browser_of(world.technician).get(f"/jobs/{world.job.uid}/").content.decode()
    assert "Good until" in page
    assert "without a schedule it may be 3 days 18 hours old (client Acme Dental), with 1 hour added" in page
    assert "90 hours" in page


def test_an_overdue_job_says_since_when(world: World) -> None:
    BackupJob.objects.of(world.tenant).filter(pk=world.job.pk).update(schedule="every 6h")
    scene.fold(world.job, last_good_at=scene.now() - timedelta(hours=9))
    page = browser_of(world.technician).get(f"/jobs/{world.job.uid}/").content.decode()
    assert "Overdue since" in page
    assert "the schedule &quot;every 6h&quot; (UTC) says when the next is due" in page


def test_a_paused_job_has_no_clock(world: World) -> None:
    BackupJob.objects.of(world.tenant).filter(pk=world.job.pk).update(state="paused")
    page = browser_of(world.technician).get(f"/jobs/{world.job.uid}/").content.decode()
    assert "this job is paused, so it has no clock" in page


def test_two_jobs_on_one_selection_are_counted_once(world: World) -> None:
    selection = world.job.selection
    copy = BackupJob.objects.of(world.tenant).create(
        server=world.server, selection=selection, name="copy", role="copy", registered_at=scene.now()
    )
    JobSelectionSpan.objects.of(world.tenant).create(job=copy, selection=selection, since=scene.now().date())
    JobState.objects.of(world.tenant).create(job=copy, protected_bytes=700, protected_at=scene.now())
    scene.fold(world.job, protected_bytes=500, protected_at=scene.now() - timedelta(days=1))
    totals = totals_by_client(Reach(world.tenant.pk))[world.client.pk]
    assert (totals.jobs, totals.protected_bytes) == (2, 700)
    selection.measuring_job_id = world.job.pk
    selection.save()
    assert totals_by_client(Reach(world.tenant.pk))[world.client.pk].protected_bytes == 500


def test_a_size_stands_until_the_next_is_measured(world: World) -> None:
    noon = scene.now().replace(hour=12, minute=0, second=0)
    scene.make_run(world.job, at=noon - timedelta(days=4), protected_bytes=100)
    scene.make_run(world.job, at=noon - timedelta(days=2), protected_bytes=300)
    scene.make_run(world.job, at=noon - timedelta(days=1), outcome="failure", protected_bytes=1)
    first, last = (noon - timedelta(days=5)).date(), noon.date() - timedelta(days=1)
    points = size_trend(Reach(world.tenant.pk), [world.job.pk], first_day=first, last_day=last, zone="UTC")
    assert [point.size_bytes for point in points] == [100, 100, 300, 300]
    assert points[0].day == first + timedelta(days=1)
