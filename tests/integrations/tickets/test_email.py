"""Mails as they arrive at a real SMTP server: threading, headers, encoding, and what a failure means."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest

from integrations.configuration import BadConfig, config_from_json
from integrations.errors import OutcomeUnknown, PermanentFailure, TemporaryFailure
from integrations.tickets import NewTicket, Thread, TicketText, email
from tests.doubles.mailbox import PASSWORD, USER, Mailbox
from tests.doubles.raw_server import RawServer, certificate_for
from tests.integrations.tickets.configs import NOW, TICKET, a_call, email_json

FIRST_ID = "<BL-1a2b3c4d.0.create@msp.example>"
THREAD = Thread(TICKET.reference, FIRST_ID)
NOTE = TicketText(TICKET.text.subject, "Still failing.")


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as running:
        yield running


def config_for(mailbox: Mailbox, **changes: object) -> email.Config:
    return config_from_json(email.Config, email_json(mailbox.port, **changes))


def create(mailbox: Mailbox, ticket: NewTicket = TICKET, **changes: object) -> EmailMessage:
    email.create(config_for(mailbox, **changes), ticket, call=a_call())
    return mailbox.messages()[-1]


def plain(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def test_the_first_mail_bears_reference_date_and_its_own_id(mailbox: Mailbox) -> None:
    created = email.create(config_for(mailbox), TICKET, call=a_call())
    (message,) = mailbox.messages()
    assert created.external_id == message["Message-ID"] == FIRST_ID
    assert message["Subject"] == "[BL-1a2b3c4d] Acme Dental: no good backup for 72 h on SRV-DC01"
    assert message["Date"].datetime == NOW
    assert message["X-Auto-Response-Suppress"] == "All"
    assert (message["X-Priority"], message["Importance"]) == ("2", "high")
    assert (message["In-Reply-To"], message["Precedence"], message["List-Id"]) == (None, None, None)
    assert mailbox.kept[0].sender == "robot@msp.example"
    assert mailbox.kept[0].recipients == ("desk@tickets.example",)


def test_later_mails_join_the_thread_and_have_ids_of_their_own(mailbox: Mailbox) -> None:
    config = config_for(mailbox)
    email.comment(config, THREAD, NOTE, sequence=1, call=a_call())
    email.close(config, THREAD, NOTE, sequence=2, call=a_call())
    comment, final = mailbox.messages()
    for message in (comment, final):
        assert message["In-Reply-To"] == message["References"] == FIRST_ID
        assert message["Subject"] == f"[BL-1a2b3c4d] {TICKET.text.subject}"
    assert comment["Message-ID"] == "<BL-1a2b3c4d.1.comment@msp.example>"
    assert final["Message-ID"] == "<BL-1a2b3c4d.2.close@msp.example>"


def test_a_thread_survives_a_change_of_the_domain(mailbox: Mailbox) -> None:
    config = config_for(mailbox, message_domain="mail.new.example")
    email.comment(config, THREAD, NOTE, sequence=1, call=a_call())
    (message,) = mailbox.messages()
    assert message["References"] == FIRST_ID
    assert message["Message-ID"] == "<BL-1a2b3c4d.1.comment@mail.new.example>"


def test_closing_is_one_mail_with_the_words_that_close(mailbox: Mailbox) -> None:
    config = config_for(mailbox, close_subject="[status=resolved]", close_line="Status: Closed")
    text = TicketText(TICKET.text.subject, "All good again.", "<p>All good again.</p>")
    email.close(config, THREAD, text, sequence=3, call=a_call())
    (message,) = mailbox.messages()
    assert message["Subject"].endswith("SRV-DC01 [status=resolved]")
    assert plain(message) == "Status: Closed\n\nAll good again.\n"
    html = message.get_body(("html",))
    assert html is not None
    assert "<p>Status: Closed</p>" in html.get_content()


@pytest.mark.parametrize(
    "readers, auto_submitted, expected",
    [
        ("people", "by-reader", "auto-generated"), ("intake", "by-reader", None),
        ("intake", "always", "auto-generated"), ("people", "never", None),
    ],
)  # fmt: skip
def test_only_people_get_the_mark_that_intakes_discard(
    mailbox: Mailbox, readers: str, auto_submitted: str, expected: str | None
) -> None:
    assert create(mailbox, readers=readers, auto_submitted=auto_submitted)["Auto-Submitted"] == expected


def test_people_are_the_default_reader(mailbox: Mailbox) -> None:
    assert create(mailbox)["Auto-Submitted"] == "auto-generated"


def test_text_arrives_as_written_with_dots_unicode_and_long_lines(mailbox: Mailbox) -> None:
    body = ".\n..\n.leading dot\nZahnärzte Müller — 540 GiB ✓\n" + "x" * 3000 + "\n\nFrom here\n."
    text = TicketText("Zahnärzte Müller — über Quota", body, f"<pre>{body}</pre>")
    message = create(mailbox, replace(TICKET, text=text))
    assert plain(message).rstrip("\n") == body
    assert message["Subject"] == "[BL-1a2b3c4d] Zahnärzte Müller — über Quota"
    wire = mailbox.kept[0].content
    assert wire.isascii()
    assert max(len(line) for line in wire.split(b"\r\n")) <= 998


@pytest.mark.parametrize(
    "ending",
    ["\r\nBcc: victim@evil.example", "\nX-Evil: 1\n\nbody", "\r\n.\r\nMAIL FROM:<x@y>", "\x00\x0b\u2028\u2029"],
)
def test_a_hostile_subject_stays_one_header(mailbox: Mailbox, ending: str) -> None:
    text = TicketText("Client" + ending, "Body")
    message = create(mailbox, replace(TICKET, text=text))
    assert len(mailbox.kept) == 1
    assert {"Bcc", "X-Evil"}.isdisjoint(message.keys())
    assert plain(message) == "Body\n"
    assert mailbox.kept[0].recipients == ("desk@tickets.example",)


def test_a_long_subject_is_cut_behind_the_reference(mailbox: Mailbox) -> None:
    message = create(mailbox, replace(TICKET, text=TicketText("s" * 5000, "b")))
    assert message["Subject"] == "[BL-1a2b3c4d] " + "s" * 200


def test_a_hostile_body_cannot_end_the_mail(mailbox: Mailbox) -> None:
    body = "before\r\n.\r\nRCPT TO:<victim@evil.example>\r\n\x1b[31mred\ud800"
    message = create(mailbox, replace(TICKET, text=TicketText("s", body)))
    assert len(mailbox.kept) == 1
    assert "RCPT TO" in plain(message)
    assert "\x1b" not in plain(message)


@pytest.mark.parametrize("reference", ["BL 1", "BL-1>\r\nX: y", "", "BL@1"])
def test_a_reference_is_letters_digits_and_hyphens(mailbox: Mailbox, reference: str) -> None:
    with pytest.raises(PermanentFailure, match="reference"):
        create(mailbox, replace(TICKET, reference=reference))
    assert mailbox.kept == []


@pytest.mark.parametrize("external_id", ["17", "<a@b>\r\nBcc: x@y.z", "", "<a b@c>"])
def test_only_a_message_id_can_be_replied_to(mailbox: Mailbox, external_id: str) -> None:
    with pytest.raises(PermanentFailure, match="Message-ID"):
        email.comment(config_for(mailbox), replace(THREAD, external_id=external_id), NOTE, sequence=1, call=a_call())
    assert mailbox.kept == []


def test_one_refused_recipient_stops_the_mail_for_all(mailbox: Mailbox) -> None:
    mailbox.fail_next("refuse recipient")
    with pytest.raises(PermanentFailure, match=r"recipient a@x\.example: 550 5\.1\.1 No such mailbox"):
        create(mailbox, recipients=["a@x.example", "b@x.example"])
    assert mailbox.kept == []


def test_several_recipients_get_one_mail(mailbox: Mailbox) -> None:
    message = create(mailbox, recipients="a@x.example, B <b@x.example>")
    assert mailbox.kept[0].recipients == ("a@x.example", "b@x.example")
    assert message["To"] == "a@x.example, B <b@x.example>"


def test_a_refusal_of_the_mail_itself_is_definite(mailbox: Mailbox) -> None:
    mailbox.fail_next("refuse mail")
    with pytest.raises(PermanentFailure, match="554"):
        create(mailbox)


def test_greylisting_is_temporary(mailbox: Mailbox) -> None:
    mailbox.fail_next("come back later")
    with pytest.raises(TemporaryFailure, match="451"):
        create(mailbox)


def test_silence_after_the_text_ends_at_the_deadline_as_unknown(mailbox: Mailbox) -> None:
    mailbox.fail_next("silent after mail")
    with pytest.raises(OutcomeUnknown, match="did not answer in time after the mail was sent"):
        email.create(config_for(mailbox), TICKET, call=a_call(seconds=0.5))


@pytest.mark.parametrize("says", [b"", b"220 hello\r\n"])
def test_a_server_that_hangs_before_the_text_is_temporary(says: bytes) -> None:
    with RawServer(says, hold=True) as port, pytest.raises(TemporaryFailure, match="before the mail was sent"):
        email.create(config_from_json(email.Config, email_json(port)), TICKET, call=a_call(seconds=0.3))


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_login_is_demanded_and_given() -> None:
    with Mailbox(demand_login=True) as strict:
        with pytest.raises(PermanentFailure, match="530"):
            create(strict)
        create(strict, username=USER, password=PASSWORD)
        with pytest.raises(PermanentFailure, match="user name or password"):
            create(strict, username=USER, password="wr0ng-password")
        assert len(strict.kept) == 1


def test_starttls_checks_the_certificate_against_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, context = certificate_for("localhost", tmp_path)
    with Mailbox(tls=context) as mailbox:
        with pytest.raises(TemporaryFailure, match="certificate that is not trusted"):
            create(mailbox, host="localhost", security="starttls")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        create(mailbox, host="localhost", security="starttls", username=USER, password=PASSWORD)
        with pytest.raises(TemporaryFailure, match="certificate that is not trusted"):
            create(mailbox, host="127.0.0.1", security="starttls")
        assert len(mailbox.kept) == 1


def test_no_starttls_means_no_mail(mailbox: Mailbox) -> None:
    with pytest.raises(PermanentFailure, match="does not offer STARTTLS"):
        create(mailbox, security="starttls")
    assert mailbox.kept == []


def test_tls_from_the_start_meets_no_plain_greeting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, context = certificate_for("localhost", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    heard: list[ssl.SSLObject | ssl.SSLSocket] = []
    context.sni_callback = lambda line, name, _: heard.append(line) if name == "localhost" else None
    with RawServer(b"", hold=True, context=context) as port:
        config = config_from_json(email.Config, email_json(port, host="localhost", security="tls"))
        with pytest.raises(TemporaryFailure, match="did not answer in time"):
            email.create(config, TICKET, call=a_call(seconds=0.5))
    assert heard


def test_a_password_over_an_open_line_is_named_as_a_problem(mailbox: Mailbox) -> None:
    config = config_for(mailbox, username=USER, password=PASSWORD)
    problems = email.check(config, call=replace(a_call(), allow_private=False))
    assert problems[0] == "Without encryption the password would travel openly. Choose STARTTLS or TLS."


@pytest.mark.parametrize(
    "field, value",
    [
        ("host", "smtp example"),
        ("host", "smtp.example/x"),
        ("host", ""),
        ("port", 0),
        ("port", 70000),
        ("port", "many"),
        ("security", "ssl3"),
        ("sender", "robot"),
        ("sender", "a@b\r\nBcc: c@d"),
        ("sender", "a@b@c d"),
        ("recipients", []),
        ("recipients", ["ok@x.example", "bad"]),
        ("recipients", "ü@x.example"),
        ("message_domain", "a b"),
        ("password", "only a password"),
        ("readers", "cats"),
    ],
)
def test_a_bad_configuration_is_named_by_field(field: str, value: object) -> None:
    with pytest.raises(BadConfig) as caught:
        config_from_json(email.Config, email_json(25) | {field: value})
    assert caught.value.field == field
    assert "only a password" not in str(caught.value)


def test_mail_and_conversation_are_kept_for_people_to_read_without_the_log_in() -> None:
    with Mailbox(demand_login=True) as server:
        call = a_call()
        config = config_for(server, username=USER, password=PASSWORD)
        email.create(config, replace(TICKET, text=TicketText("Plätze", f"Überfällig, {PASSWORD}")), call=call)
    (kept,) = call.record.exchanges()
    assert (kept.method, kept.address, kept.status) == ("SMTP", f"smtp://127.0.0.1:{server.port}", 250)
    assert "Subject: [BL-1a2b3c4d] Plätze" in kept.request
    assert kept.request.endswith("Überfällig, …\n")
    assert "> AUTH …" in kept.answer
    assert "> RCPT TO:<desk@tickets.example>" in kept.answer
    assert "334" not in kept.answer
    assert PASSWORD not in str(kept)


def test_a_refusal_is_kept_with_the_reply_that_told_it(mailbox: Mailbox) -> None:
    mailbox.fail_next("refuse recipient")
    call = a_call()
    with pytest.raises(PermanentFailure):
        email.create(config_for(mailbox), TICKET, call=call)
    (kept,) = call.record.exchanges()
    assert kept.status == 550
    assert "No such mailbox" in kept.failure
    assert kept.request == "", "the mail was never sent"
