"""The pages of words: the language, templates of tenant and routes, their preview, and who may change them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from alerts.models import Destination, LetterTemplate, Route
from msp.estate.models import Client
from msp.tenants.models import AuditEntry, Tenant
from tests.dashboard.conftest import Stage
from tests.dashboard.scene import browser_of
from tests.world import START, make_person

TYPED = {"route": "", "language": "", "subject": "{{ client }}", "body": "Hello {{ client }}", "html": ""}


@pytest.fixture
def owner(stage: Stage) -> Browser:
    return browser_of(stage.world.owner)


def only(stage: Stage) -> LetterTemplate:
    row: LetterTemplate = LetterTemplate.objects.of(stage.world.tenant).select_related("route").get()
    return row


def store(owner: Browser, **typed: str) -> Any:
    return owner.post(reverse("words-new"), TYPED | typed)


def page_of(browser: Browser, address: str, **typed: str) -> str:
    return browser.get(address, typed).content.decode()


def test_a_template_is_written_changed_and_reset(stage: Stage, owner: Browser) -> None:
    route = Route.objects.of(stage.world.tenant).create(position=90, name="To the night desk")
    assert "{{ default_subject }}" in page_of(owner, reverse("words-new"))
    assert store(owner, route=str(route.uid), language="de").status_code == 302
    row = only(stage)
    assert (row.route, row.language, row.subject, row.body) == (route, "de", "{{ client }}", "Hello {{ client }}")
    listed = page_of(owner, reverse("words"))
    assert "To the night desk" in listed
    assert "Deutsch" in listed

    address = reverse("words-template", args=[row.uid])
    assert owner.post(address, TYPED | {"body": "Changed\r\n{{ link }}"}).status_code == 302
    row = only(stage)
    assert (row.route, row.language, row.body) == (None, "", "Changed\n{{ link }}")

    assert owner.post(reverse("words-reset", args=[row.uid])).status_code == 302
    assert not LetterTemplate.objects.of(stage.world.tenant).exists()
    assert "The default letter is in use" in page_of(owner, reverse("words"))
    entries = AuditEntry.objects.of(stage.world.tenant).filter(subject_kind="letter template").order_by("pk")
    assert [entry.action for entry in entries] == [
        "letter template added", "letter template changed", "letter template removed"
    ]  # fmt: skip
    assert entries[1].before["route"] == "To the night desk"
    assert entries[1].after["body"] == "Changed\n{{ link }}"


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"body": "fine\n{{ nope }}"}, "Line 2: There is no value “nope”."),
        ({"subject": "{% for x in lines %}{% endfor %}"}, "Line 1: There are no loops here."),
        ({"html": "{{ 'x' * 100000000 }}"}, "Line 1: A template does not compute."),
        ({"body": "{% for i in range(1000000000) %}x{% endfor %}"}, "Nothing can be called in a template."),
        ({"subject": "", "body": " "}, "Nothing is written"),
        ({"body": "x" * 20_001}, "too long"),
    ],
)
def test_what_cannot_work_is_refused_with_its_line_and_what_was_typed(
    stage: Stage, owner: Browser, typed: dict[str, str], sentence: str
) -> None:
    refused = store(owner, **typed)
    assert refused.status_code == 422
    assert sentence in refused.content.decode()
    assert not LetterTemplate.objects.of(stage.world.tenant).exists()


def test_a_second_template_for_the_same_is_refused(stage: Stage, owner: Browser) -> None:
    store(owner)
    refused = store(owner, body="other")
    assert refused.status_code == 422
    assert "There is a template for this route and language already" in refused.content.decode()
    assert only(stage).body == "Hello {{ client }}"


def test_the_preview_shows_a_real_incident_in_a_frame_without_power(stage: Stage, owner: Browser) -> None:
    address, incident = reverse("words-preview"), str(stage.incident.uid)
    typed = {
        "subject": "Ticket for {{ client }}",
        "body": "{{ summary }}\n{{ link }}",
        "html": "<p>Dear {{ client }}</p><script>alert(1)</script>",
        "incident": incident,
    }
    shown = owner.post(address, TYPED | typed)
    page = shown.content.decode()
    assert f"Ticket for {stage.world.client.name}" in page
    assert f"/incidents/{incident}" in page
    assert f"<p>Dear {stage.world.client.name}</p>" in page
    policy = shown["Content-Security-Policy"]
    assert policy == ("default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox")
    assert shown["X-Frame-Options"] == "SAMEORIGIN"
    assert not LetterTemplate.objects.of(stage.world.tenant).exists()
    assert "frame-src 'self'" in owner.get(reverse("words-new"))["Content-Security-Policy"]


def test_the_preview_of_what_is_stored_follows_route_and_language(stage: Stage, owner: Browser) -> None:
    incident = str(stage.incident.uid)
    assert "Was zu tun ist" in page_of(owner, reverse("words-preview"), incident=incident, language="de")
    route = Route.objects.of(stage.world.tenant).create(position=90, name="French desk", language="fr")
    assert "À essayer" in page_of(owner, reverse("words-preview"), incident=incident, route=str(route.uid))
    store(owner, route=str(route.uid))
    assert "Hello " in page_of(owner, reverse("words-preview"), incident=incident, route=str(route.uid))
    assert "What to try" in page_of(owner, reverse("words-preview"), incident=incident)


def test_a_preview_that_cannot_be_made_says_why(stage: Stage, owner: Browser) -> None:
    page = owner.post(reverse("words-preview"), TYPED | {"body": "{{ <b> }}"}).content.decode()
    assert "Line 1: " in page
    assert "<b>" not in page


def test_hostile_names_stay_text_in_the_preview(stage: Stage, owner: Browser) -> None:
    Client.objects.of(stage.world.tenant).filter(pk=stage.world.client.pk).update(name="<img src=x onerror=alert(1)>")
    for typed in (TYPED, TYPED | {"html": "<b>{{ client }}</b>{{ default }}"}):
        page = owner.post(reverse("words-preview"), typed | {"incident": str(stage.incident.uid)}).content.decode()
        assert "<img" not in page
        assert "&lt;img src=x" in page


def test_the_language_of_tenant_client_and_route_is_set(stage: Stage, owner: Browser) -> None:
    assert owner.post(reverse("words-language"), {"language": "fr"}).status_code == 302
    assert Tenant.objects.get(pk=stage.world.tenant.pk).language == "fr"
    assert "Tickets are written in Français" in page_of(owner, reverse("words"))
    assert AuditEntry.objects.of(stage.world.tenant).filter(action="language changed").count() == 1

    client = stage.world.client
    address = reverse("client-edit", args=[client.uid])
    assert "as set for all: Français" in page_of(owner, address)
    typed = {"name": client.name, "timezone": client.timezone, "language": "de", "tickets_enabled": "yes"}
    assert owner.post(address, typed).status_code == 302
    assert Client.objects.of(stage.world.tenant).get(pk=client.pk).language == "de"
    assert owner.post(address, typed | {"language": "tlh"}).status_code == 422

    route = {
        "name": "r", "destination": "", "severity_at_least": "info", "grouping": "job", "hold_minutes": "0",
        "repeat_hours": "0", "language": "es", "enabled": "yes",
    }  # fmt: skip
    assert owner.post(reverse("route-new"), route).status_code == 302
    assert Route.objects.of(stage.world.tenant).get(name="r").language == "es"


def test_a_template_that_failed_is_told_until_words_change(stage: Stage, owner: Browser) -> None:
    failing = Destination.objects.of(stage.world.tenant).create(
        name="Night desk", gateway="rest", config={}, created_at=START, words_failure="The text: Line 1: <b>.",
        words_failed_at=START,
    )  # fmt: skip
    page = page_of(owner, reverse("words"))
    assert "A template could not be used for Night desk" in page
    assert "The text: Line 1: &lt;b&gt;." in page
    address = reverse("destination", args=[failing.uid])
    assert "The text: Line 1: &lt;b&gt;." in page_of(owner, address)
    store(owner)
    assert "could not be used" not in page_of(owner, reverse("words"))
    assert "could not be used" not in page_of(owner, address)


def test_who_may_not(stage: Stage, owner: Browser) -> None:
    store(owner)
    row = only(stage)
    addresses = [reverse("words-new"), reverse("words-template", args=[row.uid]),
                 reverse("words-reset", args=[row.uid]), reverse("words-language")]  # fmt: skip
    reader = make_person(stage.world.tenant, "reader@northwind.example", role="reader")
    for person, status in ((reader, 403), (stage.world.technician, 403), (stage.world.reseller_staff, 404)):
        for address in addresses:
            assert browser_of(person).post(address, TYPED | {"language": "de"}).status_code == status
    assert browser_of(reader).get(reverse("words")).status_code == 200
    assert browser_of(stage.world.reseller_staff).get(reverse("words")).status_code == 404
    assert browser_of(stage.world.reseller_staff).get(reverse("words-preview")).status_code == 404
    stranger = browser_of(stage.world.stranger)
    for address in addresses[1:3]:
        assert stranger.post(address, TYPED).status_code == 404
    assert stranger.get(reverse("words-preview"), {"incident": str(stage.incident.uid)}).status_code in (200, 404)
    assert stage.world.client.name not in page_of(stranger, reverse("words-preview"), incident=str(stage.incident.uid))
    assert only(stage).body == "Hello {{ client }}"
