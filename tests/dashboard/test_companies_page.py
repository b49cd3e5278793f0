"""The page that says which company of a ticket system each client is, and what the form reads from the system."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from alerts.callback_addresses import give_address
from alerts.company_matching import suggest
from alerts.errands import company_of
from alerts.models import ClientCompany, Destination, Ticket
from integrations.tickets import Company
from msp.estate.models import Client
from msp.tenants.models import AuditEntry
from tests.dashboard.scene import browser_of
from tests.doubles.desks.zendesk import Zendesk, bench
from tests.world import START, World


def text_of(response: Any) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


@pytest.fixture
def desk() -> Iterator[Zendesk]:
    with ExitStack() as stack:
        made = bench(stack).desk
        assert isinstance(made, Zendesk)
        yield made


@pytest.fixture
def row(world: World, desk: Zendesk) -> Destination:
    config = {
        "url": desk.url,
        "email": "robot@msp.example",
        "token": "zd-s3cret-token",
        "webhook_secret": "hook-secret",
    }
    made: Destination = Destination.objects.of(world.tenant).create(
        name="Desk", gateway="zendesk", config=config, created_at=START
    )
    give_address(made)
    return made


@pytest.fixture
def owner(world: World) -> Browser:
    return browser_of(world.owner)


def save(owner: Browser, row: Destination, client: Client, text: str) -> str:
    address = reverse("destination-companies", args=[row.uid])
    return text_of(owner.post(address, {f"c-{client.uid}": text}, follow=True))


def chosen(row: Destination) -> dict[int, str]:
    return dict(ClientCompany.objects.of(row.tenant_id).values_list("client_id", "company_id"))


def test_companies_are_suggested_and_count_only_once_saved(
    world: World, desk: Zendesk, row: Destination, owner: Browser
) -> None:
    del desk.companies["17"]
    desk.companies["20"] = f"{world.client.name} GmbH"
    page = owner.get(reverse("destination-companies", args=[row.uid])).content.decode()
    assert f"{world.client.name} GmbH [20]" in page
    assert "suggested: same but for its form" in page
    assert chosen(row) == {}
    assert "1 changed." in save(owner, row, world.client, f"{world.client.name} GmbH [20]")
    assert chosen(row) == {world.client.pk: "20"}
    assert "found there" in owner.get(reverse("destination-companies", args=[row.uid])).content.decode()
    entry = AuditEntry.objects.of(world.tenant).get(action="company chosen")
    assert entry.after == {"destination": "Desk", "company": "20"}


@pytest.mark.parametrize("typed", ["17", "Acme Dental", "acme dental", "Acme Dental [17]"])
def test_a_company_may_be_typed_as_people_do(world: World, row: Destination, owner: Browser, typed: str) -> None:
    save(owner, row, world.client, typed)
    assert chosen(row) == {world.client.pk: "17"}
    assert "1 changed." in save(owner, row, world.client, "")
    assert chosen(row) == {}


def test_what_is_no_company_there_is_said_and_nothing_lost(world: World, row: Destination, owner: Browser) -> None:
    save(owner, row, world.client, "17")
    said = save(owner, row, world.client, "Nobody & Sons [99]")
    assert "is no company there" in said
    assert chosen(row) == {world.client.pk: "17"}


def test_a_company_that_is_gone_or_renamed_there_is_shown_first(
    world: World, desk: Zendesk, row: Destination, owner: Browser
) -> None:
    save(owner, row, world.client, "17")
    desk.companies["17"] = "Acme Dental Group"
    address = reverse("destination-companies", args=[row.uid])
    assert "renamed there" in owner.get(address).content.decode()
    del desk.companies["17"]
    assert "gone there: tickets cannot be opened" in owner.get(address).content.decode()


def test_a_system_that_does_not_answer_is_said_and_nothing_can_be_saved(
    world: World, desk: Zendesk, row: Destination, owner: Browser
) -> None:
    desk.fail_next("server error", on="any")
    page = text_of(owner.get(reverse("destination-companies", args=[row.uid])))
    assert "The companies cannot be read now." in page
    desk.fail_next("server error", on="any")
    save(owner, row, world.client, "17")
    assert chosen(row) == {}


def test_only_owners_of_the_tenant_reach_it(world: World, row: Destination) -> None:
    address = reverse("destination-companies", args=[row.uid])
    assert browser_of(world.technician).get(address).status_code in (403, 404)
    assert browser_of(world.stranger).get(address).status_code == 404


def test_values_of_the_system_stand_in_the_form(world: World, row: Destination, owner: Browser) -> None:
    page = owner.post(reverse("destination-values", args=[row.uid])).content.decode()
    assert '<option value="5">Backups</option>' in page.replace(" selected", "")
    assert "zd-s3cret" not in page


def test_values_that_cannot_be_read_are_said(desk: Zendesk, row: Destination, owner: Browser) -> None:
    for _ in range(4):
        desk.fail_next("unavailable", on="any")
    said = text_of(owner.post(reverse("destination-values", args=[row.uid])))
    assert "it asks to come back later" in said


def test_the_page_shows_the_address_to_call_and_what_was_refused(row: Destination, owner: Browser) -> None:
    Destination.objects.of(row.tenant_id).filter(pk=row.pk).update(callbacks_refused=3, last_refusal="No signature.")
    page = text_of(owner.get(reverse("destination", args=[row.uid])))
    assert "/hooks/" in page
    assert "3 calls refused so far" in page
    assert "never run against the live service" in page


@pytest.mark.parametrize(
    ("client", "expected", "grade"),
    [
        ("Acme Dental", "Acme Dental", "same"),
        ("ACME Dental Ltd.", "Acme Dental", "same but for its form"),
        ("Bäckerei Müller GmbH & Co. KG", "Backerei Muller", "same but for its form"),
        ("Brigth Bakery", "Bright Bakery", "similar"),
        ("Something else", None, ""),
        ("Twin", None, ""),
        ("&&&", None, ""),
    ],
)
def test_suggestions_by_name(client: str, expected: str | None, grade: str) -> None:
    names = ("Acme Dental", "Backerei Muller", "Bright Bakery", "Twin Ltd", "Twin Inc", "")
    found = suggest(client, [Company(str(number), name) for number, name in enumerate(names)])
    assert (found.company.name if found else None) == expected
    assert (found.grade if found else "") == grade


def test_the_chosen_company_is_the_one_a_ticket_is_opened_for(world: World, row: Destination) -> None:
    values: dict[str, Any] = {
        "destination": row,
        "group_key": "x",
        "reference": "BL-1",
        "subject": "s",
        "opened_at": START,
    }
    ticket = Ticket.objects.of(world.tenant).create(client=world.client, **values)
    assert company_of(ticket) == ""
    ClientCompany.objects.of(world.tenant).create(
        destination=row, client=world.client, company_id="17", name="Acme Dental", chosen_at=START
    )
    assert company_of(ticket) == "17"
