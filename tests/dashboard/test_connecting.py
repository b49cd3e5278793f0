"""Connecting a server: pick, name, copy, see the first log arrive; who may, what is shown once, and what is said."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from integrations.logs import FORMATS
from integrations.pulling import CONNECTORS
from msp.channels.models import MailAddress
from msp.dashboard.sending import channels_of
from msp.estate.models import BackupServer, Client
from msp.tenants.models import ApiKey, LookupKey
from msp.tenants.secrets import key_hash
from tests.dashboard import scene
from tests.dashboard.scene import browser_of
from tests.world import World, make_client, make_person

RESTIC = (Path(__file__).parents[1] / "fixtures" / "logs" / "restic" / "backup-first-json" / "stdout.log").read_bytes()
KEY = re.compile(r"bl_[A-Za-z0-9_-]{43}")
SECRET_PLACES = ("@KEY@", "@URL@", "@ADDRESS@")
CHANGED = "hx-swap-oob"


@pytest.fixture
def technician(world: World) -> Browser:
    return browser_of(world.technician)


def text_of(response: Any) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def connect(browser: Browser, product: str = "restic", **typed: str) -> Any:
    values = {"name": "files02", "timezone": "Europe/Lisbon", **typed}
    return browser.post(reverse("connect-server", args=[product]), values)


def connected(world: World, name: str = "files02") -> BackupServer:
    server: BackupServer = BackupServer.objects.of(world.tenant).get(name=name)
    return server


# ---- pick a product -----------------------------------------------------------------------------------------------


def test_every_format_can_be_picked_by_its_label(technician: Browser) -> None:
    shown = technician.get(reverse("connect")).content.decode()
    for name, module in FORMATS.items():
        assert f'href="{reverse("connect-server", args=[name])}"' in shown
        assert unescape(shown).count(f"<b>{module.LABEL}</b>") == 1, name


def test_the_search_works_without_a_script(technician: Browser) -> None:
    found = technician.get(reverse("connect"), {"text": "DUPLICATI webhook"}).content.decode()
    assert re.findall(r'class="product card" href="[^"]*/connect/([^/"]+)/"', found) == ["duplicati"]
    none = technician.get(reverse("connect"), {"text": "no such thing"})
    assert "No product is called that" in text_of(none)


def test_a_client_goes_along_from_its_page_to_the_form(world: World, technician: Browser) -> None:
    Client.objects.of(world.tenant).filter(pk=world.client.pk).update(timezone="America/Lima")
    address = f"{reverse('connect')}?client={world.client.uid}"
    assert address in technician.get(reverse("client", args=[world.client.uid])).content.decode()
    onward = f"{reverse('connect-server', args=['restic'])}?client={world.client.uid}"
    assert onward in technician.get(address).content.decode()
    form = technician.get(onward).content.decode()
    assert f'<option value="{world.client.uid}" selected>' in form
    assert '<option value="America/Lima" selected>' in form


def test_a_server_that_is_there_can_send_another_product(world: World, technician: Browser) -> None:
    shown = technician.get(reverse("connect"), {"server": str(world.server.uid)}).content.decode()
    assert f'href="{reverse("connect-ways", args=[world.server.uid, "veeam"])}"' in shown


def test_an_empty_overview_invites_to_it(world: World, technician: Browser) -> None:
    button = f'class="btn btn-main" href="{reverse("connect")}"'
    assert button in technician.get(reverse("overview")).content.decode()
    scene.make_receipt(world.tenant)
    assert button not in technician.get(reverse("overview")).content.decode()


# ---- name the server ----------------------------------------------------------------------------------------------


def test_a_server_of_one_client_makes_its_jobs_and_its_key_is_shown_once(world: World, technician: Browser) -> None:
    response = connect(technician, client=str(world.client.uid))
    shown = unescape(response.content.decode())
    (secret,) = set(KEY.findall(shown))
    server = connected(world)
    assert (server.client, server.new_jobs, server.timezone) == (world.client, "auto", "Europe/Lisbon")
    assert LookupKey.objects.filter(kind="key", value=key_hash(secret)).exists()
    assert f'-H "Authorization: Bearer {secret}"' in shown
    assert f"key = {secret}" in shown
    assert "no-store" in response.headers["Cache-Control"]
    again = technician.get(reverse("connect-ways", args=[server.uid, "restic"])).content.decode()
    assert not KEY.search(again)
    assert f"{secret[:8]}… was shown once" in again
    assert "YOUR-KEY" in again
    assert f'data-stay="{reverse("connect-ways", args=[server.uid, "restic"])}"' in shown


@pytest.mark.parametrize(
    ("typed", "new_jobs"), [({}, "hold"), ({"new_jobs": "hold"}, "hold"), ({"new_jobs": "refuse"}, "refuse")]
)
def test_a_server_of_several_clients_holds_their_jobs(
    world: World, technician: Browser, typed: dict[str, str], new_jobs: str
) -> None:
    assert connect(technician, **typed).status_code == 200
    assert (connected(world).client, connected(world).new_jobs) == (None, new_jobs)


def test_a_new_client_is_registered_along_with_its_server(world: World, technician: Browser) -> None:
    assert connect(technician, new_client="Zahnärzte am Tor").status_code == 200
    client = connected(world).client
    assert client is not None
    assert (client.name, client.code, client.timezone) == ("Zahnärzte am Tor", "zahnärzte-am-tor", "Europe/Lisbon")
    assert connected(world).new_jobs == "auto"


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "backup01"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"timezone": ""}, "timezone"),
        ({"new_client": "Acme Dental"}, "new_client"),
        ({"new_client": "!!!"}, "new_client"),
        ({"new_jobs": "auto"}, "new_jobs"),
        ({"client": "x"}, "client"),
    ],
)
def test_what_cannot_be_is_said_at_its_field_and_leaves_nothing(
    world: World, technician: Browser, typed: dict[str, str], field: str
) -> None:
    before = Client.objects.of(world.tenant).count(), ApiKey.objects.of(world.tenant).count()
    response = connect(technician, **({"new_client": "Fresh Ltd"} | typed))
    assert response.status_code == 422
    assert re.search(rf'id="h-{field}"[^>]*><span class="wrong"', response.content.decode())
    assert (Client.objects.of(world.tenant).count(), ApiKey.objects.of(world.tenant).count()) == before
    assert BackupServer.objects.of(world.tenant).count() == 1


def test_a_client_is_chosen_or_new_not_both(world: World, technician: Browser) -> None:
    response = connect(technician, client=str(world.client.uid), new_client="Fresh Ltd")
    assert response.status_code == 422
    assert "not both" in text_of(response)


def test_a_name_that_is_taken_leads_to_the_server_that_has_it(world: World, technician: Browser) -> None:
    response = connect(technician, name="backup01")
    assert f'href="{reverse("connect-ways", args=[world.server.uid, "restic"])}"' in response.content.decode()


# ---- copy the snippet ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_the_snippets_of_every_product_are_filled_in(world: World, technician: Browser, name: str) -> None:
    response = connect(technician, name)
    assert response.status_code == 200
    shown = unescape(response.content.decode())
    guide = FORMATS[name].GUIDE
    assert not [place for place in SECRET_PLACES if place in shown]
    assert "timezone=Europe/Berlin" not in shown
    addresses = MailAddress.objects.of(world.tenant).filter(server=connected(world))
    assert addresses.count() == ("email" in {way.channel for way in guide.ways})
    for address in addresses:
        assert f"{address.token}@" in shown
    tabs = re.findall(r'<section class="way" data-tab="([^"]+)"( data-tab-note="recommended")?', shown)
    assert len(channels_of(name)) == 1 or tabs[0][1]
    for sentence in guide.cannot_tell:
        assert sentence in shown
    ids = re.findall(r' id="([^"]+)"', shown)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'data-copy="([^"]+)"', shown)) <= set(ids)
    assert not re.search(r"<script>| style=| on[a-z]+=\"", shown)


def test_the_wrapper_is_installed_on_unix_and_windows(technician: Browser) -> None:
    shown = unescape(connect(technician).content.decode())
    (secret,) = set(KEY.findall(shown))
    assert "curl -fsSLo /usr/local/bin/backledger-run http://" in shown
    assert f"key = {secret}\\n' > /etc/backledger.conf" in shown
    assert f'key = {secret}"' in shown
    command = "-File C:\\ProgramData\\backledger-run.ps1 --job files -- restic backup --json /srv/data"
    assert command in shown


def test_what_only_a_unix_shell_runs_is_not_offered_to_windows(technician: Browser) -> None:
    assert 'data-tab="Windows"' not in connect(technician, "mysqldump").content.decode()
    assert 'data-tab="Linux' not in connect(technician, "windows-server-backup", name="w").content.decode()


@pytest.mark.parametrize(("role", "way"), [("owner", "Set up the pull"), ("technician", "an owner sets it up")])
def test_a_product_that_can_be_asked_says_who_sets_it_up(world: World, role: str, way: str) -> None:
    browser = browser_of(getattr(world, role))
    shown = text_of(connect(browser, "comet"))
    assert "Backledger asks it itself" in shown
    assert way in shown
    assert "Backledger asks it itself" not in text_of(connect(browser, "restic", name="other"))


def test_a_connector_is_found_by_the_formats_it_brings() -> None:
    assert all("pull" in channels_of(name) for each in CONNECTORS.values() for name in each.FORMATS)
    assert "pull" not in channels_of("restic")


def test_names_in_a_snippet_stay_text(technician: Browser) -> None:
    hostile = '<script>alert("x")</script>'
    shown = connect(technician, name=hostile, new_client=hostile + "1").content.decode()
    assert hostile not in shown
    assert "&lt;script&gt;" in shown


def test_a_new_key_ends_an_unused_one_and_leaves_a_used_one_for_a_day(world: World, technician: Browser) -> None:
    connect(technician)
    server = connected(world)
    address = reverse("connect-ways", args=[server.uid, "restic"])
    (second,) = set(KEY.findall(technician.post(address).content.decode()))
    keys = ApiKey.objects.of(world.tenant).filter(server_id=server.pk).order_by("pk")
    assert [key.revoked_at is None for key in keys] == [False, True]
    keys.filter(hint=second[:8]).update(last_used_at=scene.now())
    (third,) = set(KEY.findall(technician.post(address).content.decode()))
    assert third != second
    _, used, fresh = keys.all()
    assert used.revoked_at is None
    assert abs(used.expires_at - scene.now() - timedelta(hours=24)) < timedelta(minutes=5)
    assert fresh.expires_at is None


# ---- who may ------------------------------------------------------------------------------------------------------


def pages_of(server: BackupServer, product: str = "restic") -> list[str]:
    names = ("connect-ways", "connect-arrivals")
    return [reverse("connect-server", args=[product]), *(reverse(name, args=[server.uid, product]) for name in names)]


@pytest.mark.parametrize(("role", "status"), [("billing", 403), ("reader", 403), ("reseller_staff", 404)])
def test_only_those_who_operate_may_connect(world: World, role: str, status: int) -> None:
    person = getattr(world, role, None) or make_person(world.tenant, "r@northwind.example", role="reader")
    browser, keys = browser_of(person), ApiKey.objects.of(world.tenant).count()
    for address in pages_of(world.server):
        assert browser.get(address).status_code == status, address
        assert browser.post(address, {"name": "mine", "timezone": "UTC"}).status_code == status, address
    assert ApiKey.objects.of(world.tenant).count() == keys
    assert reverse("connect") not in browser.get(reverse("overview")).content.decode()


def test_another_tenants_servers_and_clients_are_not_there(world: World, technician: Browser) -> None:
    foreign = make_client(world.other, "Foreign")
    for address in pages_of(world.other_server)[1:]:
        assert technician.get(address).status_code == 404
        assert technician.post(address).status_code == 404
    assert technician.get(reverse("connect"), {"server": str(world.other_server.uid)}).status_code == 404
    for address in (reverse("connect"), reverse("connect-server", args=["restic"])):
        assert technician.get(address, {"client": str(foreign.uid)}).status_code == 404
    assert connect(technician, client=str(foreign.uid)).status_code == 422
    assert not BackupServer.objects.of(world.tenant).filter(name="files02").exists()


def test_an_unknown_product_is_not_there(world: World, technician: Browser) -> None:
    for address in pages_of(world.server, "no-such-product"):
        assert technician.get(address).status_code == 404
        assert technician.post(address, {"name": "mine", "timezone": "UTC"}).status_code == 404
