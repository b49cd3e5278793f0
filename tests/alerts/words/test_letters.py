"""The default letters: what a technician needs, in each language, as text and as HTML; hostile values stay text."""

from __future__ import annotations

from datetime import timedelta
from html.parser import HTMLParser

import pytest

from alerts.routing import SHARED
from alerts.rules import KINDS
from alerts.words.cards import Update
from alerts.words.languages import CODES, LANGUAGES, language_of
from alerts.words.letters import first_letter, ticket_subject, update_letter
from tests.alerts.words.cards import BASE, PLAIN, card

SOLVED = "Every problem of this ticket is solved."


class Reading(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_first_letter_in_english_word_for_word() -> None:
    letter = first_letter([PLAIN], language=language_of("en"), base_url=BASE)
    assert letter.text == (
        "The backup failed 3 times in a row.\n\n"
        "Client: Acme Dental\nMachine: DC01\nServer: srv1\nJob: nightly\nProduct: veeam\nSeverity: critical\n"
        "Since: Tue 3 Mar 2026 22:00 CET\nLast good backup: Sun 1 Mar 2026 22:00 CET\n\n"
        "From the log:\n  ERROR: disk full\n  exit code 1\n\n"
        "What to try: Read the log lines here or behind the link, mend their cause and run the job again; a good run "
        "closes this by itself. Veeam tells more in its console under History > Jobs, and in "
        "C:\\ProgramData\\Veeam\\Backup on the backup server.\n\n"
        "Details: https://backledger.msp.example/incidents/5f0c8a52-0000-4000-8000-000000000001"
    )


def test_the_first_letter_in_german_keeps_the_rules_own_sentence_as_the_detail() -> None:
    letter = first_letter([PLAIN], language=language_of("de"), base_url=BASE)
    lines = letter.text.splitlines()
    assert lines[0] == "Die Sicherungen von „nightly“ haben seit Di., 3. März 2026, 22:00 CET Fehler."
    assert lines[1] == "Im Einzelnen (englisch): The backup failed 3 times in a row."
    assert "Letzte gute Sicherung: So., 1. März 2026, 22:00 CET" in lines
    assert "Schwere: kritisch" in lines


@pytest.mark.parametrize("code", CODES)
def test_text_and_html_say_the_same(code: str) -> None:
    language = LANGUAGES[code]
    letter = first_letter([PLAIN, card(job="weekly", uid="2")], language=language, base_url=BASE, opening="Before.")
    page = Reading(letter.html)
    assert page.open == []
    assert sorted("".join(letter.text.split()).replace(":", "")) == sorted("".join(page.words.split()).replace(":", ""))


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_rule_makes_a_letter_even_where_nothing_else_is_known(kind: str, code: str) -> None:
    bare = card(kind=kind, job="", machine="", server="", client="", lines=(), last_good_at=None, product="")
    letter = first_letter([bare], language=LANGUAGES[code], base_url=BASE)
    assert "{" not in letter.text
    assert LANGUAGES[code].rules[kind].hint in letter.text
    assert "{" not in ticket_subject(bare, group_key="incident:x", language=LANGUAGES[code])


def test_what_strangers_write_stays_text_on_one_line() -> None:
    hostile = card(
        client="<script>alert(1)</script>",
        job="x\r\nBcc: everybody@example.com",
        machine="{{ 7 * 7 }} {client}",
        lines=('<img src=x onerror="alert(1)">\x1b[31m', "{% for x in y %}", "a" * 5000),
        summary="line one\nSubject: mine",
    )
    letter = first_letter([hostile], language=language_of("fr"), base_url=BASE)
    tags = Reading(letter.html).tags
    assert "script" not in tags
    assert "img" not in tags
    assert "{{ 7 * 7 }} {client}" in letter.text
    assert "{% for x in y %}" in letter.text
    assert "\x1b" not in letter.text
    assert max(map(len, letter.text.splitlines())) < 700
    subject = ticket_subject(hostile, group_key="job:1", language=language_of("fr"))
    assert subject.isprintable()
    assert len(subject) <= 150


def test_subjects_by_group_and_language() -> None:
    german, english = language_of("de"), language_of("en")
    assert ticket_subject(PLAIN, group_key="job:7", language=english) == "Acme Dental: errors - nightly on DC01"
    assert ticket_subject(PLAIN, group_key="job:7", language=german) == "Acme Dental: Fehler - nightly auf DC01"
    assert ticket_subject(PLAIN, group_key="client:7", language=english) == "Acme Dental: backup problems"
    assert (
        ticket_subject(PLAIN, group_key="client:7:2026-03-04", language=german)
        == "Acme Dental: Probleme mit Sicherungen vom 2026-03-04"
    )
    assert ticket_subject(PLAIN, group_key="server:7", language=english) == "srv1: backup problems"
    assert ticket_subject(PLAIN, group_key=SHARED, language=english).startswith("Further backup problems")
    silent = card(job="", machine="", client="", server="srv1", kind="server_silent")
    assert ticket_subject(silent, group_key="incident:x", language=english) == "srv1: server silent on srv1"


@pytest.mark.parametrize("code", CODES)
def test_a_message_of_many_problems_stays_a_size_that_zendesk_takes(code: str) -> None:
    lines = tuple(f"ERROR {number}: " + "x" * 400 for number in range(12))
    cards = [card(uid=str(number), lines=lines, summary="The backup failed. " * 8) for number in range(230)]
    letter = first_letter(cards, language=LANGUAGES[code], base_url=BASE)
    assert max(len(letter.text), len(letter.html)) < 65_535
    few = first_letter(cards[:2], language=LANGUAGES[code], base_url=BASE)
    assert "ERROR 9: " in few.text
    assert "ERROR 10: " not in few.text


@pytest.mark.parametrize(("code", "told"), [("en", "none so far"), ("de", "bisher keine")])
def test_a_job_without_a_good_backup_says_so_and_what_is_no_job_does_not(code: str, told: str) -> None:
    never, silent = card(last_good_at=None), card(last_good_at=None, job="", kind="server_silent")
    assert f": {told}\n" in first_letter([never], language=LANGUAGES[code], base_url=BASE).text
    assert told not in first_letter([silent], language=LANGUAGES[code], base_url=BASE).text


def test_updates_are_told_once_in_the_tickets_language() -> None:
    at = PLAIN.since + timedelta(hours=1)
    gone = card(uid="2", job="weekly", is_open=False)
    updates = (
        Update("joined", "It failed.", at, gone),
        Update("reminder", "Still failing.", at, PLAIN),
        Update("left", "A good run came in.", at, gone),
        Update("closed", SOLVED, at, None),
        Update("closed", "Closed by Ann.", at, None),
    )
    german = update_letter(updates, language=language_of("de"), base_url=BASE, solved=SOLVED)
    blocks = german.text.split("\n\n")
    assert blocks[0].splitlines()[0] == "Noch offen: Acme Dental - nightly - Fehler"
    assert "Behoben: Acme Dental - weekly - Fehler\nIm Einzelnen (englisch): A good run came in." in blocks, (
        "what came and went meanwhile is told as solved, and only so"
    )
    assert blocks[-2:] == ["Alle Probleme dieses Tickets sind behoben.", "Closed by Ann."]
    assert "Außerdem" not in german.text
    english = update_letter(updates[2:3], language=language_of("en"), base_url=BASE, solved=SOLVED)
    assert english.text == "Solved: Acme Dental - weekly - Errors\nA good run came in."
    assert "<b>Solved: Acme Dental - weekly - Errors</b>" in english.html


def test_a_letter_without_updates_says_that_all_is_solved() -> None:
    assert update_letter((), language=language_of("es"), base_url=BASE, solved=SOLVED).text == (
        "Todos los problemas de este ticket están resueltos."
    )


def test_many_problems_are_listed_and_counted() -> None:
    cards = [card(uid=str(number), job=f"job {number:03}") for number in range(230)]
    letter = first_letter(cards, language=language_of("es"), base_url=BASE)
    assert letter.text.count("Detalles: ") == 20
    assert letter.text.count("- Acme Dental - job ") == 200
    assert letter.text.endswith("- y 10 más")
    assert letter.html.count("<li>") == 201
