"""``/servers/<uid>/volumes``: how full the volumes of a backup server are, told by its own key or by a program."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.evaluating import mark_due
from msp.api import queries
from msp.api.reading import StrictSerializer
from msp.api.refusals import ScopeMissing
from msp.api.resources.base import ApiView, found
from msp.api.resources.shapes import LARGEST, size_field
from msp.api.schema import described, page_example, page_of
from msp.estate.models import BackupServer, Volume
from msp.estate.volumes import Fill, keep_readings

MOST = 200


class VolumeSerializer(serializers.Serializer[Any]):
    """A volume with its newest reading."""

    uid = serializers.UUIDField()
    name = serializers.CharField()
    used_bytes = size_field("Null before the first reading.")
    capacity_bytes = size_field("Null where nobody tells it: then it cannot be said how full it is.")
    measured_at = serializers.DateTimeField(allow_null=True)


class Reading(StrictSerializer):
    name = serializers.CharField(max_length=200, help_text="The volume is made with its first reading.")
    used_bytes = serializers.IntegerField(min_value=0, max_value=LARGEST)
    capacity_bytes = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=LARGEST)
    measured_at = serializers.DateTimeField(required=False, help_text="Now, if not given.")


class Readings(StrictSerializer):
    readings = serializers.ListField(child=Reading(), allow_empty=False, max_length=MOST)


EXAMPLE = {
    "uid": "b7e0c1d2-3f45-4a67-8b89-0c1d2e3f4a5b",
    "name": "/srv/backup",
    "used_bytes": 7900000000000,
    "capacity_bytes": 10000000000000,
    "measured_at": "2026-11-23T08:00:00Z",
}
SENT = {"name": "/srv/backup", "used_bytes": 7900000000000, "capacity_bytes": 10000000000000}


PAGE = page_of(VolumeSerializer)


class VolumesView(ApiView):
    #: A server's own key tells its readings; ``allow`` sees to the rest.
    writes = None

    @described(
        "List the volumes of a backup server",
        "By name, each with its newest reading.",
        name="volumes_list",
        tag="Servers",
        answer=PAGE,
        shows=page_example(EXAMPLE),
        refuses=(404,),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        self.query()
        server = found(queries.servers(self.caller.reach, {}).filter(uid=uid).first())
        rows = Volume.objects.of(self.caller.tenant).filter(server=server).order_by("name")
        return Response({"items": VolumeSerializer(rows, many=True).data, "next": None})

    @described(
        "Tell how full volumes are",
        f"At most {MOST} readings; one a day is enough, of several of one day the newest counts. Needs the scope "
        "`write`, or the server's own key.",
        name="volumes_tell",
        tag="Servers",
        answer=PAGE,
        shows=page_example(EXAMPLE),
        sends=Readings,
        sent={"readings": [SENT]},
        refuses=(404,),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        self.query()
        server = self.writable(uid)
        told = [self.as_fill(one) for one in self.body(Readings)["readings"]]
        volumes = keep_readings(self.caller.tenant, server, told, now=self.now)
        mark_due(self.caller.tenant.pk, "volume", [one.pk for one in volumes], now=self.now)
        newest = {one.pk: one for one in volumes}
        shown = sorted(newest.values(), key=lambda one: one.name)
        return Response({"items": VolumeSerializer(shown, many=True).data, "next": None})

    def as_fill(self, one: dict[str, Any]) -> Fill:
        return Fill(one["name"], one["used_bytes"], one.get("capacity_bytes"), one.get("measured_at", self.now))

    def writable(self, uid: UUID) -> BackupServer:
        """The server, if this key is its own or may change things. Raises ScopeMissing, Http404."""
        if "write" not in self.caller.scopes and "ingest" not in self.caller.scopes:
            raise ScopeMissing("write")
        server: BackupServer = found(queries.servers(self.caller.reach, {}).filter(uid=uid).first())
        if "write" not in self.caller.scopes and self.caller.key.server_id != server.pk:
            raise Http404
        return server
