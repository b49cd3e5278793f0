"""How a tenant words its tickets, as settings: language, templates, and a preview with an incident of its own.

The dashboard and the API call it. A template is tried with much and with little before it is stored, so that what
fails does so at once and with a sentence; every change is audited.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction

from alerts.card_loading import load_cards
from alerts.models import Destination, Incident, LetterTemplate, Route
from alerts.params import BadParams
from alerts.wording_templates import load_templates
from alerts.words import templates
from alerts.words.cards import Card
from alerts.words.languages import LANGUAGES, language_of
from alerts.words.sandbox import BadTemplate
from alerts.words.templates import Template, choose_language, choose_template, word_opening, word_subject
from msp.estate.spans import Actor
from msp.tenants import audit
from msp.tenants.models import Tenant

RECENT = 30
_PARTS: dict[str, Callable[[str], None]] = {
    "subject": templates.check_subject,
    "body": templates.check_body,
    "html": templates.check_html,
}


@dataclass(frozen=True)
class Written:
    """A template as somebody wrote it; an empty part is the default's."""

    route: Route | None
    language: str
    subject: str
    body: str
    html: str


@dataclass(frozen=True)
class Preview:
    """A ticket as it would be opened now."""

    language: str
    subject: str
    text: str
    html: str


def set_language(tenant: Tenant, code: str, *, actor: Actor) -> None:
    """The language of the tenant's tickets. Raises BadParams."""
    check_language(code)
    with transaction.atomic():
        row = Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        if row.language == code:
            return
        before, row.language = row.language, code
        row.save(update_fields=["language"])
        audit.record(
            tenant, actor=actor.name, actor_id=actor.id, action="language changed", subject_kind="tenant",
            subject_id=tenant.pk, subject=tenant.name, before={"language": before}, after={"language": code},
            now=actor.now,
        )  # fmt: skip
    tenant.language = code


def check_language(code: str) -> None:
    """Raises BadParams unless it is "" or a language there is."""
    if code and code not in LANGUAGES:
        known = ", ".join(LANGUAGES)
        raise BadParams("language", f"There is no language {code[:20]!r}; known are {known}.")


def store_template(tenant: Tenant, row: LetterTemplate | None, written: Written, *, actor: Actor) -> LetterTemplate:
    """A new template, or a changed one. Raises BadParams, also where there is one for this route and language."""
    values = checked(written)
    try:
        with transaction.atomic():
            before = None
            if row is None:
                row = LetterTemplate(tenant=tenant)
            else:
                row = LetterTemplate.objects.of(tenant).select_for_update(of=("self",)).get(pk=row.pk)
                before = told(row)
            for name, value in values.items():
                setattr(row, name, value)
            after = told(row)
            if before == after:
                return row
            row.changed_by, row.changed_at = actor.name[:200], actor.now
            row.save()
            record(tenant, row, "added" if before is None else "changed", before, after, actor=actor)
            forget_failures(tenant)
    except IntegrityError as error:
        raise BadParams("language", "There is a template for this route and language already: change that.") from error
    return row


def checked(written: Written) -> dict[str, Any]:
    """The values to store. Raises BadParams for the first part that cannot work, with its line."""
    check_language(written.language)
    parts = {name: getattr(written, name).replace("\r\n", "\n").strip() for name in _PARTS}
    if not any(parts.values()):
        raise BadParams("body", "Nothing is written: fill in the subject, the text or the HTML.")
    for name, source in parts.items():
        check_part(name, source)
    return {"route": written.route, "language": written.language, **parts}


def check_part(name: str, source: str) -> None:
    """Raises BadParams for a part that cannot be filled in."""
    if not source:
        return
    try:
        _PARTS[name](source)
    except BadTemplate as bad:
        raise BadParams(name, bad.reason) from bad


def remove_template(tenant: Tenant, row: LetterTemplate, *, actor: Actor) -> None:
    """Its tickets are worded by the next template that fits, or by the default letter, from now on."""
    with transaction.atomic():
        record(tenant, row, "removed", told(row), None, actor=actor)
        LetterTemplate.objects.of(tenant).filter(pk=row.pk).delete()
        forget_failures(tenant)


def forget_failures(tenant: Tenant) -> None:
    """What went wrong with earlier words is of no interest any more."""
    Destination.objects.of(tenant).exclude(words_failure="").update(words_failure="", words_failed_at=None)


def told(row: LetterTemplate) -> dict[str, Any]:
    """Its values for the audit."""
    return {
        "route": (row.route.name or str(row.route.position)) if row.route else "",
        **{name: getattr(row, name) for name in ("language", *_PARTS)},
    }


def record(tenant: Tenant, row: LetterTemplate, action: str, before: Any, after: Any, *, actor: Actor) -> None:
    audit.record(
        tenant, actor=actor.name, actor_id=actor.id, action=f"letter template {action}",
        subject_kind="letter template", subject_id=row.pk, subject=told(row)["route"] or "all routes",
        before=before, after=after, now=actor.now,
    )  # fmt: skip


# --- preview -----------------------------------------------------------------------------------------------------


def recent_cards(tenant: Tenant) -> list[Card]:
    """The tenant's newest incidents, for a person to choose one from."""
    ids = list(Incident.objects.of(tenant).order_by("-opened_at", "-pk").values_list("pk", flat=True)[:RECENT])
    cards = load_cards(tenant.pk, ids)
    return [cards[pk] for pk in ids]


def find_card(tenant: Tenant, uid: object) -> Card | None:
    """One incident of the tenant; None where there is none."""
    pk = Incident.objects.of(tenant).filter(uid=uid).values_list("pk", flat=True).first()
    return None if pk is None else load_cards(tenant.pk, [pk])[pk]


def preview_written(card: Card, written: Written, *, base_url: str) -> Preview:
    """What a ticket about this incident would say by this template. Raises BadParams."""
    values = checked(written)
    template = Template(None, "", values["subject"], values["body"], values["html"])
    return preview_with(template, card, route=written.route, language=written.language, base_url=base_url)


def preview_stored(tenant: Tenant, card: Card, *, route: Route | None, language: str, base_url: str) -> Preview:
    """What it would say by the templates that are stored."""
    check_language(language)
    chosen = language or inherited_language(card, route)
    route_id = route.pk if route else None
    template = choose_template(load_templates(tenant.pk), route_id=route_id, language=chosen)
    return preview_with(template, card, route=route, language=language, base_url=base_url)


def inherited_language(card: Card, route: Route | None) -> str:
    """The language that a ticket about this incident by this route has."""
    return choose_language(
        route=route.language if route else "", client=card.client_language, tenant=card.tenant_language
    )


def preview_with(
    template: Template | None, card: Card, *, route: Route | None, language: str, base_url: str
) -> Preview:
    spoken = language_of(language or inherited_language(card, route))
    reference = "BL-0000000000"
    subject, failure = word_subject(
        template, card, group_key="preview", reference=reference, language=spoken, base_url=base_url
    )
    if failure:
        raise BadParams("subject", failure)
    worded = word_opening(template, [card], subject=subject, reference=reference, language=spoken, base_url=base_url)
    if worded.failures:
        raise BadParams("body", " ".join(worded.failures))
    return Preview(spoken.code, subject, worded.letter.text, worded.letter.html)
