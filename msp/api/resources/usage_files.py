"""``/usage-files``: usage that no log tells, as a CSV, compared with the ledger, entered as a whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import Http404
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from billing.metrics import ENTERED
from billing.refusals import Refused
from billing.usage_files import MOST_BYTES, MOST_ROWS
from billing.usage_imports import RefusedFile, apply_usage_file, check_usage_file, keep_usage_file, refuse_lines
from msp.api.reading import StrictSerializer
from msp.api.resources.base import ApiView
from msp.api.schema import WordField, described


class CsvParser(BaseParser):
    """Any body; it is read once its length is known."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        return stream


class UsageFileQuery(StrictSerializer):
    apply = serializers.BooleanField(default=False, help_text="Enter it. Without this nothing is written.")


class UsageDifferenceSerializer(serializers.Serializer[Any]):
    """A line of the file against the ledger; quantities in bytes or things."""

    line = serializers.IntegerField()
    client = serializers.CharField()
    selection = serializers.CharField()
    day = serializers.DateField()
    metric = WordField(ENTERED)
    quantity = serializers.IntegerField(allow_null=True, help_text="In the file; null: withdrawn.")
    stands = serializers.IntegerField(allow_null=True, help_text="What counted on that day before.")
    change = WordField(("new", "changed", "withdrawn", "same"))


class UsageFileSerializer(serializers.Serializer[Any]):
    """What a file does or would do."""

    applied = serializers.BooleanField()
    written = serializers.IntegerField(help_text="Entries written, or lines that would change the ledger.")
    differences = UsageDifferenceSerializer(many=True)


EXAMPLE = {
    "applied": True,
    "written": 1,
    "differences": [
        {
            "line": 2,
            "client": "Acme Dental",
            "selection": "backup01: files",
            "day": "2026-10-31",
            "metric": "protected",
            "quantity": 400000000000,
            "stands": None,
            "change": "new",
        }
    ],
}


class UsageFilesView(ApiView):
    parser_classes = (CsvParser,)
    reads = writes = "billing"
    most_bytes = MOST_BYTES

    @described(
        "Enter usage from a CSV",
        "The body is the CSV (UTF-8, or UTF-16 with a mark; comma, semicolon or tab), at most 10 MB and "
        f"{MOST_ROWS:,} lines, with the columns client, machine, selection, day, metric, bytes, count, basis, note, "
        "names. Without `apply` nothing is written. A file with one line that cannot be taken is refused as a whole, "
        "each such line with a sentence; the same file again writes nothing.",
        name="usage_files_create",
        tag="Usage",
        answer=UsageFileSerializer,
        shows=EXAMPLE,
        query=UsageFileQuery,
        refuses=(404, 413, 422),
    )
    def post(self, request: Request) -> Response:
        if not self.caller.reach.whole_tenant:
            raise Http404
        apply = self.query(UsageFileQuery)["apply"]
        content, tenant = request._request.read(MOST_BYTES + 1), self.caller.tenant
        try:
            checked = check_usage_file(tenant, content, now=self.now)
            refuse_lines(checked)
            written = self._apply(content) if apply else checked.writes
        except RefusedFile as refused:
            raise ValidationError({"file": list(refused.lines)}) from refused
        except Refused as refused:
            raise ValidationError({"file": [refused.reason]}) from refused
        answer = {"applied": apply, "written": written, "differences": checked.differences}
        return Response(UsageFileSerializer(answer).data)

    def _apply(self, content: bytes) -> int:
        who: dict[str, Any] = {"actor": self.caller.actor, "now": self.now}
        tenant = self.caller.tenant
        kept = keep_usage_file(tenant, content, name="api.csv", **who)
        return apply_usage_file(tenant, kept.uid, **who).written
