"""Templates: which one holds, what it may say, what is refused and in which words; whatever is written stays small."""

from __future__ import annotations

import pytest

from alerts.words import sandbox
from alerts.words.languages import LANGUAGES, language_of
from alerts.words.sandbox import BadTemplate
from alerts.words.templates import (
    BODY_VALUES,
    VALUES,
    Template,
    body_values,
    check_body,
    check_html,
    check_subject,
    choose_language,
    choose_template,
    subject_values,
    word_opening,
    word_subject,
)
from tests.alerts.words.cards import BASE, PLAIN, card

ENGLISH = language_of("en")


# --- choosing ----------------------------------------------------------------------------------------------------


def test_the_route_goes_before_the_tenant_and_the_language_before_all() -> None:
    of_all, german = Template(None, ""), Template(None, "de")
    of_route, of_other = Template(7, ""), Template(8, "de")
    everything = [of_all, german, of_route, of_other]
    assert choose_template(everything, route_id=7, language="de") is of_route
    assert choose_template(everything, route_id=9, language="de") is german
    assert choose_template(everything, route_id=9, language="fr") is of_all
    assert choose_template([*everything, Template(7, "de", "x")], route_id=7, language="de") == Template(7, "de", "x")
    assert choose_template([german, of_other], route_id=None, language="fr") is None


@pytest.mark.parametrize(
    ("route", "client", "tenant", "expected"),
    [
        ("fr", "de", "es", "fr"),
        ("", "de", "es", "de"),
        ("", "", "es", "es"),
        ("", "", "", "en"),
        ("xx", "", "es", "es"),
    ],
)
def test_the_language_is_that_of_the_route_then_the_client_then_the_tenant(
    route: str, client: str, tenant: str, expected: str
) -> None:
    assert choose_language(route=route, client=client, tenant=tenant) == expected


# --- filling in --------------------------------------------------------------------------------------------------


def test_every_documented_value_is_there_and_no_other() -> None:
    first = word_opening(None, [PLAIN], subject="s", reference="BL-1", language=ENGLISH, base_url=BASE).letter
    body = body_values([PLAIN], default=first, subject="s", reference="BL-1", language=ENGLISH, base_url=BASE)
    assert set(body) == {*VALUES, *BODY_VALUES}
    assert set(subject_values(PLAIN, default="d", reference="BL-1", language=ENGLISH, base_url=BASE)) == set(VALUES)


def test_all_three_parts_are_filled_in() -> None:
    template = Template(
        None,
        "",
        subject="{{ client }}: {{ problem }} ({{ severity }})",
        body="{{ sentence }}\nSince {{ since }}.\n{% for line in lines %}> {{ line }}\n{% endfor %}{{ link }}",
        html="<h1>{{ client }}</h1>{{ default }}",
    )
    assert word_subject(template, PLAIN, group_key="job:1", reference="BL-1", language=ENGLISH, base_url=BASE) == (
        "Acme Dental: Errors (critical)",
        "",
    )
    worded = word_opening(
        template, [PLAIN], subject="Kept", reference="BL-1", language=ENGLISH, base_url=BASE, opening="Before & after."
    )
    assert worded.subject == "Kept"
    assert worded.letter.text == (
        "Before & after.\n\nThe backups of “nightly” have had errors since Tue 3 Mar 2026 22:00 CET.\n"
        "Since Tue 3 Mar 2026 22:00 CET.\n> ERROR: disk full\n> exit code 1\n"
        f"{BASE}/incidents/{PLAIN.uid}"
    )
    assert worded.letter.html.startswith("<p>Before &amp; after.</p>\n<h1>Acme Dental</h1><div style=")
    assert worded.failures == ()


def test_a_text_without_html_of_its_own_is_shown_as_it_is() -> None:
    template = Template(None, "", body="<b>{{ client }}</b>\nsecond line")
    worded = word_opening(
        template, [card(client="A & B")], subject="s", reference="BL-1", language=ENGLISH, base_url=BASE
    )
    assert worded.letter.text == "<b>A & B</b>\nsecond line"
    assert worded.letter.html == ('<div style="white-space:pre-wrap">&lt;b&gt;A &amp; B&lt;/b&gt;\nsecond line</div>')


def test_html_alone_leaves_the_default_text() -> None:
    worded = word_opening(
        Template(None, "", html="<p>{{ client }}</p>"), [PLAIN], subject="s", reference="BL-1", language=ENGLISH,
        base_url=BASE,
    )  # fmt: skip
    assert worded.letter.text.startswith("The backup failed 3 times in a row.\n\nClient: Acme Dental")
    assert worded.letter.html == "<p>Acme Dental</p>"


def test_what_strangers_write_stays_text() -> None:
    hostile = card(
        client="<script>alert(1)</script>", job="x\r\nBcc: all@example.com", lines=("{{ 7 * 7 }}", "{% raw %}", "<b>")
    )
    template = Template(
        None,
        "",
        subject="{{ job }}",
        body="{{ lines|join('|') }}",
        html="{{ client }}{{ lines|join('<br>') }}{{ default }}",
    )
    subject, failure = word_subject(
        template, hostile, group_key="job:1", reference="BL-1", language=ENGLISH, base_url=BASE
    )
    assert (subject, failure) == ("x Bcc: all@example.com", "")
    worded = word_opening(template, [hostile], subject="s", reference="BL-1", language=ENGLISH, base_url=BASE)
    assert worded.letter.text == "{{ 7 * 7 }}|{% raw %}|<b>"
    assert "<script" not in worded.letter.html
    assert worded.letter.html.startswith("&lt;script&gt;alert(1)&lt;/script&gt;{{ 7 * 7 }}")
    assert "49" not in worded.letter.html


def test_a_template_that_fails_falls_back_and_says_why() -> None:
    template = Template(None, "", subject="{{ lines[5] }}", body="{{ lines[5] }}", html="{{ nobody }}")
    bare = card(lines=())
    subject, failure = word_subject(template, bare, group_key="job:1", reference="BL-1", language=ENGLISH, base_url="")
    assert subject == "Acme Dental: errors - nightly on DC01"
    assert failure == "The subject: Line 1: There is no item 5 here."
    worded = word_opening(template, [bare], subject="s", reference="BL-1", language=ENGLISH, base_url=BASE)
    default = word_opening(None, [bare], subject="s", reference="BL-1", language=ENGLISH, base_url=BASE)
    assert worded.letter == default.letter
    assert len(worded.failures) == 2
    assert "There is no value “nobody”" in worded.failures[1]


def test_what_comes_out_empty_is_said_by_the_default() -> None:
    template = Template(None, "", subject="{{ job }}", body=" {% if job %}{{ job }}{% endif %}\n")
    bare = card(job="")
    subject, failure = word_subject(template, bare, group_key="x", reference="BL-1", language=ENGLISH, base_url=BASE)
    assert (subject, failure) == ("Acme Dental: errors on DC01", "")
    worded = word_opening(template, [bare], subject="s", reference="BL-1", language=ENGLISH, base_url=BASE)
    assert worded == word_opening(None, [bare], subject="s", reference="BL-1", language=ENGLISH, base_url=BASE)


def test_many_problems_can_be_looped_over_in_every_language() -> None:
    cards = [card(uid=str(number), job=f"job {number}") for number in range(30)]
    template = Template(
        None, "", body="{{ count }}: {% for p in problems %}{{ p.job }}{% if not loop.last %}, {% endif %}{% endfor %}"
        "\n{% for line in further %}* {{ line }}\n{% endfor %}",
    )  # fmt: skip
    for language in LANGUAGES.values():
        text = word_opening(
            template, cards, subject="s", reference="BL-1", language=language, base_url=BASE
        ).letter.text
        assert text.startswith("30: job 0, job 1, ")
        assert text.count("\n* ") == 10


def test_a_long_subject_is_cut_to_one_line() -> None:
    template = Template(None, "", subject="{{ summary }}\n{{ summary }}")
    subject, _ = word_subject(
        template, card(summary="word " * 100), group_key="job:1", reference="BL-1", language=ENGLISH, base_url=BASE
    )
    assert len(subject) == 150
    assert subject.isprintable()


# --- refusing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("fine\n{{ nope }}", "Line 2: There is no value “nope”. Known are: client, "),
        ("{% if client %}\nx", "Unexpected end of template"),
        ("{{ client", "Line 1: Unexpected end of template"),
        ("{% for x in range(10**9) %}x{% endfor %}", "Line 1: "),
        ("{{ 'x' * 1000000000 }}", "Line 1: A template does not compute."),
        ("{{ 10 ** 10 ** 10 }}", "Line 1: A template does not compute."),
        ("{{ client ~ client }}", "Line 1: Write two values side by side"),
        ("{% set a = client %}", "Line 1: Nothing can be set in a template."),
        ("{% include '/etc/passwd' %}", "Line 1: A template stands alone"),
        ("{% import 'x' as y %}", "Line 1: A template stands alone"),
        ("{% extends 'x' %}", "Line 1: A template stands alone"),
        ("{% macro m() %}{{ m() }}{% endmacro %}", "Line 1: “Macro” has no place"),
        ("{{ client.upper() }}", "Line 1: Nothing can be called in a template."),
        ("{{ client.__class__.__mro__ }}", "Line 1: There is no “__"),
        ("{{ client['__class__'] }}", "Line 1: There is no “__class__” here."),
        ("{{ client.upper }}", "Line 1: There is no “upper” here."),
        ("{{ problems[0]['__init__'] }}", "Line 1: There is no “__init__” here."),
        ("{{ client|attr('__class__') }}", "Line 1: There is no filter “attr”."),
        ("{{ '%s'|format(client) }}", "Line 1: There is no filter “format”."),
        ("{{ client|center(100000000) }}", "Line 1: There is no filter “center”."),
        ("{{ default|safe }}", "Line 1: There is no filter “safe”."),
        ("{{ lines }}", "Line 1: A list cannot be printed as it is"),
        ("{{ problems[0] }}", "Line 1: A list cannot be printed as it is"),
        ("{% for p in problems %}{{ loop }}{% endfor %}", "Line 1: A list cannot be printed as it is"),
        ("a\n{{ lines[0] }}", "Line 2: There is no item 0 here."),
        ("{% for c in default %}x{% endfor %}", "Line 1: A loop goes over a list"),
        ("{% for p in problems %}{% for q in problems %}{% for r in problems %}{% endfor %}{% endfor %}{% endfor %}x",
         "Line 1: The loops go more than 2,000 rounds."),
        ("{% for p in problems recursive %}{% endfor %}", "Line 1: A loop cannot be recursive."),
        ("{% for p in problems %}" + "{{ default }}" * 9 + "{% endfor %}",
         "The text is longer than 250,000 characters."),
        ("{{ self }}", "Line 1: There is no value “self”."),
        ("{{ " + "(" * 20000 + "1", "A template has at most 20,000 characters."),
        ("{{ " + "(" * 9000 + "1" + ")" * 9000 + " }}", "It is nested too deeply"),
        ("{{ " + "not " * 4000 + "client }}", "It is nested too deeply"),
        ("{{ " + "9" * 9000 + " }}", "It is nested too deeply or holds a number"),
        ("{{ client" + "|e" * 5000 + " }}", "Line 1: It is nested too deeply."),
        ("{% autoescape false %}{{ client }}{% endautoescape %}", ""),
    ],
)  # fmt: skip
def test_what_a_template_may_not_do_is_refused_in_a_sentence(source: str, reason: str) -> None:
    for check in (check_body, check_html):
        with pytest.raises(BadTemplate) as caught:
            check(source)
        assert reason in caught.value.reason
        assert caught.value.reason.endswith(".")


@pytest.mark.parametrize("source", ["{% for line in lines %}x{% endfor %}", "x" * 501, "{{ default }}"])
def test_a_subject_is_short_and_has_no_loops(source: str) -> None:
    with pytest.raises(BadTemplate):
        check_subject(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ default }}",
        "{{ client|default('-') }} {{ job|upper|truncate(20) }}",
        "{% if last_good_backup %}{{ last_good_backup }}{% else %}never{% endif %}",
        "{{ lines|first|default('no line') }}",
        "{% for p in problems if p.severity == 'critical' %}{{ loop.index }}. {{ p.job }}{% else %}none{% endfor %}",
        "{# a remark #}{% raw %}{{ stays }}{% endraw %}",
        "{{ problems[0].client or 'the service' }}, {{ lines|join(', ') }}",
    ],
)  # fmt: skip
def test_what_people_want_to_write_is_taken(source: str) -> None:
    check_body(source)
    check_html(source)


def test_lines_of_tags_leave_nothing_behind_and_lines_of_words_keep_their_end() -> None:
    source = (
        "Hello{% if a %} {{ a }}{% endif %}\nlast\n{% for x in xs %}\n- {{ x }}\n{% endfor %}\n"
        "  {% if a %}  \nend\n{% endif %}"
    )
    assert sandbox.render(source, {"a": "A", "xs": ["1", "2"]}) == "Hello A\nlast\n- 1\n- 2\nend\n"


def test_a_value_is_never_a_template() -> None:
    assert sandbox.render("{{ a }}", {"a": "{{ b }}{% for x in y %}"}) == "{{ b }}{% for x in y %}"
