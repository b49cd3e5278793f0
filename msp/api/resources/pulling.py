"""``/pull-sources``: systems that are asked for what their jobs did. Secrets go in and never come out.

A source may tell of every client, so that a reseller's key finds none.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.pulling import CONNECTORS
from msp.api.authentication import Caller
from msp.api.paging import BY_ID
from msp.api.reading import StrictSerializer
from msp.api.resources.base import ApiView, found
from msp.api.resources.mail import server_of
from msp.api.resources.shapes import NamedSerializer
from msp.api.schema import WordField, changed, described, page_example, page_of
from msp.channels.models import POLLED_STATES, PullSource
from msp.channels.pull_sources import (
    EVERY_MINUTES,
    LONGEST_EVERY,
    LONGEST_NAME,
    Wanted,
    ask_now,
    remove_source,
    set_paused,
    store_source,
)
from msp.channels.pulling import check_source

KINDS = tuple(CONNECTORS)


class PullSourceSerializer(serializers.Serializer[Any]):
    """A system that is asked, without its secrets."""

    uid = serializers.UUIDField()
    name = serializers.CharField()
    kind = serializers.CharField(help_text=f"The product: {', '.join(KINDS)}.")
    config = serializers.DictField(help_text="The settings of its product that are no secrets.")
    server = NamedSerializer(help_text="What it tells is of this server.")
    every_minutes = serializers.IntegerField()
    state = WordField(POLLED_STATES)
    last_success_at = serializers.DateTimeField(allow_null=True)
    last_error = serializers.CharField(help_text="Why asking failed last time; empty if it did not.")
    failures = serializers.IntegerField(help_text="In a row.")
    check_after = serializers.DateTimeField(help_text="When it is asked next.")


class PullSourceCheckSerializer(serializers.Serializer[Any]):
    """What came of trying a source: who answered, or what is wrong."""

    good = serializers.BooleanField()
    told = serializers.CharField()


class PullSourceChange(StrictSerializer):
    """Any of these. In ``config`` what is not given stays; with another address the secrets must be given again."""

    name = serializers.CharField(required=False, max_length=LONGEST_NAME)
    config = serializers.DictField(required=False, help_text="Settings of its product, secrets among them.")
    server = serializers.UUIDField(required=False)
    every_minutes = serializers.IntegerField(required=False, min_value=1, max_value=LONGEST_EVERY)
    state = WordField(POLLED_STATES, required=False)


class PullSourceCreation(PullSourceChange):
    """A new source; asked every ten minutes if nothing else is said."""

    kind = WordField(KINDS)
    name = serializers.CharField(max_length=LONGEST_NAME)
    config = serializers.DictField(help_text="Settings of its product, secrets among them; see the guide on pulling.")
    server = serializers.UUIDField()


SOURCE: dict[str, Any] = {
    "uid": "3f6f7c52-53c8-4c0e-8f3a-6f2a5d0c9e11",
    "name": "Backup server Vienna",
    "kind": "proxmox-backup-server",
    "config": {
        "url": "https://pbs.example.com:8007",
        "token_id": "backledger@pbs!pull",
        "node": "localhost",
        "fingerprint": "",
    },
    "server": {"uid": "8a1f2c0e-6f0c-4f5e-9b1e-1c1d5a7f0b21", "name": "pbs-vienna"},
    "every_minutes": 10,
    "state": "active",
    "last_success_at": "2026-11-23T07:50:00Z",
    "last_error": "",
    "failures": 0,
    "check_after": "2026-11-23T08:00:00Z",
}
SENT: dict[str, Any] = {
    "name": "Backup server Vienna",
    "kind": "proxmox-backup-server",
    "server": "8a1f2c0e-6f0c-4f5e-9b1e-1c1d5a7f0b21",
    "config": {"url": "https://pbs.example.com:8007", "token_id": "backledger@pbs!pull", "token_secret": "…"},
}


class PullSourcesView(ApiView):
    @described(
        "List pull sources",
        "The systems that are asked, in the order in which they were set up, each with what went wrong last.",
        name="pull_sources_list",
        tag="Pulling",
        answer=page_of(PullSourceSerializer),
        shows=page_example(SOURCE),
        paged=True,
    )
    def get(self, request: Request) -> Response:
        self.query(paged=True)
        return self.page(sources(self.caller), BY_ID, PullSourceSerializer)

    @described(
        "Set up a pull source",
        "It is asked at once, and for the last two days. A second one of the same name is answered 409.",
        name="pull_sources_create",
        tag="Pulling",
        answer=PullSourceSerializer,
        shows=changed(SOURCE, last_success_at=None),
        status=201,
        sends=PullSourceCreation,
        sent=SENT,
        refuses=(404, 409),
    )
    def post(self, request: Request) -> Response:
        self.query()
        if not self.caller.reach.whole_tenant:
            found(None)
        row = store(self.caller, None, self.body(PullSourceCreation), actor=self.actor())
        return Response(PullSourceSerializer(row).data, status=201)


class PullSourceView(ApiView):
    @described(
        "Get a pull source",
        "Its settings without secrets, and when it was asked.",
        name="pull_sources_get",
        tag="Pulling",
        answer=PullSourceSerializer,
        shows=SOURCE,
        refuses=(404,),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        self.query()
        return Response(PullSourceSerializer(source_of(self.caller, uid)).data)

    @described(
        "Change a pull source",
        "What is not given stays. With another url or fingerprint its secrets must be given again.",
        name="pull_sources_change",
        tag="Pulling",
        answer=PullSourceSerializer,
        shows=changed(SOURCE, state="paused"),
        sends=PullSourceChange,
        sent={"state": "paused"},
        refuses=(404, 409),
    )
    def patch(self, request: Request, uid: UUID) -> Response:
        self.query()
        store(self.caller, source_of(self.caller, uid), self.body(PullSourceChange), actor=self.actor())
        return Response(PullSourceSerializer(source_of(self.caller, uid)).data)

    @described(
        "Remove a pull source",
        "It is asked no more; what was fetched stays.",
        name="pull_sources_delete",
        tag="Pulling",
        answer=None,
        status=204,
        refuses=(404,),
    )
    def delete(self, request: Request, uid: UUID) -> Response:
        self.query()
        remove_source(self.caller.tenant, source_of(self.caller, uid), actor=self.actor())
        return Response(status=204)


class PullSourceCheckView(ApiView):
    @described(
        "Try a pull source",
        "Logs in and looks, with the stored settings; stores nothing. May take 20 seconds.",
        name="pull_sources_check",
        tag="Pulling",
        answer=PullSourceCheckSerializer,
        shows={"good": True, "told": "Proxmox Backup Server 3.4 answers; the token sees 212 tasks."},
        refuses=(404,),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        self.query()
        good, told = check_source(source_of(self.caller, uid))
        return Response(PullSourceCheckSerializer({"good": good, "told": told}).data)


class PullSourcePullView(ApiView):
    @described(
        "Pull now",
        "Makes the source due: it is asked within a minute. Changes nothing for one that is paused or being asked.",
        name="pull_sources_pull",
        tag="Pulling",
        answer=PullSourceSerializer,
        shows=SOURCE,
        refuses=(404,),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        self.query()
        ask_now(self.caller.tenant, source_of(self.caller, uid), actor=self.actor())
        return Response(PullSourceSerializer(source_of(self.caller, uid)).data)


def sources(caller: Caller) -> QuerySet[Any]:
    rows = PullSource.objects.of(caller.tenant).select_related("server")
    return rows if caller.reach.whole_tenant else rows.none()


def source_of(caller: Caller, uid: UUID) -> PullSource:
    row: PullSource = found(sources(caller).filter(uid=uid).first())
    return row


def store(caller: Caller, row: PullSource | None, given: dict[str, Any], *, actor: Any) -> PullSource:
    """A new source, or one with what was given changed. Raises BadConfig, Taken."""
    if row is None or set(given) - {"state"}:
        wanted = Wanted(
            name=given["name"] if "name" in given or row is None else row.name,
            values={**({} if row is None else row.config), **given.get("config", {})},
            server=server_of(caller, given["server"]) if "server" in given or row is None else row.server,
            every_minutes=given.get("every_minutes", EVERY_MINUTES if row is None else row.every_minutes),
        )
        row = store_source(caller.tenant, row, given["kind"] if row is None else row.kind, wanted, actor=actor)
    if "state" in given and given["state"] != row.state:
        set_paused(caller.tenant, row, paused=given["state"] == "paused", actor=actor)
    return row
