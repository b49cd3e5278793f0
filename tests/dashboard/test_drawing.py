"""Sizes, times, strips, curves and forms: what they say, in words and in marks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest
from django.template.loader import render_to_string

from alerts.params import whole_number, yes_no
from alerts.rules import RULES
from integrations.configuration import setting
from msp.backups.queries import DayMark, SizePoint
from msp.dashboard import charts, formatting, forms
from msp.dashboard.until import moment_chosen

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)
MONDAY = date(2026, 3, 2)


@pytest.mark.parametrize(
    "distance,words",
    [
        (timedelta(seconds=5), "just now"),
        (timedelta(minutes=3, seconds=59), "3 min ago"),
        (timedelta(hours=25), "1 d ago"),
        (timedelta(days=400), "1 y ago"),
        (-timedelta(hours=3), "in 3 h"),
        (-timedelta(seconds=3), "in a moment"),
    ],
)
def test_relative_times(distance: timedelta, words: str) -> None:
    assert formatting.relative_words(NOON - distance, NOON) == words


def test_sizes_carry_their_exact_bytes() -> None:
    shown = formatting.size(1_234_567_890)
    assert "1.2 GB" in shown
    assert 'title="1,234,567,890 bytes"' in shown
    assert "–" in formatting.size(None)
    assert "0 bytes" in formatting.size(0)


@pytest.mark.parametrize(
    "seconds,words", [(None, "–"), (0.84, "0.8 s"), (61, "1 min 1 s"), (3600, "1 h"), (90061, "1 d 1 h")]
)
def test_durations(seconds: float | None, words: str) -> None:
    assert formatting.duration(seconds) == words


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "//evil", "/local", ""])
def test_only_web_addresses_become_links(address: str) -> None:
    assert formatting.safe_link(address) == ""
    assert formatting.safe_link("https://helpdesk.example/1") == "https://helpdesk.example/1"


def test_outcomes_differ_in_shape_and_word() -> None:
    shown = {name: formatting.outcome(name) for name in ("success", "warning", "failure", "missed")}
    assert len({text.split("#")[1].split('"')[0] for text in shown.values()}) == 4
    assert "tolerated" in formatting.outcome("warning", good=True)
    assert "not counted" in formatting.outcome("success", good=False)


def days(*marks: str) -> list[tuple[date, DayMark]]:
    return [
        (MONDAY + timedelta(days=place), DayMark(name.rstrip("+"), 1, mended=name.endswith("+")))
        for place, name in enumerate(marks)
    ]


def test_a_strip_says_in_words_what_it_shows() -> None:
    strip = charts.draw_strip(days("good", "failure+", "missed", "none", "retired"), label='Acme "<b>"')
    assert 'data-marks="gFmnr"' in strip
    assert "1 good, 1 failed (3 Mar), 1 missed (4 Mar), 1 no run, 1 not active" in strip
    assert "<b>" not in strip
    assert strip.count("<path") == 7


def test_a_flat_curve_and_a_zero_can_be_drawn() -> None:
    points = [SizePoint(MONDAY, 0), SizePoint(MONDAY + timedelta(days=1), 0)]
    assert "<svg" in charts.draw_size_chart(points, label="x")
    assert "<svg" in charts.draw_sparkline(points, label="x")
    assert charts.draw_sparkline(points[:1], label="x") == ""


@pytest.mark.parametrize("used,state", [(79, "within"), (80, "near"), (100, "near"), (101, "over")])
def test_a_quota_shows_how_full_it_is(used: int, state: str) -> None:
    assert f"quota-{state}" in charts.draw_quota(used, 100)
    assert charts.draw_quota(used, None) == ""


@pytest.mark.parametrize("choice", ["", "never", "0d"])
def test_no_choice_is_no_moment(choice: str) -> None:
    assert moment_chosen(choice, now=NOON, zone="UTC") is None


def test_tomorrow_morning_is_eight_oclock_across_the_spring_gap() -> None:
    assert moment_chosen("morning", now=NOON, zone="Europe/Berlin") == datetime(2026, 3, 29, 6, tzinfo=UTC)


@dataclass(frozen=True)
class Params:
    days: int = whole_number(3, label="Days", help="How many.", unit="days", at_least=1, at_most=9)
    loud: bool = yes_no(True, label="Loud", help="Whether to shout.")


@dataclass(frozen=True)
class Config:
    url: str = setting("Address", help="Where.")
    token: str = setting("Token", secret=True)
    method: str = setting("Method", default="POST", choices=(("POST", "POST"), ("PUT", "PUT")))


def test_a_rules_parameters_become_a_form_and_are_read_back() -> None:
    fields = forms.fields_of_params(Params, {"days": 5}, inherited={"loud": "yes (tenant)"})
    page = render_to_string("parts/form.html", {"fields": fields})
    assert 'type="number"' in page
    assert 'min="1" max="9"' in page
    assert 'value="5"' in page
    assert forms.read_fields(fields, {"days": "4", "loud": "no"}) == {"days": 4, "loud": False}
    assert forms.read_fields(fields, {"days": "", "loud": ""}) == {}
    with pytest.raises(forms.BadField, match="Days must be a whole number"):
        forms.read_fields(fields, {"days": "many"})


def test_a_secret_never_goes_back_to_the_browser() -> None:
    fields = forms.fields_of_config(Config, {"url": "https://x.example", "token": "s3cret"})
    page = render_to_string("parts/form.html", {"fields": fields})
    assert "s3cret" not in page
    assert 'placeholder="unchanged"' in page
    assert forms.read_fields(fields, {"url": "https://y.example", "token": "", "method": "PUT"}) == {
        "url": "https://y.example", "method": "PUT",
    }  # fmt: skip
    with pytest.raises(forms.BadField, match="Method cannot be"):
        forms.read_fields(fields, {"url": "https://y.example", "method": "DELETE"})
    with pytest.raises(forms.BadField, match="Address is missing"):
        forms.read_fields(fields, {"url": " "})


def test_a_refused_form_keeps_what_was_typed_and_says_why() -> None:
    fields = forms.fields_of_params(Params, {})
    error = forms.BadField("days", 'Days must be a whole number, not "<b>".')
    page = render_to_string("parts/form.html", {"fields": forms.refill(fields, {"days": "<b>"}, error=error)})
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert 'aria-invalid="true"' in page


@pytest.mark.parametrize("kind", list(RULES))
def test_every_rule_has_a_form(kind: str) -> None:
    fields = forms.fields_of_params(RULES[kind].Params, {})
    assert render_to_string("parts/form.html", {"fields": fields}).count("<label") == len(fields)
    assert all(field.label and field.help for field in fields)
