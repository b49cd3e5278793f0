"""A client's month: figures recomputed by hand, versions, sign-off, what is whose; and its PDF."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.urls import reverse

from alerts.models import ClientReport, DailyVerdict, Incident, RestoreTest
from alerts.reports.client_month import Month, NoSuchMonth, make_report, month_values, percent, sign_report
from alerts.reports.client_pdf import draw_report
from msp.estate.models import Machine, Waiver
from tests.dashboard.scene import browser_of
from tests.world import World, make_client, make_job

OCTOBER, NOW = date(2026, 10, 1), datetime(2026, 11, 2, 8, tzinfo=UTC)


def nights(world: World, verdicts: str, *, first: date = OCTOBER, job: Any = None, **values: Any) -> None:
    """One letter a night: g good, w warning, f failed, m missed, n not heard, - not due."""
    names = {"g": "good", "w": "warning", "f": "failed", "m": "missed", "n": "not heard", "-": "not due"}
    job = job or world.job
    for step, letter in enumerate(verdicts):
        DailyVerdict.objects.of(world.tenant).create(
            job_id=job.pk, night=first + timedelta(days=step), client_id=values.get("client_id", world.client.pk),
            selection_id=job.selection_id, server_id=job.server_id, verdict=names[letter], written_at=NOW,
            protected_bytes=values.get("size", 1000) + step if letter == "g" else None,
        )  # fmt: skip


def values_of(world: World, first: date = OCTOBER) -> dict[str, Any]:
    return month_values(world.tenant, world.client, Month.of(first, world.tenant.timezone))


@pytest.mark.parametrize(("part", "whole", "told"), [(2, 3, "66.6"), (999, 1000, "99.9"), (5, 5, "100.0"), (0, 0, "")])
def test_percentages_are_cut(part: int, whole: int, told: str) -> None:
    assert percent(part, whole) == told


@pytest.mark.parametrize(
    ("first", "zone", "hours"),
    [(date(2024, 2, 1), "UTC", 29 * 24), (date(2026, 10, 1), "Europe/Berlin", 31 * 24 + 1),
     (date(2026, 3, 1), "Europe/Berlin", 31 * 24 - 1), (date(2026, 12, 1), "Pacific/Auckland", 31 * 24)],
)  # fmt: skip
def test_a_month_is_as_long_as_its_zone_makes_it(first: date, zone: str, hours: int) -> None:
    month = Month.of(first, zone)
    assert month.ends - month.begins == timedelta(hours=hours)


def test_the_figures_of_a_month_by_hand(world: World) -> None:
    nights(world, "ggg-fmmwg" + "g" * 10)
    other = make_job(world.tenant, world.server, world.client, "database")
    nights(world, "nng", job=other, size=50_000)
    told = values_of(world)
    # The first job: 19 nights, one not due; 14 good, 1 warning, 1 failed, 2 missed. The other: 3 due, 1 good.
    assert told["nights"]["due"] == 18 + 3
    assert told["nights"]["count"]["good"] == 14 + 1
    assert told["nights"]["success"] == "71.4"
    assert told["nights"]["compliance"] == "76.1"
    assert (told["nights"]["count"]["missed"], told["nights"]["count"]["not heard"]) == (2, 2)
    assert told["nights"]["longest_gap"] == 3
    assert [(job["job"], job["due"]) for job in told["jobs"]] == [("files", 18), ("database", 3)]
    # Carried on: the third night has 1002 of the first and 50002 of the second selection.
    assert told["sizes"][0] == ["2026-10-01", 1000]
    assert told["sizes"][2] == ["2026-10-03", 51_004]
    assert len(told["sizes"]) == 31


def test_what_belongs_to_others_or_to_another_month_is_not_in_it(world: World) -> None:
    nights(world, "ggg")
    nights(world, "mmm", first=date(2026, 9, 28))
    elsewhere = make_client(world.tenant, "Elsewhere")
    job = make_job(world.tenant, world.server, elsewhere, "theirs")
    nights(world, "fff", job=job, client_id=elsewhere.pk)
    Incident.objects.of(world.tenant).create(
        kind="errors", subject_kind="job", subject_id=job.pk, job_id=job.pk, client=elsewhere, fingerprint="theirs",
        severity="warning", summary="Not yours", since=NOW, opened_at=NOW - timedelta(days=20), last_seen_at=NOW,
    )  # fmt: skip
    told = values_of(world)
    assert told["nights"]["count"] == {
        "good": 3, "warning": 0, "failed": 0, "unknown": 0, "missed": 0, "not heard": 0, "not due": 0,
    }  # fmt: skip
    assert told["incidents"] == {"total": 0, "rows": []}


def test_restores_waivers_and_coverage_are_told(world: World) -> None:
    nights(world, "g")
    RestoreTest.objects.of(world.tenant).create(
        selection=world.job.selection, client_id=world.client.pk, tested_by="Tech", what="users.mdb", result="good",
        tested_at=datetime(2026, 10, 31, 23, 30, tzinfo=UTC), recorded_by="tech", recorded_at=NOW, seconds=90,
    )  # fmt: skip
    machine = Machine.objects.of(world.tenant).create(client=world.client, name="kiosk", expectation="waived")
    Waiver.objects.of(world.tenant).create(
        subject_kind="machine",
        subject_id=machine.pk,
        reason="No data",
        signed_by="Dr. Acme",
        signed_at=NOW - timedelta(days=9),
    )
    told = values_of(world)
    assert [row["what"] for row in told["restores"]["rows"]] == ["users.mdb"]
    assert told["coverage"] == {"covered": 0, "uncovered": 0, "waived": 1, "unknown": 0}
    assert told["waivers"]["rows"][0]["what"] == "kiosk"


def test_the_same_values_are_the_same_version_and_others_the_next(world: World) -> None:
    nights(world, "gg")
    first = make_report(world.tenant, world.client, OCTOBER, actor="tech", now=NOW)
    assert make_report(world.tenant, world.client, OCTOBER, actor="tech", now=NOW) == first
    DailyVerdict.objects.of(world.tenant).filter(night=OCTOBER).update(verdict="failed")
    second = make_report(world.tenant, world.client, OCTOBER, actor="tech", now=NOW)
    assert (first.version, second.version) == (1, 2)
    sign_report(world.tenant, second, signed_by="Dr. Acme", actor="tech", now=NOW)
    with pytest.raises(ValueError, match="signed already"):
        sign_report(world.tenant, second, signed_by="Somebody else", actor="tech", now=NOW)
    assert ClientReport.objects.of(world.tenant).get(pk=second.pk).signed_by == "Dr. Acme"


def test_a_month_that_is_not_over_or_has_no_night_is_refused(world: World) -> None:
    with pytest.raises(NoSuchMonth, match="No night"):
        make_report(world.tenant, world.client, OCTOBER, actor="tech", now=NOW)
    with pytest.raises(NoSuchMonth, match="not over"):
        make_report(world.tenant, world.client, date(2026, 11, 1), actor="tech", now=NOW)


@pytest.mark.parametrize(
    "name",
    ["Müller & Söhne", "Łódź Ωmega Привет", "日本 🙂 \u202eevil", "<script>alert(1)</script>", "x" * 5000, "a\nb\x00"],
)
def test_any_name_makes_a_document(world: World, name: str) -> None:
    nights(world, "ggf")
    told = values_of(world) | {"client": name, "provider": name, "colour": "red; }"}
    told["jobs"][0]["job"] = name
    content = draw_report(told, version=1, made_at=NOW, signed=(name[:200], NOW))
    assert content.startswith(b"%PDF-")
    assert content == draw_report(told, version=1, made_at=NOW, signed=(name[:200], NOW))


def test_the_command_makes_every_client_that_has_nights(world: World) -> None:
    nights(world, "gg")
    said = io.StringIO()
    call_command("client_reports", "--month", "2026-10", "--tenant", world.tenant.slug, stdout=said)
    assert f"{world.client.name}: version 1" in said.getvalue()
    assert f"{world.resold_client.name}: No night" in said.getvalue()


def test_pages_of_a_report_and_who_may_what(world: World) -> None:
    nights(world, "gggf")
    technician, reader = browser_of(world.technician), browser_of(world.billing)
    uid = world.client.uid
    made = technician.post(reverse("client-report-make", args=[uid]), {"month": "2026-10"})
    assert made.status_code == 302
    page = technician.get(made["Location"])
    assert page.status_code == 200
    assert "75.0 %" in page.content.decode()
    pdf = technician.get(reverse("client-report-pdf", args=[uid, "2026-10"]))
    assert (pdf["Content-Type"], pdf.content[:5]) == ("application/pdf", b"%PDF-")
    technician.post(reverse("client-report-sign", args=[uid, "2026-10"]), {"signed_by": "Dr. Acme"})
    assert "Dr. Acme" in technician.get(made["Location"]).content.decode()
    for stranger in (browser_of(world.stranger), browser_of(world.reseller_staff)):
        for name in ("client-report", "client-report-pdf"):
            assert stranger.get(reverse(name, args=[uid, "2026-10"])).status_code == 404
    assert reader.post(reverse("client-report-make", args=[uid]), {"month": "2026-10"}).status_code == 403
    for month, status in (("2026-13", 400), ("x", 400), ("2026-09", 404)):
        assert technician.get(reverse("client-report", args=[uid, month])).status_code == status
