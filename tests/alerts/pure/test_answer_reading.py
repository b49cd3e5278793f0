"""Mails as people's programs and ticket systems write them: what is new in them, and who wrote it."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from alerts.answer_reading import Answer, read_answer, written_anew
from alerts.mail_commands import is_command
from integrations.tickets.mail_systems import Told, read

RECORDED = Path(__file__).parents[2] / "fixtures" / "ticket_mails"


def answer(content: bytes, *, envelope_sender: str | None = "desk@tickets.example") -> Answer:
    return read_answer(content, envelope_sender=envelope_sender)


def letter(text: str = "Hi.", *, html: str = "", **headers: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = "Tina <TINA@tickets.example>"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    if text:
        message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html") if text else message.set_content(html, subtype="html")
    return message


# --- text ----------------------------------------------------------------------------------------------------------

OLDER = "\n> Backup failed.\n> > Earlier still.\n"


@pytest.mark.parametrize(
    "rest",
    [
        f"On Mon, Nov 23, 2026 at 6:00 AM Backups <robot@msp.example> wrote:\n{OLDER}",
        f"On Mon, Nov 23, 2026 at 6:00 AM Backups <robot@msp.example>\nwrote:\n{OLDER}",
        f"Am 23.11.26 um 06:00 schrieb Backups:\n{OLDER}",
        f"Am Mo., 23. Nov. 2026 um 06:00 Uhr schrieb Backups <\nrobot@msp.example>:\n{OLDER}",
        f"Le lun. 23 nov. 2026 à 06:00, Backups <robot@msp.example> a écrit :\n{OLDER}",
        f"El lun, 23 nov 2026 a las 6:00, Backups (<robot@msp.example>) escribió:\n{OLDER}",
        "-----Original Message-----\nFrom: Backups\nSent: Monday\nSubject: x\n\nBackup failed.",
        "-----Ursprüngliche Nachricht-----\nVon: Backups\nBackup failed.",
        "________________________________\nFrom: Backups\nSent: Monday\n\nBackup failed.",
        "From: Backups <robot@msp.example>\nSent: Monday, 23 November 2026\nTo: desk\nSubject: x\n\nBackup failed.",
        "Von: Backups <robot@msp.example>\nGesendet: Montag, 23. November 2026 06:00\n\nBackup failed.",
        "De : Backups\nEnvoyé : lundi 23 novembre 2026\n\nBackup failed.",
        "-- \nTina Tech\nHelp Desk",
        "Sent from my iPhone\n\n> Backup failed.",
        "Von meinem iPhone gesendet",
        "> Backup failed.",
    ],
)
def test_what_is_quoted_and_signatures_are_cut(rest: str) -> None:
    assert written_anew(f"Disk replaced.\n\nWatching it.\n\n{rest}") == "Disk replaced.\n\nWatching it."


@pytest.mark.parametrize(
    "text",
    [
        "On Monday I wrote: it is the disk.",
        "From: the console I see nothing.\nIt is dead.",
        "Size - 5 GB -- no more",
        "a -> b\n-----\nc",
    ],
)
def test_other_words_stay(text: str) -> None:
    assert written_anew(text) == text


def test_an_answer_below_the_quotation_and_a_ticket_systems_marker() -> None:
    assert written_anew("##- Please type your reply above this line -##\n> Old.\n\nNew.") == "New."


def test_cutting_is_linear_whatever_the_text() -> None:
    """What takes a regular expression minutes is read in no time: the test would not end else."""
    for piece in ("On a b c ", "On \n", "From: x\n", "> " * 50 + "\n", "-- - ", "_" * 30, "Am schrieb "):
        written_anew((piece * 20_000)[:20_000])


def test_a_page_without_a_plain_part_is_read_as_text() -> None:
    page = "<html><head><style>p{}</style></head><body><p>Disk <b>replaced</b>.</p><script>x()</script></body></html>"
    assert answer(letter("", html=page).as_bytes()).text == "Disk replaced."
    assert answer(letter("Plain.", html=page).as_bytes()).text == "Plain."


def test_attachments_and_mails_within_it_are_not_its_words() -> None:
    message = letter("See there.")
    message.add_attachment(b"#close" * 1000, maintype="text", subtype="plain", filename="log.txt")
    message.add_attachment(letter("Inner words."))
    assert answer(message.as_bytes()).text == "See there."


@pytest.mark.parametrize("charset", ["iso-8859-1", "windows-1252", "utf-8", "utf-16"])
def test_any_character_set_is_read(charset: str) -> None:
    head = f"From: t@x.example\r\nContent-Type: text/plain; charset={charset}\r\n\r\n".encode()
    assert answer(head + "Größe: 5 €".replace("€", "$").encode(charset)).text == "Größe: 5 $"


def test_a_subject_and_a_name_are_decoded_and_hold_no_control_characters() -> None:
    content = (
        b"From: =?utf-8?B?VMOkbmphDQpYOiB5?= <t@x.example>\r\nSubject: =?utf-8?Q?R=C3=A9=00p=0D=0AX=3A_y?=\r\n\r\nx"
    )
    read_one = answer(content)
    assert (read_one.name, read_one.sender) == ("Tänja X: y", "t@x.example")
    assert read_one.subject == "Ré p X: y"


@pytest.mark.parametrize(
    "header",
    [
        b"From: desk@tickets.example, mallory@evil.example",
        b"From: desk@tickets.example\r\nFrom: mallory@evil.example",
        b"X-From: desk@tickets.example",
        b"From: " + b"(" * 4000,
        b"From: " + b"a:" * 4000,
    ],
)
def test_a_mail_that_does_not_name_exactly_one_writer_has_none(header: bytes) -> None:
    assert answer(header + b"\r\n\r\nHi").sender == ""


def test_an_encoded_name_does_not_become_the_address() -> None:
    hidden = b"From: =?utf-8?Q?desk=40tickets.example=2C?= <mallory@evil.example>\r\n\r\nHi"
    assert answer(hidden).sender == "mallory@evil.example"


def test_ten_megabytes_are_looked_at_as_far_as_people_read() -> None:
    big = answer(letter("line of text\n" * 800_000).as_bytes())
    assert len(big.text) <= 20_000
    assert answer(letter("", html="<p>x" * 2_500_000).as_bytes()).text.startswith("x\nx")


# --- machines ------------------------------------------------------------------------------------------------------


def test_mail_of_a_person_is_not_automatic() -> None:
    plain = answer(letter(In_Reply_To="<a@b>", References="<c@d> <a@b>").as_bytes())
    assert (plain.automatic, plain.ours, plain.is_report, plain.returned) == (False, False, False, None)
    assert plain.answers == ("<a@b>", "<c@d>", "<a@b>")
    assert plain.sender == "tina@tickets.example"
    assert not answer(letter(Auto_Submitted="No").as_bytes()).automatic
    assert not answer(letter(Precedence="first-class").as_bytes()).automatic
    assert not answer(letter().as_bytes(), envelope_sender=None).automatic


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto_Submitted": "auto-replied (vacation)"},
        {"Auto_Submitted": "auto-notified; owner-email=x"},
        {"Precedence": "Auto_Reply"},
        {"X_Auto_Response_Suppress": "OOF"},
        {"X_Autorespond": "x"},
    ],
)
def test_marks_of_machines(headers: dict[str, str]) -> None:
    assert answer(letter(**headers).as_bytes()).automatic


@pytest.mark.parametrize("sender", ["MAILER-DAEMON@x.example", "postmaster@x.example"])
def test_a_mail_server_is_a_machine(sender: str) -> None:
    assert answer(f"From: {sender}\r\n\r\nHi".encode()).automatic


# --- systems -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "system", "expected"),
    [
        ("rt-auto-reply.eml", "rt", Told("rt.test #1", relayed=True)),
        ("rt-comment.eml", "rt", Told("rt.test #1", relayed=True)),
        ("rt-resolved.eml", "rt", Told("rt.test #1", "resolved", True, True)),
        ("roundup-new.eml", "roundup", Told("issue1", "chatting", False, True)),
        ("helpdesk-opened.eml", "django-helpdesk", Told("backups-1")),
        ("helpdesk-resolved.eml", "django-helpdesk", Told("backups-1", "Resolved", True)),
        ("rt-resolved.eml", "", Told()),
        ("rt-resolved.eml", "unknown", Told()),
    ],
)
def test_what_recorded_mails_tell(name: str, system: str, expected: Told) -> None:
    mail = answer((RECORDED / name).read_bytes())
    told = read(system, subject=mail.subject, headers=mail.headers)
    assert told == expected


@pytest.mark.parametrize(
    ("system", "subject", "number"),
    [
        ("redmine", "[Backups - Bug #2] (New) [BL-00112233AA] Acme", "#2"),
        ("redmine", "Re: [#17] x", "#17"),
        ("osticket", "Support Ticket Opened [#123456]", "#123456"),
        ("osticket", "[BL-00112233AA] Acme", ""),
        ("rt", "[BL-00112233AA] Acme #5", ""),
        ("django-helpdesk", "[BL-00112233AA] Acme", ""),
        ("roundup", "[BL-00112233AA] [priority=urgent]", ""),
    ],
)
def test_a_number_is_read_in_the_systems_own_form_alone(system: str, subject: str, number: str) -> None:
    assert read(system, subject=subject, headers={}).number == number


def test_a_header_and_a_subject_that_disagree_tell_nothing() -> None:
    told = read("rt", subject="[rt.test #2] Resolved: x", headers={"x-rt-ticket": "rt.test #1"})
    assert (told.number, told.closed) == ("", None)
    forged = read("rt", subject="[rt.test #2] Resolved: x", headers={})
    assert (forged.number, forged.closed) == ("rt.test #2", None), "the header that RT writes is missing"


@pytest.mark.parametrize(("text", "expected"), [("\n\n  #ACK\n", True), ("#snoozed", False), ("", False)])
def test_a_command_stands_in_the_first_line(text: str, expected: bool) -> None:
    assert is_command(text) is expected
