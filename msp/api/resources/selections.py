"""``/selections/<uid>/inventory``: an inventory of a selection's files in, its protected size out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.selections.refusals import Unusable
from msp.api.resources.base import ApiView, found
from msp.api.resources.shapes import size_field
from msp.api.schema import WordField, described
from msp.backups.selection_queries import find_selection
from msp.backups.selection_sizes import MAX_UPLOAD, measure_upload
from msp.backups.size_models import SOURCES

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
