"""The pages about pull sources, for every role: set up from a product's settings, tried, asked now, paused, removed."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from integrations.configuration import describe
from integrations.pulling import CONNECTORS
from msp.channels.models import PullSource
from msp.tenants.models import AuditEntry
from tests.dashboard.scene import browser_of
from tests.integrations.pulling.benches import Bench, open_bench
from tests.world import START, World

pytestmark = pytest.mark.django_db


def typed(world: World, bench: Bench, **changed: Any) -> dict[str, Any]:
    return {**bench.values, "name": "Ours", "server": str(world.server.uid), "every_minutes": "15", **changed}


def source(world: World, bench: Bench) -> PullSource:
    answer = browser_of(world.owner).post(reverse("pull-source-new", args=[bench.kind]), typed(world, bench))
    row: PullSource = PullSource.objects.of(world.tenant).get()
    assert answer["Location"] == reverse("pull-source", args=[row.uid])
    return row


@pytest.mark.parametrize("kind", sorted(CONNECTORS))
def test_the_form_shows_every_setting_of_its_product(world: World, kind: str) -> None:
    page = browser_of(world.owner).get(reverse("pull-source-new", args=[kind])).content.decode()
    for item in describe(CONNECTORS[kind].Config):
        assert f'name="{item.name}"' in page
    assert CONNECTORS[kind].LABEL in page


@pytest.mark.parametrize("kind", sorted(CONNECTORS))
def test_a_source_is_set_up_tried_and_its_secrets_never_come_back(world: World, kind: str) -> None:
    with open_bench(kind) as bench:
        row, browser = source(world, bench), browser_of(world.owner)
        secrets = [str(value) for value in row.secrets.values()]
        assert secrets
        for page in (reverse("pull-sources"), reverse("pull-source", args=[row.uid])):
            shown = browser.get(page).content.decode()
            assert "Ours" in shown
            assert not any(secret in shown for secret in secrets)
        answer = browser.post(reverse("pull-source-check", args=[row.uid]), follow=True).content.decode()
        assert "answers" in answer
        assert browser.post(reverse("pull-source", args=[row.uid]), typed(world, bench)).status_code == 302
    entry = AuditEntry.objects.of(world.tenant).filter(action="pull source added").get()
    assert not any(secret in str(entry.after) for secret in secrets)


def test_an_empty_secret_stays_but_goes_to_no_other_address(world: World) -> None:
    with open_bench("comet") as bench:
        row, browser = source(world, bench), browser_of(world.owner)
        address = reverse("pull-source", args=[row.uid])
        assert browser.post(address, typed(world, bench, password="", name="Renamed")).status_code == 302
        refused = browser.post(address, typed(world, bench, password="", url="https://evil.example"))
    assert refused.status_code == 422
    assert "give the secret again" in refused.content.decode()
    kept = PullSource.objects.of(world.tenant).get()
    assert (kept.name, kept.secrets) == ("Renamed", row.secrets)


def test_what_went_wrong_is_shown(world: World) -> None:
    with open_bench("comet") as bench:
        row = source(world, bench)
        PullSource.objects.of(world.tenant).update(last_error="The login was refused <b>", failures=3)
        browser = browser_of(world.owner)
        for page in (reverse("pull-sources"), reverse("pull-source", args=[row.uid])):
            assert "The login was refused &lt;b&gt;" in browser.get(page).content.decode()
        told = browser.post(reverse("pull-source", args=[row.uid]), typed(world, bench, url="nowhere"))
    assert "without user and question mark" in told.content.decode()


def test_a_source_is_asked_now_paused_resumed_and_removed(world: World) -> None:
    with open_bench("comet") as bench:
        row, browser = source(world, bench), browser_of(world.owner)
    address, late = reverse("pull-source-change", args=[row.uid]), START.replace(year=2050)
    PullSource.objects.of(world.tenant).update(check_after=late)
    browser.post(address, {"do": "now"})
    assert PullSource.objects.of(world.tenant).get().check_after < late
    for do, state in (("pause", "paused"), ("resume", "active")):
        browser.post(address, {"do": do})
        assert PullSource.objects.of(world.tenant).get().state == state
    browser.post(address, {"do": "pause"})
    assert "is paused, or is being asked" in browser.post(address, {"do": "now"}, follow=True).content.decode()
    browser.post(address, {"do": "remove"})
    assert not PullSource.objects.of(world.tenant).exists()


def test_who_may_do_what(world: World) -> None:
    with open_bench("comet") as bench:
        row = source(world, bench)
    pages = {
        reverse("pull-sources"): (200, 200, 404, 200),
        reverse("pull-source", args=[row.uid]): (200, 403, 404, 404),
        reverse("pull-source-new", args=["comet"]): (200, 403, 404, 200),
    }
    for page, statuses in pages.items():
        assert tuple(one.get(page).status_code for one in people(world)) == statuses
    for one in people(world)[1:]:
        one.post(reverse("pull-source-change", args=[row.uid]), {"do": "remove"})
        one.post(reverse("pull-source-check", args=[row.uid]))
    assert PullSource.objects.of(world.tenant).exists()
    assert "Ours" not in browser_of(world.stranger).get(reverse("pull-sources")).content.decode()


def people(world: World) -> tuple[Browser, Browser, Browser, Browser]:
    """An owner, a technician, a reseller, and the owner of another tenant."""
    return tuple(browser_of(one) for one in (world.owner, world.technician, world.reseller_staff, world.stranger))  # type: ignore[return-value]
