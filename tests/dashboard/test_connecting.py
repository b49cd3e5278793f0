"""Connecting a server: pick, name, copy, see the first log arrive; who may, what is shown once, and what is said."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from integrations.logs import FORMATS
from msp import pipeline
from msp.backups.models import BackupJob
from msp.channels.models import MailAddress, PullSource
from msp.dashboard.arrivals import DOORS, MENDING
from msp.dashboard.views.connecting import MOST_LOOKS
from msp.estate.models import BackupServer, Client
from msp.ingest.models import DOORS as KNOWN_DOORS
from msp.ingest.models import INBOX_REASONS
from msp.ingest.storing import Incoming, store
from msp.tenants.models import ApiKey, LookupKey
from msp.tenants.secrets import key_hash
from tests.dashboard import scene
from tests.dashboard.scene import browser_of
from tests.world import World, make_client, make_person, make_server

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


def now() -> datetime:
    return datetime.now(UTC)


def send(server: BackupServer, content: bytes = RESTIC, *, door: str = "http", **meta: Any) -> None:
    at = now()
    store(server.tenant_id, [Incoming(door, str(uuid.uuid4()), content, at, server.pk, meta)], now=at)


def process() -> None:
    pipeline.process_waiting(now=now)


def live(browser: Browser, server: BackupServer, product: str = "restic", **asked: Any) -> Any:
    return browser.get(reverse("connect-arrivals", args=[server.uid, product]), asked)


# ---- pick a product -----------------------------------------------------------------------------------------------


def test_every_format_can_be_picked_by_its_label(technician: Browser) -> None:
    shown = technician.get(reverse("connect")).content.decode()
    for name, module in FORMATS.items():
        assert f'href="{reverse("connect-server", args=[name])}"' in shown
        assert unescape(shown).count(f"<b>{module.LABEL}</b>") == 1, name


def test_the_search_works_without_a_script(technician: Browser) -> None:
    found = technician.get(reverse("connect"), {"text": "VEEAM mail"}).content.decode()
    assert re.findall(r'class="product card" href="[^"]*/connect/([^/"]+)/"', found) == ["veeam"]
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
    assert len({way.channel for way in guide.ways}) == 1 or tabs[0][1]
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
    keys.filter(hint=second[:8]).update(last_used_at=now())
    (third,) = set(KEY.findall(technician.post(address).content.decode()))
    assert third != second
    _, used, fresh = keys.all()
    assert used.revoked_at is None
    assert abs(used.expires_at - now() - timedelta(hours=24)) < timedelta(minutes=5)
    assert fresh.expires_at is None


# ---- see the first log arrive -------------------------------------------------------------------------------------


def test_a_log_is_seen_waiting_then_read_with_the_job_it_made(world: World, technician: Browser) -> None:
    connect(technician, client=str(world.client.uid))
    server = connected(world)
    assert "Waiting for the first log" in text_of(live(technician, server))
    send(server)
    assert "Stored, being read" in text_of(live(technician, server))
    process()
    shown = live(technician, server)
    text = text_of(shown)
    job = BackupJob.objects.of(world.tenant).get(server=server)
    for words in ("Arrived and read", "restic", "by HTTP", job.name, "job made", "Good", "27.3 MB protected"):
        assert words in text, words
    assert "Acme Dental" in text


@pytest.mark.parametrize("door", ["http", "batch", "mail", "folder", "wrapper", "pull"])
def test_every_door_is_watched(world: World, technician: Browser, door: str) -> None:
    connect(technician, client=str(world.client.uid))
    send(connected(world), door=door)
    process()
    assert f"by {DOORS[door]}" in text_of(live(technician, connected(world)))


def test_every_door_and_reason_has_its_words() -> None:
    assert set(DOORS) == set(KNOWN_DOORS)
    assert set(INBOX_REASONS) <= set(MENDING)


def test_what_nobody_can_place_is_said_with_the_link_that_mends_it(world: World, technician: Browser) -> None:
    connect(technician)
    server = connected(world)
    send(server, timezone="Mars/Base")
    process()
    shown = live(technician, server)
    assert "belongs to no known job" in text_of(shown)
    assert re.search(r'href="/inbox/[0-9a-f-]{36}/">Say whose it is<', shown.content.decode())


def test_what_nobody_reads_is_said(world: World, technician: Browser) -> None:
    connect(technician, client=str(world.client.uid))
    send(connected(world), b"what is this\n")
    process()
    text = text_of(live(technician, connected(world)))
    assert "not recognised" in text
    assert "No format recognises this log." in text
    assert "Look at what came in" in text


def test_an_unknown_zone_and_another_format_are_said_in_words(world: World, technician: Browser) -> None:
    connect(technician, "rsync", client=str(world.client.uid))
    send(connected(world), timezone="Mars/Base")
    process()
    text = text_of(live(technician, connected(world), "rsync"))
    assert "Unknown time zone 'Mars/Base'" in text
    assert "This is a log of restic, not of rsync" in text
    assert "This is a log" not in text_of(live(technician, connected(world), "restic"))


def test_a_run_told_twice_stands_with_one_of_the_logs(world: World, technician: Browser) -> None:
    connect(technician, client=str(world.client.uid))
    server = connected(world)
    for content in (RESTIC, RESTIC + b"\n"):
        send(server, content)
        process()
    text = text_of(live(technician, server))
    assert text.count("Arrived and read") == 2
    assert text.count("27.3 MB protected") == 1
    assert text.count("tells of nothing that another log") == 1


def test_what_came_before_the_page_was_opened_is_not_its_first_log(world: World, technician: Browser) -> None:
    connect(technician, client=str(world.client.uid))
    send(connected(world))
    assert "Stored" in text_of(live(technician, connected(world)))
    assert "Waiting" in text_of(live(technician, connected(world), since=now().timestamp()))
    BackupServer.objects.of(world.tenant).update(registered_at=now() - timedelta(days=9))
    assert "Waiting" in text_of(live(technician, connected(world)))


def test_a_source_that_cannot_be_asked_is_said(world: World, technician: Browser) -> None:
    PullSource.objects.of(world.tenant).create(
        server=world.server, name="Comet of Acme", kind="comet", check_after=now(), created_at=now(),
        last_error="The password is wrong.", secrets={"password": "hunter2"},
    )  # fmt: skip
    text = text_of(live(technician, world.server))
    assert "Comet of Acme cannot be read: The password is wrong." in text
    assert "hunter2" not in text


def test_looking_slows_down_and_stops(world: World, technician: Browser) -> None:
    waits = {looks: live(technician, world.server, looks=looks).content.decode() for looks in (0, 50, 120, MOST_LOOKS)}
    found = {looks: re.findall(r'hx-trigger="every (\d+)s"', page) for looks, page in waits.items()}
    assert found == {0: ["2"], 50: ["5"], 120: ["20"], MOST_LOOKS: []}
    assert "Look again" in waits[MOST_LOOKS]


def test_what_did_not_change_is_not_drawn_again(world: World, technician: Browser) -> None:
    connect(technician, client=str(world.client.uid))
    server = connected(world)
    first = live(technician, server).content.decode()
    (seen,) = re.findall(r"seen=([0-9a-f]+)", first)
    (since,) = re.findall(r"since=([0-9.]+)", first)
    assert CHANGED in first
    assert CHANGED not in live(technician, server, seen=seen, since=since).content.decode()
    send(server)
    assert CHANGED in live(technician, server, seen=seen, since=since).content.decode()


@pytest.mark.parametrize(
    "asked", [{"since": "x"}, {"since": "nan"}, {"since": "1e400"}, {"since": "-9e18"}, {"looks": "²"}]
)
def test_a_strange_question_is_answered(world: World, technician: Browser, asked: dict[str, str]) -> None:
    assert live(technician, world.server, **asked).status_code == 200


def test_more_logs_need_no_more_queries(world: World, technician: Browser) -> None:
    connect(technician, client=str(world.client.uid))
    server = connected(world)
    counts = []
    for count in (1, 3):
        for _ in range(count):
            send(server, RESTIC.replace(b"6dea332d", uuid.uuid4().hex[:8].encode()))
        process()
        with CaptureQueriesContext(connection) as captured:
            live(technician, server)
        counts.append(len(captured))
    assert counts[0] == counts[1]


# ---- the server's own page ----------------------------------------------------------------------------------------


def test_a_servers_page_says_how_it_sends_and_what_came_last(world: World, technician: Browser) -> None:
    connect(technician, "duplicati", client=str(world.client.uid))
    server = connected(world)
    address = MailAddress.objects.of(world.tenant).get(server=server)
    send(server)
    send(server, b"what is this\n")
    process()
    shown = technician.get(reverse("server", args=[server.uid]))
    text = text_of(shown)
    assert f"{address.token}@" in text
    assert "backledger-run --job files -- restic backup --json /srv/data" in text
    assert "Bearer YOUR-KEY" in text
    assert not KEY.search(shown.content.decode())
    assert "job made" in text
    assert "No format recognises this log." in text


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
    send(world.other_server)
    for address in pages_of(world.other_server)[1:]:
        assert technician.get(address).status_code == 404
        assert technician.post(address).status_code == 404
    assert technician.get(reverse("connect"), {"server": str(world.other_server.uid)}).status_code == 404
    for address in (reverse("connect"), reverse("connect-server", args=["restic"])):
        assert technician.get(address, {"client": str(foreign.uid)}).status_code == 404
    assert connect(technician, client=str(foreign.uid)).status_code == 422
    assert not BackupServer.objects.of(world.tenant).filter(name="files02").exists()


def test_logs_of_other_servers_are_not_shown(world: World, technician: Browser) -> None:
    other, _ = make_server(world.tenant, "backup02", client=world.client)
    connect(technician, client=str(world.client.uid))
    send(other)
    send(world.other_server)
    assert "Waiting for the first log" in text_of(live(technician, connected(world)))
    assert "Nothing came in" in text_of(technician.get(reverse("server", args=[connected(world).uid])))


def test_an_unknown_product_is_not_there(world: World, technician: Browser) -> None:
    for address in pages_of(world.server, "no-such-product"):
        assert technician.get(address).status_code == 404
        assert technician.post(address, {"name": "mine", "timezone": "UTC"}).status_code == 404
