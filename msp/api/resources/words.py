"""``/words`` and ``/letter-templates``: the language of tickets and the templates of tenant and routes.

They hold for the whole tenant, so that a reseller's key finds none.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.models import LetterTemplate, Route
from alerts.wording_settings import (
    Preview,
    Written,
    find_card,
    preview_stored,
    preview_written,
    remove_template,
    set_language,
    store_template,
)
from alerts.words.languages import CODES
from alerts.words.sandbox import SOURCE_LIMIT, SUBJECT_LIMIT
from alerts.words.templates import SAMPLE
from msp.api.paging import BY_ID
from msp.api.reading import StrictSerializer
from msp.api.resources.base import ApiView, found
from msp.api.schema import WordField, described, page_example, page_of

#: A template's language, or "" for all.
FOR_ALL = ("", *CODES)


class WordsSerializer(serializers.Serializer[Any]):
    """The language of tickets about clients that have none of their own."""

    language = WordField(CODES)


class WordsWanted(StrictSerializer):
    language = WordField(CODES)


class TemplateSerializer(serializers.Serializer[Any]):
    """A template of the first message. A part that is empty is said by the default letter."""

    uid = serializers.UUIDField()
    route = serializers.UUIDField(source="route.uid", default=None, allow_null=True, help_text="null: every route.")
    language = WordField(FOR_ALL, help_text="Empty: every language.")
    subject = serializers.CharField()
    body = serializers.CharField(help_text="As text.")
    html = serializers.CharField(help_text="As HTML; empty: made from the text.")
    changed_by = serializers.CharField()
    changed_at = serializers.DateTimeField()


class TemplateWanted(StrictSerializer):
    """A template in Jinja's syntax, without calls and arithmetic; docs/ticket-words.md lists the values."""

    route = serializers.UUIDField(default=None, allow_null=True)
    language = WordField(FOR_ALL, default="", allow_blank=True)
    subject = serializers.CharField(default="", allow_blank=True, max_length=SUBJECT_LIMIT)
    body = serializers.CharField(default="", allow_blank=True, max_length=SOURCE_LIMIT, trim_whitespace=False)
    html = serializers.CharField(default="", allow_blank=True, max_length=SOURCE_LIMIT, trim_whitespace=False)


class LetterPreviewWanted(TemplateWanted):
    """What is to be tried; with no part written, what is stored."""

    incident = serializers.UUIDField(default=None, allow_null=True, help_text="null: an example.")


class LetterPreviewSerializer(serializers.Serializer[Any]):
    """A ticket's subject and first message."""

    language = WordField(CODES)
    subject = serializers.CharField()
    text = serializers.CharField()
    html = serializers.CharField()


SENT = {
    "route": None,
    "language": "de",
    "subject": "{{ client }}: {{ problem }} ({{ severity_name }})",
    "body": "Nachtdienst, bitte ansehen.\n\n{{ default }}",
    "html": "",
}
TEMPLATE: dict[str, Any] = {
    "uid": "3f1c7a30-52aa-4d0b-9a8e-2d6e0c1b7f11",
    **SENT,
    "changed_by": "API key program",
    "changed_at": "2026-11-23T08:00:00Z",
}
PREVIEW = {
    "language": "de",
    "subject": "Acme Dental: Fehler (kritisch)",
    "text": "Nachtdienst, bitte ansehen.\n\nDie Sicherungen von „nightly“ haben seit Di., 3. März 2026 Fehler.",
    "html": '<div style="white-space:pre-wrap">Nachtdienst, bitte ansehen. ...</div>',
}


class WordsBase(ApiView):
    """What the views of words share."""

    def refuse_resellers(self) -> None:
        if not self.caller.reach.whole_tenant:
            found(None)

    def rows(self) -> QuerySet[Any]:
        """The tenant's templates; none for a reseller's key."""
        rows = LetterTemplate.objects.of(self.caller.tenant).select_related("route")
        return rows if self.caller.reach.whole_tenant else rows.none()

    def written(self, body: dict[str, Any]) -> Written:
        """The body, with the route that it names. Raises ValidationError."""
        uid = body["route"]
        route = Route.objects.of(self.caller.tenant).filter(uid=uid).first() if uid else None
        if uid and route is None:
            raise serializers.ValidationError({"route": ["There is no such route."]})
        return Written(route, body["language"], body["subject"], body["body"], body["html"])


class WordsView(WordsBase):
    @described(
        "Get the language",
        "Of tickets about clients, by routes, that have none of their own.",
        name="words_get",
        tag="Words",
        answer=WordsSerializer,
        shows={"language": "en"},
        refuses=(404,),
    )
    def get(self, request: Request) -> Response:
        self.query()
        self.refuse_resellers()
        return Response({"language": self.caller.tenant.language or "en"})

    @described(
        "Set the language",
        "Tickets that are open keep theirs.",
        name="words_put",
        tag="Words",
        answer=WordsSerializer,
        shows={"language": "de"},
        sends=WordsWanted,
        sent={"language": "de"},
        refuses=(404,),
    )
    def put(self, request: Request) -> Response:
        self.query()
        self.refuse_resellers()
        wanted = self.body(WordsWanted)
        set_language(self.caller.tenant, wanted["language"], actor=self.actor())
        return Response(wanted)


class TemplatesView(WordsBase):
    @described(
        "List templates",
        "In the order in which they were made.",
        name="letter_templates_list",
        tag="Words",
        answer=page_of(TemplateSerializer),
        shows=page_example(TEMPLATE, path="letter-templates"),
        paged=True,
    )
    def get(self, request: Request) -> Response:
        self.query(paged=True)
        return self.page(self.rows(), BY_ID, TemplateSerializer)

    @described(
        "Add a template",
        "It is tried with much and with little before it is stored; what cannot work is refused with its line. A"
        " second one for the same route and language is refused.",
        name="letter_templates_create",
        tag="Words",
        answer=TemplateSerializer,
        shows=TEMPLATE,
        status=201,
        sends=TemplateWanted,
        sent=SENT,
        refuses=(404,),
    )
    def post(self, request: Request) -> Response:
        self.query()
        self.refuse_resellers()
        written = self.written(self.body(TemplateWanted))
        row = store_template(self.caller.tenant, None, written, actor=self.actor())
        return Response(TemplateSerializer(row).data, status=201)


class TemplateView(WordsBase):
    @described(
        "Get a template",
        "One template.",
        name="letter_templates_get",
        tag="Words",
        answer=TemplateSerializer,
        shows=TEMPLATE,
        refuses=(404,),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        self.query()
        return Response(TemplateSerializer(found(self.rows().filter(uid=uid).first())).data)

    @described(
        "Change a template",
        "All of it at once; tickets that are opened from now on use it.",
        name="letter_templates_put",
        tag="Words",
        answer=TemplateSerializer,
        shows=TEMPLATE,
        sends=TemplateWanted,
        sent=SENT,
        refuses=(404,),
    )
    def put(self, request: Request, uid: UUID) -> Response:
        self.query()
        row = found(self.rows().filter(uid=uid).first())
        written = self.written(self.body(TemplateWanted))
        stored = store_template(self.caller.tenant, row, written, actor=self.actor())
        return Response(TemplateSerializer(stored).data)

    @described(
        "Delete a template",
        "Tickets that are opened from now on are worded by the next one that fits, or by the default letter.",
        name="letter_templates_delete",
        tag="Words",
        answer=None,
        status=204,
        refuses=(404,),
    )
    def delete(self, request: Request, uid: UUID) -> Response:
        self.query()
        remove_template(self.caller.tenant, found(self.rows().filter(uid=uid).first()), actor=self.actor())
        return Response(status=204)


class TemplatePreviewView(WordsBase):
    @described(
        "Preview a ticket",
        "What a ticket about an incident would say. Stores nothing and tells nobody.",
        name="letter_templates_preview",
        tag="Words",
        answer=LetterPreviewSerializer,
        shows=PREVIEW,
        sends=LetterPreviewWanted,
        sent=SENT | {"incident": None},
        refuses=(404,),
    )
    def post(self, request: Request) -> Response:
        self.query()
        self.refuse_resellers()
        body = self.body(LetterPreviewWanted)
        return Response(LetterPreviewSerializer(self.previewed(body)).data)

    def previewed(self, body: dict[str, Any]) -> Preview:
        tenant, base_url = self.caller.tenant, settings.BACKLEDGER.base_url
        card = find_card(tenant, body["incident"]) if body["incident"] else SAMPLE
        if card is None:
            raise serializers.ValidationError({"incident": ["There is no such incident."]})
        written = self.written(body)
        if written.subject or written.body or written.html:
            return preview_written(card, written, base_url=base_url)
        return preview_stored(tenant, card, route=written.route, language=written.language, base_url=base_url)
