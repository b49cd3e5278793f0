"""Mails, forms and encodings are opened before a format looks, within limits."""

from __future__ import annotations

import base64
import quopri
from urllib.parse import urlencode

import pytest

from integrations.logs import read
from integrations.logs.delivery import from_raw
from integrations.logs.joblog import Delivery
from integrations.logs.mail import html_to_text, is_mail
from integrations.logs.mime import MAX_DEPTH
from integrations.logs.opening import open_delivery

HEADERS = b"From: root <root@fs01.example>\r\nTo: b@msp.example\r\nDate: Sat, 14 Oct 2017 20:10:02 -0500\r\nMIME-Version: 1.0\r\n"  # noqa: E501
REPORT = "ExaminedFiles: 5\nSizeOfExaminedFiles: 10\nMainOperation: Backup\nParsedResult: Success\n"


def mail(subject: str, rest: bytes) -> bytes:
    return HEADERS + b"Subject: " + subject.encode() + b"\r\n" + rest


def test_a_quoted_printable_mail_in_another_character_set() -> None:
    body = quopri.encodestring(("Duplicati Backup report for Büro\n\n" + REPORT).encode("iso-8859-1"))
    head = b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    reading = read(Delivery(stdout=mail("report", head + body)))
    assert [run.source_job for run in reading.runs] == ["Büro"]


def test_an_encoded_subject_and_a_page_without_plain_text() -> None:
    page = "<html><head><style>p {}</style></head><body><p>" + REPORT.replace("\n", "<br>") + "</p></body></html>"
    head = b"Content-Type: multipart/alternative; boundary=B\r\n\r\n--B\r\nContent-Type: text/html; charset=utf-8\r\n"
    rest = b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(page.encode()) + b"\r\n--B--\r\n"
    reading = read(Delivery(stdout=mail("=?utf-8?q?Duplicati_Success,_Backup_report_for_B=C3=BCro?=", head + rest)))
    (run,) = reading.runs
    assert (run.source_job, run.protected_bytes, run.outcome) == ("Büro", 10, "success")


def test_the_log_may_be_an_attachment() -> None:
    head = (
        b"Content-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\nContent-Type: text/plain\r\n\r\nSee below.\r\n--B\r\n"
    )
    part = b'Content-Type: text/plain\r\nContent-Disposition: attachment; filename="restic.log"\r\n\r\n'
    reading = read(Delivery(stdout=mail("backup", head + part + b"Fatal: wrong password or no key found\r\n--B--\r\n")))
    assert reading.format == "restic"
    assert reading.outcome == "failure"


def test_cron_names_command_and_host_in_its_subject() -> None:
    body = b"Content-Type: text/plain\r\n\r\nFatal: wrong password or no key found\r\n"
    (run,) = read(Delivery(stdout=mail("Cron <root@fs01> restic forget --keep-last 3", body))).runs
    assert (run.operation, run.host, run.outcome) == ("prune", "fs01", "failure")


def test_a_mail_nested_too_deeply_stays_closed_and_says_so() -> None:
    nested = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (at, at) for at in range(MAX_DEPTH + 5)
    )
    reading = read(Delivery(stdout=mail("x", nested)))
    assert reading.format is None
    assert "nested" in reading.problems[0]


def test_a_mail_of_very_many_parts_stays_closed_and_says_so() -> None:
    parts = b"--B\r\nContent-Type: text/plain\r\n\r\nx\r\n" * 500
    reading = read(
        Delivery(stdout=mail("x", b"Content-Type: multipart/mixed; boundary=B\r\n\r\n" + parts + b"--B--\r\n"))
    )
    assert "parts" in reading.problems[0]


@pytest.mark.parametrize(
    "body", [b"", b"key: value\nother: value\n", REPORT.encode(), b"From: only\n\nx", b"Subject: x\n\n"]
)
def test_lines_with_colons_are_no_mail(body: bytes) -> None:
    assert not is_mail(body)


def test_a_web_form_with_one_log_in_it() -> None:
    form = urlencode({"message": "Duplicati Backup report for NAS\r\n\r\n" + REPORT}).encode()
    (run,) = read(from_raw(form, content_type="application/x-www-form-urlencoded")).runs
    assert run.source_job == "NAS"
    assert read(from_raw(form)).format == "duplicati"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-8"])
def test_what_windows_shells_redirect(encoding: str) -> None:
    log = "\ufeffprocessed 126 files, 25.123 MiB in 0:00\r\nsnapshot 256750d3 saved\r\n"
    (run,) = read(Delivery(stdout=log.encode(encoding), exit_code=0)).runs
    assert (run.run_id, run.outcome) == ("256750d3", "success")


def test_html_becomes_lines_and_cells() -> None:
    page = "<html><script>evil()</script><table><tr><td>a &amp; b</td><td>1&nbsp;GB</td></tr></table><p>end</html>"
    assert html_to_text(page).split() == ["a", "&", "b", "1", "GB", "end"]
    assert "evil" not in html_to_text(page)


def test_opening_leaves_a_plain_log_alone() -> None:
    delivery = Delivery(stdout=b"snapshot 256750d3 saved\n")
    assert open_delivery(delivery) == delivery
