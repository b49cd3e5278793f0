"""``/selections/<uid>/inventory`` and ``/state``: measured by an inventory of its files; in which state, from when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from django.http import Http404
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.acting import settings_changed
from integrations.selections.refusals import Unusable
from msp.api.reading import StrictSerializer
from msp.api.resources.base import ApiView, found
from msp.api.resources.shapes import size_field
from msp.api.schema import WordField, described
from msp.backups.selection_queries import find_selection
from msp.backups.selection_sizes import MAX_UPLOAD, measure_upload
from msp.backups.size_models import SOURCES
from msp.estate.models import SELECTION_STATES
from msp.estate.spans import BadChange, set_selection_state, today_of

CHUNK = 1024 * 1024


class InventoryParser(BaseParser):
    """Any body, as a stream: an inventory is never in memory as a whole."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        return stream


class MeasurementSerializer(serializers.Serializer[Any]):
    """One measurement of a selection."""

    uid = serializers.UUIDField()
    measured_at = serializers.DateTimeField()
    source = WordField(SOURCES)  # type: ignore[assignment]  # a field here, not the name of one
    form = serializers.CharField(help_text="Which kind of inventory it was: wrapper, find, powershell, rclone, ...")
    bytes_once = size_field("Hard links once; null where they could not be told apart.")
    bytes_each = size_field("Hard links each time.")
    files = serializers.IntegerField(allow_null=True)
    links = serializers.IntegerField(help_text="Symbolic links and junctions: they count nothing.")
    unreadable = serializers.IntegerField()
    elsewhere = serializers.IntegerField(help_text="Listed files that the definition does not speak of.")
    whole = serializers.BooleanField(help_text="Every root was there and all of it could be read.")
    definition_version = serializers.IntegerField(allow_null=True, help_text="Null: none is kept, all roots counted.")
    reported_bytes = size_field("What the product reported when this was measured.")
    error = serializers.CharField()


EXAMPLE = {
    "uid": "6ad0a3b2-90a5-4d5a-8a1c-1d2e3f4a5b6c",
    "measured_at": "2026-11-20T03:00:00Z",
    "source": "api",
    "form": "find",
    "bytes_once": 412316860416,
    "bytes_each": 413000000000,
    "files": 1204331,
    "links": 12,
    "unreadable": 0,
    "elsewhere": 0,
    "whole": True,
    "definition_version": 3,
    "reported_bytes": 412316860416,
    "error": "",
}


class StateChange(StrictSerializer):
    state = WordField(SELECTION_STATES, help_text="Seeding: its first full copy travels on a device.")
    on = serializers.DateField(required=False, help_text="The day it begins, today or earlier; today if not given.")
    reason = serializers.CharField(required=False, default="", allow_blank=True, max_length=2000)


class StateSerializer(serializers.Serializer[Any]):
    """A selection with its state."""

    uid = serializers.UUIDField()
    name = serializers.CharField()
    state = WordField(SELECTION_STATES)


class StateView(ApiView):
    @described(
        "Change the state of a selection",
        "From a day on. Plans say whether suspended and seeding days are charged; a retired one is charged to the day "
        "before.",
        name="selections_state",
        tag="Selections",
        answer=StateSerializer,
        shows={"uid": "c1b2a3d4-0f5e-4d6c-8b7a-9e8f7a6b5c4d", "name": "backup01: files", "state": "retired"},
        sends=StateChange,
        sent={"state": "retired", "on": "2026-10-31"},
        refuses=(404, 422),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        self.query()
        if not self.caller.reach.whole_tenant:
            raise Http404  # bills follow it: a reseller does not say what it is charged for
        selection = found(find_selection(self.caller.reach, uid))
        values, tenant = self.body(StateChange), self.caller.tenant
        on, actor = values.get("on") or today_of(tenant, self.now), self.actor(reason=values["reason"])
        try:
            changed = set_selection_state(tenant, selection.pk, state=values["state"], on=on, actor=actor)
        except BadChange as refused:
            raise ValidationError({refused.field: [refused.reason]}) from refused
        settings_changed(tenant, now=self.now)
        return Response(StateSerializer(changed).data)


class InventoryView(ApiView):
    parser_classes = (InventoryParser,)
    most_bytes = MAX_UPLOAD

    @described(
        "Measure a selection",
        "The body is an inventory: what the wrapper writes, or a listing by find, PowerShell, rclone, robocopy or "
        "Proxmox Backup, plain or gzip, at most 256 MiB and 5,000,000 files. The same body again answers the same "
        "measurement.",
        name="selections_measure",
        tag="Selections",
        answer=MeasurementSerializer,
        shows=EXAMPLE,
        refuses=(404, 413, 422),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        self.query()
        selection = found(find_selection(self.caller.reach, uid))
        try:
            size = measure_upload(
                self.caller.tenant, selection, chunks_of(request._request), source="api", now=self.now
            )
        except Unusable as refused:
            raise ValidationError({"inventory": [_sentence(refused)]}) from refused
        return Response(MeasurementSerializer(size).data)


def _sentence(refused: Unusable) -> str:
    told = str(refused)
    return told[:1].upper() + told[1:] + ("" if told.endswith(".") else ".")


def chunks_of(request: Any) -> Iterator[bytes]:
    while chunk := request.read(CHUNK):
        yield chunk
