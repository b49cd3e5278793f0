"""``/servers``: the backup servers that send job logs, and the keys they send them with."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from msp.api import changes, queries
from msp.api.paging import BY_ID
from msp.api.reading import StrictSerializer
from msp.api.resources.base import ApiView, found
from msp.api.resources.shapes import NamedSerializer
from msp.api.schema import WordField, changed, described, page_example, page_of
from msp.estate.changing import server_key_name
from msp.estate.models import NEW_JOBS, BackupServer
from msp.tenants.keys import replace_server_key

STATES = ("active", "retired")
NEW_JOBS_HELP = "What a log of an unknown job does: make the job for `client`, wait in the inbox, or be refused there."


class ServerSerializer(serializers.Serializer[Any]):
    """A backup server."""

    uid = serializers.UUIDField()
    name = serializers.CharField()
    timezone = serializers.CharField(help_text="Zone of times in its logs that name none.")
    state = WordField(STATES)
    new_jobs = WordField(NEW_JOBS, help_text=NEW_JOBS_HELP)
    client = NamedSerializer(allow_null=True, help_text="The client whose jobs it makes by itself.")
    group = serializers.CharField(help_text="Servers of one group share accounts: jobs are followed among them.")
    registered_at = serializers.DateTimeField()


class ServerKeySerializer(serializers.Serializer[Any]):
    """A key of a server; the key itself is shown once, when it is made."""

    hint = serializers.CharField(help_text="How the key begins.")
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="To the hour.")
    expires_at = serializers.DateTimeField(allow_null=True)


class ServerDetailSerializer(ServerSerializer):
    """A backup server with its keys."""

    keys = serializers.SerializerMethodField()

    @extend_schema_field(ServerKeySerializer(many=True))
    def get_keys(self, server: BackupServer) -> list[dict[str, Any]]:
        return [dict(ServerKeySerializer(key).data) for key in self.context["keys"]]


class RegisteredServerSerializer(ServerSerializer):
    """A backup server just registered."""

    ingest_key = serializers.SerializerMethodField(help_text="Shown this once: the server posts its logs with it.")

    def get_ingest_key(self, server: BackupServer) -> str:
        return str(self.context["secret"])


class FreshKeySerializer(serializers.Serializer[Any]):
    """A new key of a server."""

    ingest_key = serializers.CharField(help_text="Shown this once.")
    old_keys_end_at = serializers.DateTimeField()


class ServerFilters(StrictSerializer):
    state = WordField(STATES, required=False)
    client = serializers.UUIDField(required=False)
    name = serializers.CharField(required=False, help_text="Exactly this name.")


class ServerRegistration(StrictSerializer):
    name = serializers.CharField(max_length=200)
    timezone = serializers.CharField(required=False, allow_blank=True, max_length=64, help_text="Yours if not given.")
    new_jobs = WordField(NEW_JOBS, default="hold", help_text=NEW_JOBS_HELP)
    client = serializers.UUIDField(required=False, allow_null=True)


class ServerChange(StrictSerializer):
    name = serializers.CharField(required=False, max_length=200)
    timezone = serializers.CharField(required=False, max_length=64)
    state = WordField(STATES, required=False, help_text="Jobs of a retired server have no clock.")
    new_jobs = WordField(NEW_JOBS, required=False, help_text=NEW_JOBS_HELP)
    client = serializers.UUIDField(required=False, allow_null=True)
    group = serializers.CharField(required=False, allow_blank=True, max_length=80)


class KeyRotation(StrictSerializer):
    keep_old_hours = serializers.IntegerField(
        default=0, min_value=0, max_value=24 * 31, help_text="How long the present keys go on working; 0: not at all."
    )


EXAMPLE = {
    "uid": "8f2f5c6e-98f1-4f0a-a3a8-1b7c6c0b7d21",
    "name": "backup01",
    "timezone": "Europe/Berlin",
    "state": "active",
    "new_jobs": "auto",
    "client": {"uid": "0d6b8f0f-2a61-4a4e-8f7b-6f1f6a1b2c3d", "name": "Acme Dental"},
    "group": "",
    "registered_at": "2026-01-05T09:15:02Z",
}
KEY = {"hint": "bl_9dQx1", "created_at": "2026-01-05T09:15:02Z", "last_used_at": None, "expires_at": None}
SECRET = "bl_9dQx1ZkM0hC7pTtY2uWq4vB8nR5sL6aE3fG1jK0iOPw"  # noqa: S105  (an example in the documentation)


class ServersView(ApiView):
    @described(
        "List backup servers",
        "In the order in which they were registered. A reseller's key sees servers that serve one of its clients.",
        name="servers_list",
        tag="Servers",
        answer=page_of(ServerSerializer),
        shows=page_example(EXAMPLE),
        query=ServerFilters,
        paged=True,
    )
    def get(self, request: Request) -> Response:
        rows = queries.servers(self.caller.reach, self.query(ServerFilters, paged=True))
        return self.page(rows, BY_ID, ServerSerializer)

    @described(
        "Register a backup server",
        "Answers with the key that the server posts its logs with; it is shown this once. A name that is in use is "
        "answered 409 with the UUID of the server that has it (`existing`).",
        name="servers_create",
        tag="Servers",
        answer=RegisteredServerSerializer,
        shows=changed(EXAMPLE, ingest_key=SECRET),
        status=201,
        sends=ServerRegistration,
        sent={"name": "backup01", "new_jobs": "auto", "client": EXAMPLE["client"]["uid"]},  # type: ignore[index]
        refuses=(409,),
    )
    def post(self, request: Request) -> Response:
        self.query()
        made = changes.register_server(self.caller, self.body(ServerRegistration), actor=self.actor())
        shown = RegisteredServerSerializer(made.server, context={"secret": made.key.secret})
        return Response(shown.data, status=201, headers={"Cache-Control": "no-store"})


class ServerView(ApiView):
    @described(
        "Get a backup server",
        "One backup server with the hints of its keys that work or will.",
        name="servers_get",
        tag="Servers",
        answer=ServerDetailSerializer,
        shows=changed(EXAMPLE, keys=[KEY]),
        refuses=(404,),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        self.query()
        return self.show(uid)

    @described(
        "Change a backup server",
        "Rename it, set its zone, retire it, or say what logs of unknown jobs do.",
        name="servers_change",
        tag="Servers",
        answer=ServerDetailSerializer,
        shows=changed(EXAMPLE, timezone="Europe/Vienna", keys=[KEY]),
        sends=ServerChange,
        sent={"timezone": "Europe/Vienna"},
        refuses=(404, 409),
    )
    def patch(self, request: Request, uid: UUID) -> Response:
        self.query()
        server = found(queries.servers(self.caller.reach, {}).filter(uid=uid).first())
        changes.change_server(self.caller, server, self.body(ServerChange), actor=self.actor())
        return self.show(uid)

    def show(self, uid: UUID) -> Response:
        server = found(queries.servers(self.caller.reach, {}).filter(uid=uid).first())
        keys = queries.keys_of_server(self.caller.reach, server.pk)
        return Response(ServerDetailSerializer(server, context={"keys": keys}).data)


class ServerKeysView(ApiView):
    @described(
        "Replace a server's key",
        "Makes a new ingest key, shown this once. The present ones end at once or after `keep_old_hours`.",
        name="servers_rotate_key",
        tag="Servers",
        answer=FreshKeySerializer,
        shows={"ingest_key": SECRET, "old_keys_end_at": "2026-11-24T08:00:00Z"},
        status=201,
        sends=KeyRotation,
        sent={"keep_old_hours": 24},
        refuses=(404,),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        self.query()
        server = found(queries.servers(self.caller.reach, {}).filter(uid=uid).first())
        ends_at = changes.end_of_old_keys(self.now, keep_hours=self.body(KeyRotation)["keep_old_hours"])
        key = replace_server_key(
            self.caller.tenant,
            server.pk,
            name=server_key_name(server.name),
            actor=self.caller.actor,
            ends_at=ends_at,
            now=self.now,
        )
        shown = FreshKeySerializer({"ingest_key": key.secret, "old_keys_end_at": ends_at})
        return Response(shown.data, status=201, headers={"Cache-Control": "no-store"})
