"""The words of tickets on their way to a real SMTP server: languages, a tenant's templates, and what happens when one
cannot be filled in.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest

from alerts.models import Destination, LetterTemplate, Route
from alerts.routing import SHARED
from integrations.logs.joblog import LogError
from msp.backups.models import BackupJob
from msp.estate.models import Client
from msp.tenants.models import Tenant
from tests.alerts.test_ticket_flow import FAILED, NOW, Play
from tests.doubles.mailbox import Mailbox
from tests.world import World, make_world

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as server:
        yield server


@pytest.fixture
def play(transactional_db: None) -> Play:
    return Play(make_world())


def template(world: World, **values: Any) -> LetterTemplate:
    made: LetterTemplate = LetterTemplate.objects.of(world.tenant).create(changed_at=NOW, **values)
    return made


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    return str(found.get_content()).replace("\r\n", "\n")


def speaks(play: Play, *, tenant: str = "", client: str = "", route: str = "") -> None:
    Tenant.objects.filter(pk=play.world.tenant.pk).update(language=tenant)
    Client.objects.of(play.world.tenant).update(language=client)
    Route.objects.of(play.world.tenant).update(language=route)


def test_a_ticket_is_text_and_html_and_says_the_same_in_both(play: Play, mailbox: Mailbox) -> None:
    play.to_mail(mailbox)
    BackupJob.objects.of(play.world.tenant).update(product="restic")
    play.run("failure", errors=(LogError('<b onload="x()">disk & "share"</b> {{ 7 * 7 }}'),))
    play.deliver()
    (message,) = mailbox.messages()
    assert message.get_content_type() == "multipart/alternative"
    assert [each.get_content_type() for each in message.iter_parts()] == ["text/plain", "text/html"]
    assert '<b onload="x()">disk & "share"</b> {{ 7 * 7 }}' in part(message, "plain")
    assert "&lt;b onload=&#34;x()&#34;&gt;disk &amp; &#34;share&#34;&lt;/b&gt; {{ 7 * 7 }}" in part(message, "html")
    for kind in ("plain", "html"):
        assert f"/incidents/{play.incident().uid}" in part(message, kind)
        assert "restic unlock" in part(message, kind)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({}, "What to try: "),
        ({"tenant": "de"}, "Was zu tun ist: "),
        ({"tenant": "de", "client": "fr"}, "À essayer : "),
        ({"tenant": "de", "client": "fr", "route": "es"}, "Qué probar: "),
        ({"tenant": "de", "route": "en"}, "What to try: "),
    ],
)
def test_the_language_is_that_of_the_route_then_the_client_then_the_tenant(
    play: Play, mailbox: Mailbox, chosen: dict[str, str], words: str
) -> None:
    play.to_mail(mailbox)
    speaks(play, **chosen)
    play.run("failure", **FAILED)
    play.deliver()
    assert words in part(mailbox.messages()[0], "plain")


def test_a_ticket_keeps_its_language_to_the_end(play: Play, mailbox: Mailbox) -> None:
    play.to_mail(mailbox)
    speaks(play, tenant="de")
    play.run("failure", **FAILED)
    play.deliver()
    speaks(play, tenant="fr")
    play.wait(hours=1)
    play.run("success")
    play.deliver()
    first, last = mailbox.messages()
    assert "Acme Dental: Fehler - files" in first["Subject"]
    assert first["Subject"] in last["Subject"]
    assert part(last, "plain").startswith("Behoben: Acme Dental - files - Fehler\n")
    assert part(last, "plain").endswith("Alle Probleme dieses Tickets sind behoben.\n")
    assert "Alle Probleme dieses Tickets sind behoben." in part(last, "html")


def test_a_template_words_the_opening_and_the_nearest_wins(play: Play, mailbox: Mailbox) -> None:
    play.to_mail(mailbox)
    route = Route.objects.of(play.world.tenant).get()
    template(play.world, subject="of all", body="of all")
    template(play.world, route=route, subject="{{ client }} / {{ job }}", body="Desk: {{ sentence }}\n{{ link }}")
    play.run("failure", **FAILED)
    play.deliver()
    (message,) = mailbox.messages()
    assert message["Subject"].endswith("Acme Dental / files")
    assert part(message, "plain").startswith("Desk: The backups of “files” have had errors since ")
    assert "pre-wrap" in part(message, "html")
    play.wait(hours=1)
    play.run("success")
    play.deliver()
    assert mailbox.messages()[1]["Subject"] == message["Subject"]
    assert part(mailbox.messages()[1], "plain").startswith("Solved: ")


def test_another_tenants_template_words_nothing_here(play: Play, mailbox: Mailbox) -> None:
    play.to_mail(mailbox)
    LetterTemplate.objects.of(play.world.other).create(subject="theirs", body="theirs", changed_at=NOW)
    play.run("failure", **FAILED)
    play.deliver()
    assert "theirs" not in mailbox.kept[0].content.decode()


def test_a_header_in_a_template_or_a_name_stays_words(play: Play, mailbox: Mailbox) -> None:
    play.to_mail(mailbox)
    Client.objects.of(play.world.tenant).update(name="Acme\r\nBcc: all@example.com")
    template(play.world, subject="{{ client }}\nX-Mine: yes", body="{{ client }}", html="{{ client }}")
    play.run("failure", **FAILED)
    play.deliver()
    (message,) = mailbox.messages()
    assert message["Subject"].endswith("Acme Bcc: all@example.com X-Mine: yes")
    assert message["Bcc"] is None
    assert message["X-Mine"] is None


def test_a_template_that_fails_at_night_loses_no_ticket_and_is_shown_with_the_destination(
    play: Play, mailbox: Mailbox
) -> None:
    destination = play.to_mail(mailbox)
    template(play.world, subject="{{ lines[9] }}", body="{{ lines[9] }}", html="{{ nobody }}")
    play.run("failure", **FAILED)
    after_opening = Destination.objects.of(play.world.tenant).get(pk=destination.pk)
    assert after_opening.words_failure == "The subject: Line 1: There is no item 9 here."
    play.wait(minutes=1)
    assert play.deliver() == 1
    (message,) = mailbox.messages()
    assert "Acme Dental: errors - files" in message["Subject"]
    assert "disk full" in part(message, "plain")
    assert "disk full" in part(message, "html")
    noted = Destination.objects.of(play.world.tenant).get(pk=destination.pk)
    assert noted.words_failure.startswith("The text: Line 1: There is no item 9 here. The HTML: Line 1: There is no ")
    assert noted.words_failed_at == NOW + timedelta(minutes=1)
    assert play.ticket().confirmed_state == "open"


def test_what_shares_a_ticket_beyond_the_limit_speaks_the_tenants_language(play: Play, mailbox: Mailbox) -> None:
    destination = play.to_mail(mailbox, grouping="incident")
    Destination.objects.of(play.world.tenant).filter(pk=destination.pk).update(tickets_per_hour=1)
    speaks(play, tenant="es", client="de")
    template(play.world, subject="{{ client }} only", body="{{ client }} only")
    play.run("failure", **FAILED)
    play.run("success", protected_bytes=0)
    for _ in range(4):
        play.wait(minutes=10)
        play.run("failure", **FAILED)
        play.sweep()
    shared = [each for each in mailbox_subjects(play, mailbox) if each.startswith("Otros problemas")]
    assert play.ticket().group_key == SHARED, "a second problem came up"
    assert len(shared) == 1


def mailbox_subjects(play: Play, mailbox: Mailbox) -> list[str]:
    play.deliver()
    return [str(message["Subject"]).partition("] ")[2] for message in mailbox.messages()]
