"""The log viewer: numbers, telling lines, search, download, and whose lines a reseller sees."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from msp.backups.models import JobRun
from msp.ingest.models import Body, InboxItem
from tests.dashboard import scene
from tests.dashboard.conftest import Stage, run_address
from tests.dashboard.scene import browser_of

SHARED = "alpha 1\nalpha 2\nbeta 1\nbeta 2\nbeta 3\n"


def test_telling_lines_are_marked_with_their_numbers(stage: Stage) -> None:
    page = browser_of(stage.world.technician).get(run_address(stage.run)).content.decode()
    assert re.findall(r'<li id="L(\d+)" class="telling">', page) == ["2"]
    assert page.count('<li id="L') == 3


def test_searching_shows_only_lines_with_the_text(stage: Stage) -> None:
    page = browser_of(stage.world.technician).get(f"{run_address(stage.run)}?text=SNAPSHOT").content.decode()
    assert "<mark>snapshot</mark>" in page
    assert re.findall(r'<li id="L(\d+)"', page) == ["3"]
    page = browser_of(stage.world.technician).get(f"{run_address(stage.run)}?text=nowhere").content.decode()
    assert "No line holds “nowhere”" in page


def test_a_long_log_is_shown_in_windows(stage: Stage) -> None:
    receipt = scene.make_receipt(stage.world.tenant, "".join(f"line {n}\n" for n in range(1, 4501)))
    run = scene.make_run(stage.world.job, at=scene.now() - timedelta(hours=9), receipt_id=receipt.pk)
    browser = browser_of(stage.world.technician)
    page = browser.get(run_address(run)).content.decode()
    assert re.findall(r'<li id="L(\d+)"', page)[-1] == "2000"
    assert "?from=2001#log" in page
    page = browser.get(f"{run_address(run)}?from=4001").content.decode()
    shown = re.findall(r'<li id="L(\d+)"', page)
    assert (shown[0], shown[-1]) == ("4001", "4500")
    assert "?from=2001#log" in page
    assert "Later lines" not in page


def test_the_download_is_text_and_nothing_else(stage: Stage) -> None:
    response = browser_of(stage.world.technician).get(f"{run_address(stage.run)}log.txt")
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert re.fullmatch(r'attachment; filename="Acme-Dental-files-\d{8}-\d{4}\.txt"', response["Content-Disposition"])
    assert response.content.decode() == scene.LOG


def test_a_hostile_job_name_does_not_reach_the_header(stage: Stage) -> None:
    stage.world.job.name = 'x"\r\nSet-Cookie: a=b; filename="../../etc/passwd'
    stage.world.job.save()
    header = browser_of(stage.world.technician).get(f"{run_address(stage.run)}log.txt")["Content-Disposition"]
    assert re.fullmatch(r'attachment; filename="[A-Za-z0-9._-]+"', header)


def test_control_characters_do_not_reach_the_page(stage: Stage) -> None:
    receipt = scene.make_receipt(stage.world.tenant, "before\x1b[31mred\x00 \u202eback\u2066 after\r\n")
    run = scene.make_run(stage.world.job, at=scene.now() - timedelta(hours=9), receipt_id=receipt.pk)
    page = browser_of(stage.world.technician).get(run_address(run)).content.decode()
    assert "beforered back after" in page


def test_a_log_that_is_gone_says_so(stage: Stage) -> None:
    Body.objects.of(stage.world.tenant).all().delete()
    browser = browser_of(stage.world.technician)
    assert "The log is no longer kept" in browser.get(run_address(stage.run)).content.decode()
    assert browser.get(f"{run_address(stage.run)}log.txt").status_code == 404


@pytest.fixture
def shared(stage: Stage) -> JobRun:
    """A delivery with runs of two clients; answers the reseller's, lines 3 to 5."""
    receipt = scene.make_receipt(stage.world.tenant, SHARED)
    at = scene.now() - timedelta(hours=9)
    scene.make_run(stage.world.job, at=at, receipt_id=receipt.pk, first_line=1, last_line=2)
    return scene.make_run(stage.resold_job, at=at, receipt_id=receipt.pk, place=1, first_line=3, last_line=5)


def test_a_reseller_sees_only_its_lines_of_a_shared_log(stage: Stage, shared: JobRun) -> None:
    browser = browser_of(stage.world.reseller_staff)
    page = browser.get(run_address(shared)).content.decode()
    assert "alpha" not in page
    assert re.findall(r'<li id="L(\d+)"', page) == ["3", "4", "5"]
    assert "Only the lines of this run are shown" in page
    assert browser.get(f"{run_address(shared)}log.txt").content.decode() == "beta 1\nbeta 2\nbeta 3\n"
    assert "No line holds “alpha”" in browser.get(f"{run_address(shared)}?text=alpha").content.decode()


def test_the_msp_sees_all_of_a_shared_log(stage: Stage, shared: JobRun) -> None:
    page = browser_of(stage.world.technician).get(run_address(shared)).content.decode()
    assert "alpha 1" in page
    assert "Only the lines of this run" not in page


def test_a_shared_log_whose_lines_cannot_be_told_apart_is_not_shown(stage: Stage, shared: JobRun) -> None:
    JobRun.objects.of(stage.world.tenant).filter(pk=shared.pk).update(first_line=None, last_line=None)
    browser = browser_of(stage.world.reseller_staff)
    page = browser.get(run_address(shared)).content.decode()
    assert "beta 1" not in page
    assert "alpha 1" not in page
    assert browser.get(f"{run_address(shared)}log.txt").content == b""


def test_an_unassigned_part_may_be_anybodys(stage: Stage) -> None:
    receipt = scene.make_receipt(stage.world.tenant, SHARED, runs=1)
    at = scene.now() - timedelta(hours=9)
    run = scene.make_run(stage.resold_job, at=at, receipt_id=receipt.pk, first_line=3, last_line=5)
    browser = browser_of(stage.world.reseller_staff)
    assert "alpha 1" in browser.get(run_address(run)).content.decode()
    InboxItem.objects.of(stage.world.tenant).create(
        receipt_id=receipt.pk, place=0, reason="unassigned", opened_at=scene.now()
    )
    assert "alpha 1" not in browser.get(run_address(run)).content.decode()


def test_an_envelope_is_laid_open(stage: Stage) -> None:
    envelope = '{"stdout": "first\\nsecond\\n", "stderr": "Fatal: third\\n", "exit_code": 1}'
    receipt = scene.make_receipt(stage.world.tenant, envelope, meta={"envelope": True})
    at = scene.now() - timedelta(hours=9)
    run = scene.make_run(stage.world.job, at=at, receipt_id=receipt.pk, errors=[{"message": "Fatal: third"}])
    browser = browser_of(stage.world.technician)
    assert browser.get(f"{run_address(run)}log.txt").content.decode() == "first\nsecond\nFatal: third\n"
    page = browser.get(run_address(run)).content.decode()
    assert re.findall(r'<li id="L(\d+)" class="telling">', page) == ["3"]


def test_a_broken_envelope_is_shown_as_sent(stage: Stage) -> None:
    receipt = scene.make_receipt(stage.world.tenant, '{"stdout": ', meta={"envelope": True})
    run = scene.make_run(stage.world.job, at=scene.now() - timedelta(hours=9), receipt_id=receipt.pk)
    assert browser_of(stage.world.technician).get(f"{run_address(run)}log.txt").content == b'{"stdout": \n'
