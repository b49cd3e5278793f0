"""Silences as people set them: recurring, of sites and volumes, previewed, refused with a sentence, listed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from alerts.models import Silence
from msp.estate.models import Site, Volume
from tests.dashboard import scene
from tests.dashboard.conftest import Stage
from tests.dashboard.scene import browser_of
from tests.world import make_person

ZONE = "Europe/Berlin"
MOMENT = "%Y-%m-%dT%H:%M"


def form(**changes: str) -> dict[str, str]:
    now = scene.now()
    base = {"about": "tenant", "starts_at": now.strftime(MOMENT), "reason": "updates", "schedule": "sun 02:00",
            "ends_at": (now + timedelta(days=300)).strftime(MOMENT), "minutes": "240", "timezone": ZONE}  # fmt: skip
    return base | changes


def test_a_recurring_silence_of_a_site_and_of_a_volume(stage: Stage) -> None:
    world = stage.world
    site = Site.objects.of(world.tenant).create(client=world.client, name="Harbour", timezone="UTC")
    volume = Volume.objects.of(world.tenant).create(server=world.server, name="pool")
    browser = browser_of(world.technician)
    for about in (f"site:{site.uid}", f"volume:{volume.uid}"):
        assert browser.post(reverse("silence-new"), form(about=about)).status_code == 302
    rows = Silence.objects.of(world.tenant).order_by("id")
    assert [(row.scope_kind, row.scope_id) for row in rows] == [("site", site.pk), ("volume", volume.pk)]
    assert {(row.schedule, row.minutes, row.timezone) for row in rows} == {("sun 02:00", 240, "Europe/Berlin")}
    page = browser.get(reverse("silences")).content.decode()
    for shown in ("Site Harbour", "Volume pool", "sun 02:00 (Europe/Berlin), 240 minutes each"):
        assert shown in page


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"schedule": "sun 25:00"}, "no time"),
        ({"schedule": "0 2 30 2 *"}, "never"),
        ({"timezone": "Mars/Olympus"}, "is no time zone"),
        ({"minutes": "0"}, "Say how long each window is"),
        ({"minutes": ""}, "Say how long each window is"),
        ({"minutes": "-5"}, "Say how long each window is"),
        ({"schedule": ""}, "leave this empty"),
        ({"ends_at": "2020-01-01T00:00"}, "ends after it begins"),
        ({"schedule": "0 2 29 2 *", "ends_at": (scene.now() + timedelta(days=2)).strftime(MOMENT)}, "names no start"),
    ],
)
def test_what_cannot_be_is_refused_by_form_and_preview(stage: Stage, typed: dict[str, str], sentence: str) -> None:
    browser = browser_of(stage.world.technician)
    refused = browser.post(reverse("silence-new"), form(**typed))
    assert refused.status_code == 422
    assert sentence in refused.content.decode()
    assert sentence in browser.post(reverse("silence-preview"), form(**typed)).content.decode()
    assert not Silence.objects.of(stage.world.tenant).exists()


def test_the_preview_shows_five_windows_and_warns_of_a_long_quiet(stage: Stage) -> None:
    browser = browser_of(stage.world.technician)
    page = browser.post(reverse("silence-preview"), form(reason="")).content.decode()
    assert page.count("<li>") == 5
    assert "in all" not in page
    page = browser.post(reverse("silence-preview"), form(schedule="daily 20:00", minutes="720")).content.decode()
    assert "It is quiet for about 1" in page
    assert "days" in page
    once = form(schedule="", minutes="", ends_at=(scene.now() + timedelta(days=31)).strftime(MOMENT))
    page = browser.post(reverse("silence-preview"), once).content.decode()
    assert page.count("<li>") == 1
    assert "It is quiet for about 31 days" in page
    assert not Silence.objects.of(stage.world.tenant).exists()


def test_the_list_says_what_each_silences_now(stage: Stage) -> None:
    now, tenant = scene.now(), stage.world.tenant
    window = {"starts_at": now - timedelta(hours=1), "ends_at": now + timedelta(hours=1)}
    client = {"scope_kind": "client", "scope_id": stage.world.client.pk}
    Silence.objects.of(tenant).create(**client, **window, reason="a")
    Silence.objects.of(tenant).create(scope_kind="tenant", scope_id=tenant.pk, **window, reason="b")
    page = browser_of(stage.world.technician).get(reverse("silences")).content.decode()
    assert "1 open incident<" in page
    assert "2 open incidents<" in page


def test_who_may_set_and_preview_silences(stage: Stage) -> None:
    reader = make_person(stage.world.tenant, "reader@northwind.example", role="reader")
    for name in ("silence-new", "silence-preview"):
        answers = [browser_of(one).post(reverse(name), form()).status_code for one in (
            reader, stage.world.reseller_staff)]  # fmt: skip
        assert answers == [403, 404]
    assert not Silence.objects.of(stage.world.tenant).exists()
    about = f"job:{stage.world.job.uid}"
    refused = browser_of(stage.world.stranger).post(reverse("silence-new"), form(about=about))
    assert "cannot be" in refused.content.decode()
