"""What arrives from a server that is being connected, and on its own page: seen live, by every door, said in words."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from msp import pipeline
from msp.backups.models import BackupJob
from msp.channels.models import MailAddress, PullSource
from msp.dashboard.arrivals import DOORS, MENDING
from msp.dashboard.views.connecting import MOST_LOOKS
from msp.estate.models import BackupServer
from msp.ingest.models import DOORS as KNOWN_DOORS
from msp.ingest.models import INBOX_REASONS
from msp.ingest.storing import Incoming, store
from tests.dashboard.scene import browser_of
from tests.dashboard.test_connecting import KEY, connect, connected, text_of
from tests.world import World, make_server

RESTIC = (Path(__file__).parents[1] / "fixtures" / "logs" / "restic" / "backup-first-json" / "stdout.log").read_bytes()
CHANGED = "hx-swap-oob"


@pytest.fixture
def technician(world: World) -> Browser:
    return browser_of(world.technician)


def now() -> datetime:
    return datetime.now(UTC)


def send(server: BackupServer, content: bytes = RESTIC, *, door: str = "http", **meta: Any) -> None:
    at = now()
    store(server.tenant_id, [Incoming(door, str(uuid.uuid4()), content, at, server.pk, meta)], now=at)


def process() -> None:
    pipeline.process_waiting(now=now)


def live(browser: Browser, server: BackupServer, product: str = "restic", **asked: Any) -> Any:
    return browser.get(reverse("connect-arrivals", args=[server.uid, product]), asked)


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
    assert set(MENDING) == set(INBOX_REASONS)


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


def test_logs_of_other_servers_are_not_shown(world: World, technician: Browser) -> None:
    other, _ = make_server(world.tenant, "backup02", client=world.client)
    connect(technician, client=str(world.client.uid))
    send(other)
    send(world.other_server)
    assert "Waiting for the first log" in text_of(live(technician, connected(world)))
    assert "Nothing came in" in text_of(technician.get(reverse("server", args=[connected(world).uid])))
