"""Words: the language of tickets, the templates of tenant and routes, and what a ticket would say.

The preview is a page of its own within the page: a template's HTML gets its own policy there, without scripts, without
anything from elsewhere and apart from the session.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.clickjacking import xframe_options_sameorigin

from alerts.models import Destination, LetterTemplate, Route
from alerts.params import BadParams
from alerts.wording_settings import (
    Preview,
    Written,
    find_card,
    preview_stored,
    preview_written,
    recent_cards,
    remove_template,
    set_language,
    store_template,
)
from alerts.words.cards import Card
from alerts.words.languages import CHOICES, language_of
from alerts.words.letters import where
from alerts.words.sandbox import KNOWN_FILTERS, SOURCE_LIMIT, SUBJECT_LIMIT
from alerts.words.templates import BODY_VALUES, SAMPLE, VALUES
from msp.dashboard.form_pages import FormPage, as_bad_field, edit
from msp.dashboard.forms import BadField, Field
from msp.dashboard.permits import OWN, SETTINGS, action, needs
from msp.dashboard.scope import StaffRequest, found
from msp.dashboard.security import POLICY
from msp.dashboard.typing_in import read_typed
from msp.dashboard.views.settings_servers import actor_of

#: The preview is shown within the page.
FRAMING = f"{POLICY}; frame-src 'self'"
FRAMED = "; ".join(
    ("default-src 'none'", "style-src 'unsafe-inline'", "img-src data:", "frame-ancestors 'self'", "sandbox")
)


@needs(SETTINGS)
def list_words(request: StaffRequest) -> HttpResponse:
    """The language, the templates, and what a ticket would say now."""
    tenant = request.scope.tenant
    rows = LetterTemplate.objects.of(tenant).select_related("route").order_by("route__position", "language", "pk")
    context = {
        "templates": [
            {"row": row, "language": language_of(row.language).name if row.language else "all"} for row in rows
        ],
        "failing": Destination.objects.of(tenant).exclude(words_failure="").order_by("name"),
        "language": language_of(tenant.language).name,
        "fields": (_language_field(tenant.language or "en", inherited=""),),
        "preview_fields": (_incident_field(request), _route_field(request, None), _language_field("")),
        "may_change": OWN.holds(request.scope),
    }
    return _framing(render(request, "settings/words.html", context))


@action(OWN)
def choose_language(request: StaffRequest) -> HttpResponse:
    """The language of the tenant's tickets from now on."""
    values = read_typed((_language_field("", inherited=""),), request.POST)
    set_language(request.scope.tenant, values["language"] or "", actor=actor_of(request))
    messages.success(request, "The language is stored; tickets that are open keep theirs.")
    return redirect("words")


@needs(OWN)
def edit_template(request: StaffRequest, uid: uuid.UUID | None = None) -> HttpResponse:
    """A new template, or one that is there."""
    row = None if uid is None else _find(request, uid)

    def apply(values: dict[str, Any]) -> str:
        store_template(request.scope.tenant, row, _written(request, values), actor=actor_of(request))
        return reverse("words")

    more = {
        "template_row": row,
        "preview_fields": (_incident_field(request),),
        "values": VALUES,
        "body_values": BODY_VALUES,
        "filters": KNOWN_FILTERS,
    }
    page = FormPage(
        title="New template" if row is None else "Template",
        back=reverse("words"),
        lead="The first message of a ticket. A part that is empty is said by the default letter.",
        crumbs=(("Settings", reverse("settings")), ("Words", reverse("words"))),
        template="settings/words_template.html",
        more=more,
    )
    done = "The template is stored; tickets that are opened from now on use it."
    return _framing(edit(request, page, _fields(request, row), apply=apply, done=done))


@action(OWN)
def reset(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Back to the words that hold without this template."""
    remove_template(request.scope.tenant, _find(request, uid), actor=actor_of(request))
    messages.success(request, "The template is gone; the default holds again.")
    return redirect("words")


@xframe_options_sameorigin
@needs(SETTINGS)
def preview(request: StaffRequest) -> HttpResponse:
    """What a ticket about the chosen incident would say, by what is typed or else by what is stored."""
    context: dict[str, Any] = {}
    try:
        context["preview"] = _previewed(request, request.POST or request.GET)
    except (BadField, BadParams) as refusal:
        context["problem"] = as_bad_field(refusal).reason
    response = render(request, "settings/words_preview.html", context)
    response.headers["Content-Security-Policy"] = FRAMED
    return response


def _previewed(request: StaffRequest, typed: QueryDict) -> Preview:
    tenant, base_url = request.scope.tenant, settings.BACKLEDGER.base_url
    values = read_typed((*_fields(request, None), _incident_field(request)), typed)
    chosen = values["incident"]
    card: Card = found(find_card(tenant, chosen), "incident") if chosen else SAMPLE
    written = _written(request, values)
    if written.subject or written.body or written.html:
        return preview_written(card, written, base_url=base_url)
    return preview_stored(tenant, card, route=written.route, language=written.language, base_url=base_url)


def _framing(response: HttpResponse) -> HttpResponse:
    response.headers["Content-Security-Policy"] = FRAMING
    return response


def _find(request: StaffRequest, uid: uuid.UUID) -> LetterTemplate:
    rows = LetterTemplate.objects.of(request.scope.tenant).select_related("route")
    row: LetterTemplate = found(rows.filter(uid=uid).first(), "template")
    return row


def _written(request: StaffRequest, values: dict[str, Any]) -> Written:
    route = Route.objects.of(request.scope.tenant).get(uid=values["route"]) if values["route"] else None
    parts = {name: values[name] or "" for name in ("language", "subject", "body", "html")}
    return Written(route=route, **parts)


def _fields(request: StaffRequest, row: LetterTemplate | None) -> tuple[Field, ...]:
    shown = row or LetterTemplate(subject="{{ default_subject }}", body="{{ default }}", html="{{ default }}")
    return (
        _route_field(request, shown.route if row else None),
        _language_field(shown.language, inherited="all"),
        Field("subject", "Subject", value=shown.subject, maximum=SUBJECT_LIMIT,
              help="One line. Kept for the whole life of a ticket."),
        Field("body", "Text", kind="long", value=shown.body, maximum=SOURCE_LIMIT),
        Field("html", "HTML", kind="long", value=shown.html, maximum=SOURCE_LIMIT,
              help="For mails and systems that show HTML. Empty: made from the text."),
    )  # fmt: skip


def _route_field(request: StaffRequest, route: Route | None) -> Field:
    rows = Route.objects.of(request.scope.tenant).order_by("position")
    choices = (("", "all routes"), *((str(row.uid), row.name or f"Route {row.position}") for row in rows))
    return Field("route", "Route", kind="choice", choices=choices, value=str(route.uid) if route else "")


def _language_field(code: str, *, inherited: str = "as it would be") -> Field:
    choices = (("", inherited), *CHOICES) if inherited else CHOICES
    return Field("language", "Language", kind="choice", choices=choices, value=code)


def _incident_field(request: StaffRequest) -> Field:
    """The newest incidents, in words."""
    english = language_of("en")
    choices = tuple(
        (card.uid, f"{where(card, english)}, {english.moment(card.since, card.zone)}")
        for card in recent_cards(request.scope.tenant)
    )
    first = choices[0][0] if choices else ""
    return Field("incident", "Incident", kind="choice", choices=choices or (("", "an example"),), value=first)
