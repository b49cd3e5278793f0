"""Forwarded mails, attachments and pages are opened to the log that was first sent, whoever sent it on."""

from __future__ import annotations

import gzip
import io
import tracemalloc
import zipfile
import zlib
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery
from integrations.logs.opening import open_delivery
from integrations.logs.page_text import html_to_text
from tests.growth import assert_grows_linearly

LOG = "Fatal: wrong password or no key found\n"
SUBJECT = "Backup of fs01"

OUTLOOK = {
    "en": "From: NAS <nas@acme.example>\nSent: Monday, 23 November 2026 02:00\nTo: it@acme.example\nSubject: {0}\n",
    "de": "Von: NAS <nas@acme.example>\nGesendet: Montag, 23. November 2026 02:00\nAn: it@acme.example\nBetreff: {0}\n",
    "fr": "De : NAS <nas@acme.example>\nEnvoyé : lundi 23 novembre 2026 02:00\nÀ : it@acme.example\nObjet : {0}\n",
    "es": "De: NAS <nas@acme.example>\nEnviado el: lunes, 23 de noviembre de 2026 2:00\nPara: it@acme\nAsunto: {0}\n",
}
GMAIL = "---------- Forwarded message ---------\n"
PREFIXES = {"en": "FW: ", "de": "WG: ", "fr": "TR: ", "es": "RV: "}


def mail(text: str = "", *, subject: str = SUBJECT, html: str = "") -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = "Tech <tech@msp.example>", "b@msp.example", subject
    message["Date"], message["Message-ID"] = "Mon, 23 Nov 2026 03:30:00 +0100", "<1@msp.example>"
    message.set_content(html or text, subtype="html" if html else "plain")
    return message


def opened(message: EmailMessage | bytes) -> Delivery:
    return open_delivery(Delivery(stdout=message if isinstance(message, bytes) else message.as_bytes()))


def text_of(delivery: Delivery) -> str:
    return delivery.stdout.decode().replace("\r\n", "\n").strip()


@pytest.mark.parametrize("language", sorted(OUTLOOK))
def test_what_outlook_forwards(language: str) -> None:
    block = OUTLOOK[language].format(SUBJECT)
    message = mail(f"Bitte ansehen.\n\n{block}\n{LOG}", subject=PREFIXES[language] + SUBJECT)
    found = opened(message)
    assert (found.subject, found.sender, text_of(found)) == (SUBJECT, "NAS <nas@acme.example>", LOG.strip())


@pytest.mark.parametrize(
    "text",
    [
        f"{GMAIL}From: NAS <nas@acme.example>\nDate: Mon, Nov 23, 2026\nSubject: {SUBJECT}\nTo: <it@a.example>\n\n\n",
        f"{GMAIL}Von: *NAS* <nas@acme.example>\nDate: Mo., 23. Nov. 2026\nSubject: {SUBJECT}\nTo: <it@a>\n\n",
        f"-----Ursprüngliche Nachricht-----\nVon: NAS\nGesendet: heute\nAn: x\nBetreff: {SUBJECT}\n\n",
        f"________________________________\n-----Message d'origine-----\n{OUTLOOK['fr'].format(SUBJECT)}\n",
        f"-------- Weitergeleitete Nachricht --------\nBetreff: \t{SUBJECT}\nDatum: \tx\nVon: \tNAS\nAn: \ty\n\n",
        f"-------- Mensaje reenviado --------\n{OUTLOOK['es'].format(SUBJECT)}\n",
    ],
)
def test_what_other_programs_forward_under_a_new_subject(text: str) -> None:
    found = opened(mail(f"Hello\n\n{text}{LOG}", subject="please look"))
    assert (found.subject, text_of(found)) == (SUBJECT, LOG.strip())
    assert "NAS" in found.sender


@pytest.mark.parametrize(
    "begin",
    [
        "Begin forwarded message:",
        "Anfang der weitergeleiteten Nachricht:",
        "Début du message transféré :",
        "Inicio del mensaje reenviado:",
    ],
)
def test_what_apple_mail_forwards_quoted(begin: str) -> None:
    lines = [
        "From: NAS <nas@acme.example>",
        f"Subject: {SUBJECT}",
        "Date: 23. November 2026",
        "To: x",
        "",
        LOG.strip(),
        "next",
    ]
    text = begin + "\n\n" + "\n".join(f"> {line}".rstrip() for line in lines)
    found = opened(mail(text, subject=f"Fwd: {SUBJECT}"))
    assert (found.subject, text_of(found)) == (SUBJECT, LOG + "next")


def test_a_forward_of_a_forward_and_one_in_html() -> None:
    inner = OUTLOOK["de"].format(f"WG: {SUBJECT}") + "\n" + OUTLOOK["en"].format(SUBJECT) + "\n" + LOG
    assert opened(mail(inner, subject=f"WG: WG: {SUBJECT}")).subject == SUBJECT
    html = (
        "<p>See</p><div><b>Von:</b> NAS &lt;n@a.example&gt;<br><b>Gesendet:</b> x<br><b>Betreff:</b> %s</div><p>%s</p>"
    )
    found = opened(mail(html=html % (SUBJECT, LOG), subject=f"WG: {SUBJECT}"))
    assert (found.subject, found.sender, text_of(found)) == (SUBJECT, "NAS <n@a.example>", LOG.strip())


def test_a_log_with_lines_like_headers_is_no_forward() -> None:
    text = "From: /srv\nSubject: nothing\nTo: /backup\n\n" + LOG
    assert text_of(opened(mail(text))) == text.strip()


def test_an_attached_mail_is_the_log_and_its_date_counts() -> None:
    original = mail(LOG, subject="=?utf-8?q?Sicherung_f=C3=BCr_fs01?=")
    del original["From"], original["Date"]
    original["From"], original["Date"] = "NAS <nas@acme.example>", "Mon, 23 Nov 2026 02:00:00 +0100"
    outer = mail("Please look.", subject="Fwd: x")
    outer.add_attachment(original)
    found = opened(outer)
    assert (found.subject, found.sender, text_of(found)) == (
        "Sicherung für fs01",
        "NAS <nas@acme.example>",
        LOG.strip(),
    )
    assert found.sent_at == datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
    outer.add_attachment(mail("another"))
    assert "2 mails" in opened(outer).problems[0]


def test_a_returned_mail_is_not_taken_for_a_forwarded_one() -> None:
    head = b"From: daemon@x\r\nTo: a@b\r\nSubject: Undelivered\r\nContent-Type: multipart/report; boundary=B\r\n\r\n"
    parts = (
        b"--B\r\n\r\nIt could not be delivered.\r\n--B\r\nContent-Type: message/rfc822\r\n\r\n" + mail(LOG).as_bytes()
    )
    assert opened(head + parts + b"\r\n--B--\r\n").subject == "Undelivered"


# --- attachments -------------------------------------------------------------------------------------------------


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def with_attachment(content: bytes, name: str, kind: str = "octet-stream") -> EmailMessage:
    message = mail("See below.")
    message.add_attachment(content, maintype="application", subtype=kind, filename=name)
    return message


@pytest.mark.parametrize(
    ("content", "name"),
    [(gzip.compress(LOG.encode()), "restic.log.gz"), (zipped(restic_log=LOG.encode()), "logs.zip")],
    ids=["gzip", "zip"],
)
def test_a_packed_log_is_unpacked(content: bytes, name: str) -> None:
    reading = read(Delivery(stdout=with_attachment(content, name).as_bytes()))
    assert (reading.format, reading.outcome, reading.problems) == ("restic", "failure", ())


def bomb() -> bytes:
    """A gz of 1 GiB of zeros, made without holding them."""
    packer, zeros = zlib.compressobj(9, wbits=31), bytes(1024 * 1024)
    return b"".join(packer.compress(zeros) for _ in range(1024)) + packer.flush()


def many_entries() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(30_000):
            archive.writestr(f"{number}", b"")
    return out.getvalue()


BOMB = bomb()
HOSTILE = {
    "a gz bomb": (BOMB, "more than 16 MiB"),
    "a zip bomb": (zipped(zeros=bytes(100 * 1024 * 1024)), "more than 16 MiB"),
    "a zip in a zip": (zipped(inner=zipped(log=b"x")), "another archive"),
    "a gz in a gz": (gzip.compress(gzip.compress(b"x")), "another archive"),
    "very many entries": (many_entries(), "more than 20 files"),
    "a few too many": (zipped(**{f"f{number}": b"x" for number in range(21)}), "more than 20 files"),
    "cut off": (gzip.compress(LOG.encode())[:-9], "broken archive"),
    "a broken zip": (b"PK\x03\x04" + bytes(500), "broken archive"),
    "another kind": (b"7z\xbc\xaf\x27\x1c" + bytes(50), "not opened"),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_archives_stay_closed_in_little_memory(name: str) -> None:
    content, words = HOSTILE[name]
    raw = with_attachment(content, "log.bin").as_bytes()
    tracemalloc.start()
    try:
        found = open_delivery(Delivery(stdout=raw))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert words in found.problems[0]
    assert peak < 48 * 1024 * 1024
    assert text_of(found) == "See below."


def test_a_mail_of_the_largest_size_costs_little_memory() -> None:
    head = mail("x").as_bytes().partition(b"\r\n\r\n")[0].replace(b'Content-Type: text/plain; charset="utf-8"', b"")
    lines = b"ABCD" * 19 + b"\r\n"
    raw = head + b"\r\nContent-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    raw += lines * (20 * 1024 * 1024 // len(lines))
    tracemalloc.start()
    try:
        open_delivery(Delivery(stdout=raw))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak + len(raw) < 96 * 1024 * 1024


def test_winmail_is_left_out_with_a_sentence_and_the_run_stays_good() -> None:
    log = '{"backledger": 1, "runs": [{"operation": "backup", "outcome": "success", "job": "x"}]}'
    message = mail(log)
    message.add_attachment(bytes(2000), maintype="application", subtype="ms-tnef", filename="winmail.dat")
    (run,) = read(Delivery(stdout=message.as_bytes())).runs
    assert run.problems == ()
    assert "winmail.dat" in run.notes[0]


# --- hostile mails -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"--B\r\nContent-Type: text/plain\r\n\r\nx\r\n" * 10_000, "more than 100 parts"),
        (b"--B\r\n\r\n" * 10_000, "more than 100 parts"),
        (b"--B\r\nX: " + b"y" * 300_000 + b"\r\n", "headers of more than"),
    ],
)
def test_a_mail_beyond_the_limits_stays_closed_and_says_so(raw: bytes, words: str) -> None:
    head = b"From: a@b\r\nTo: c@d\r\nSubject: x\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n"
    found = opened(head + raw)
    assert words in found.problems[0]


@pytest.mark.parametrize(
    "raw",
    [
        b'Subject: a\r\n b\r\n\tc\r\nFrom: x\0y\r\nTo: z\r\nContent-Type: text/plain; charset="none"\r\n\r\n\0 \xff',
        b"From: a\r\nTo: b\r\nSubject: =?utf-8?b?4pyTDQpCY2M6IHg=?=\r\nContent-Type: multipart/mixed\r\n\r\n--\r\n",
        b"From: a\r\nTo: b\r\nSubject: x\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n\r\nunfinished",
        b"From: a\r\nTo: b\r\nSubject: x\r\nContent-Transfer-Encoding: base64\r\nContent-Type: text/plain\r\n\r\nYWJ",
        b"From: a\r\nTo: b\r\nSubject: x\r\nContent-Type: text/plain; charset=utf-16\r\n\r\nabc",
    ],
)
def test_broken_mails_give_what_can_be_had(raw: bytes) -> None:
    found = opened(raw)
    assert "\n" not in found.subject
    assert "\0" not in found.subject + found.sender
    assert found.content_type == "text/plain"


def test_parts_in_utf_16_and_with_a_mark() -> None:
    head = b"From: a@b\r\nTo: c@d\r\nSubject: x\r\nContent-Type: text/plain; charset=utf-16le\r\n"
    raw = head + b"Content-Transfer-Encoding: 8bit\r\n\r\n" + LOG.encode("utf-16-le")
    assert text_of(opened(raw)) == LOG.strip()
    attached = with_attachment(b"\xff\xfe" + LOG.encode("utf-16-le"), "restic.log")
    assert read(Delivery(stdout=attached.as_bytes())).format == "restic"


# --- pages -------------------------------------------------------------------------------------------------------


def test_rows_are_lines_and_cells_stand_apart() -> None:
    page = (
        "<table>\n<tr>\n <td><p>Server</p></td>\n <td>Success<br>twice</td></tr><tr><th>VM 1</th><td>  12 GB</td></tr>"
        "<tr><td>outer<table><tr><td>in</td><td>ner</td></tr></table></td></tr></table>after<pre>a\n  b</pre>"
    )
    lines = [[cell.strip() for cell in line.split("\t") if cell.strip()] for line in html_to_text(page).splitlines()]
    told = [line for line in lines if line]
    assert told == [["Server", "Success twice"], ["VM 1", "12 GB"], ["outer"], ["in", "ner"], ["after"], ["a"], ["b"]]


@pytest.mark.parametrize("piece", ["<td>", "<table><tr><td>", "<", "<p", "</td>", "<script>", "&#x41;", "<!--"])
def test_hostile_pages_cost_linear_time(piece: str) -> None:
    assert_grows_linearly(lambda times: html_to_text(piece * times), small=20_000, large=200_000)


def test_a_header_of_thousands_of_parameters_takes_no_longer_than_its_bytes() -> None:
    def work(size: int) -> object:
        head = (
            b"From: a@b.example\r\nTo: c@d.example\r\nSubject: x\r\nContent-Type: text/plain"
            + b"; a=b" * size
            + b"\r\n\r\n"
        )
        return opened(head + LOG.encode())

    assert text_of(work(40000)) == LOG.strip()  # type: ignore[arg-type]
    assert_grows_linearly(work, small=4000, large=40000)
