"""``/formats``: the products whose logs are read, and how each is sent: so that others can build a connection, too."""

from __future__ import annotations

from typing import Any, get_args

from django.conf import settings
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.logs import FORMATS, Format
from integrations.logs.guide import ADDRESS, KEY, Channel, Way, filled
from integrations.logs.joblog import Operation
from msp.api.resources.base import ApiView
from msp.api.schema import WordField, described, page_example, page_of


class WaySerializer(serializers.Serializer[Any]):
    """One way to send its logs."""

    channel = WordField(get_args(Channel))
    title = serializers.CharField()
    snippet = serializers.CharField(help_text="What is pasted; `@KEY@` and `@ADDRESS@` stand for key and mail address.")
    language = serializers.CharField(help_text="Of the snippet: sh, powershell, json, ini or text.")
    note = serializers.CharField()


class FigureSerializer(serializers.Serializer[Any]):
    """Where a size comes from."""

    figure = serializers.CharField()
    word = serializers.CharField(help_text="The log's own word for it.")


class GuideSerializer(serializers.Serializer[Any]):
    """What its logs tell, what they cannot, and how they are sent; the first way is the one we recommend."""

    releases = serializers.CharField()
    written_from = serializers.CharField(help_text="How sure we are: real logs, the vendor's schema, its sources.")
    operations = serializers.ListField(child=WordField(get_args(Operation)))
    basis = serializers.CharField(help_text="How the protected size is counted; empty if its logs hold none.")
    sizes = FigureSerializer(many=True)
    cannot_tell = serializers.ListField(child=serializers.CharField())
    notes = serializers.ListField(child=serializers.CharField())
    ways = WaySerializer(many=True)


class FormatSerializer(serializers.Serializer[Any]):
    """A kind of job log."""

    name = serializers.CharField(help_text="As in `format` of a delivery.")
    label = serializers.CharField()  # type: ignore[assignment]  # a field here, not the label of a field
    guide = GuideSerializer()


EXAMPLE = {
    "name": "restic",
    "label": "restic",
    "guide": {
        "releases": "0.9 to 0.18",
        "written_from": "real logs of runs, and restic's sources",
        "operations": ["backup", "verify"],
        "basis": "logical, hard links each time",
        "sizes": [{"figure": "protected_bytes", "word": "total_bytes_processed"}],
        "cannot_tell": ["The host and the job."],
        "notes": ["Exit codes: 0 good, 3 warning."],
        "ways": [
            {
                "channel": "wrapper",
                "title": "With the wrapper",
                "snippet": "backledger-run --job files -- restic backup --json /srv/data",
                "language": "sh",
                "note": "",
            }
        ],
    },
}


def describe_format(name: str, module: Format) -> dict[str, Any]:
    """A format as /formats shows it."""
    guide = module.GUIDE
    return {
        "name": name,
        "label": module.LABEL,
        "guide": {
            "releases": guide.releases,
            "written_from": guide.written_from,
            "operations": guide.operations,
            "basis": guide.basis,
            "sizes": [{"figure": figure, "word": word} for figure, word in guide.sizes],
            "cannot_tell": guide.cannot_tell,
            "notes": guide.notes,
            "ways": [_describe_way(way) for way in guide.ways],
        },
    }


def _describe_way(way: Way) -> dict[str, str]:
    return {
        "channel": way.channel,
        "title": way.title,
        "snippet": _with_address(way.snippet),
        "language": way.language,
        "note": _with_address(way.note),
    }


def _with_address(text: str) -> str:
    """With the address of this installation; whose key and mail address it is, the caller knows."""
    return filled(text, url=settings.BACKLEDGER.base_url, key=KEY, address=ADDRESS)


class FormatsView(ApiView):
    reads = None

    @described(
        "List the formats",
        "Every product whose logs are read, by label, with what it tells and the snippets that send its logs. Any key "
        "may ask.",
        name="formats_list",
        tag="Formats",
        answer=page_of(FormatSerializer),
        shows=page_example(EXAMPLE),
    )
    def get(self, request: Request) -> Response:
        self.query()
        ordered = sorted(FORMATS.items(), key=lambda entry: entry[1].LABEL.casefold())
        shown = [describe_format(name, module) for name, module in ordered]
        return Response({"items": FormatSerializer(shown, many=True).data, "next": None})
