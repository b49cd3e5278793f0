"""``/clients``: the companies that are protected."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.words.languages import CODES
from msp.api import changes, queries
from msp.api.paging import BY_ID
from msp.api.reading import StrictSerializer
from msp.api.resources.base import ApiView, found
from msp.api.resources.shapes import LARGEST, NamedSerializer, size_field
from msp.api.schema import WordField, changed, described, page_example, page_of
from msp.estate.models import CLIENT_STATES

#: Of a client's tickets; "" is that of the tenant.
LANGUAGES = ("", *CODES)


class ClientSerializer(serializers.Serializer[Any]):
    """A client."""

    uid = serializers.UUIDField()
    name = serializers.CharField()
    code = serializers.CharField(help_text="Your own short name for it, unique.")
    state = WordField(CLIENT_STATES)
    reseller = NamedSerializer(allow_null=True)
    timezone = serializers.CharField(help_text="Zone of its schedules.")
    quota_bytes = size_field("Agreed ceiling of protected size; null where none is agreed.")
    tickets_enabled = serializers.BooleanField(help_text="False: incidents open, but nobody is told.")
    language = WordField(LANGUAGES, help_text="Of the tickets about it; empty: that of your company.")
    notes = serializers.CharField()
    registered_at = serializers.DateTimeField()


class ClientFilters(StrictSerializer):
    state = WordField(CLIENT_STATES, required=False, help_text="Not given: all but deleted ones.")
    code = serializers.CharField(required=False, help_text="Exactly this code.")
    reseller = serializers.UUIDField(required=False, help_text="Clients of this reseller.")
    q = serializers.CharField(required=False, help_text="Part of name or code.")


class ClientRegistration(StrictSerializer):
    name = serializers.CharField(max_length=200)
    code = serializers.CharField(max_length=60)
    state = WordField(CLIENT_STATES[:3], default="active")
    reseller = serializers.UUIDField(required=False, allow_null=True)
    timezone = serializers.CharField(required=False, allow_blank=True, max_length=64, help_text="Yours if not given.")
    quota_bytes = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=LARGEST)
    tickets_enabled = serializers.BooleanField(
        default=None, allow_null=True, help_text="null: as your company starts new clients, observed or not."
    )
    language = WordField(LANGUAGES, default="", allow_blank=True)
    notes = serializers.CharField(default="", allow_blank=True, max_length=10_000)


class ClientChange(StrictSerializer):
    name = serializers.CharField(required=False, max_length=200)
    state = WordField(CLIENT_STATES, required=False)
    reseller = serializers.UUIDField(required=False, allow_null=True, help_text="null: sold by nobody but yourself.")
    on = serializers.DateField(
        required=False, help_text="First day of the new state or reseller, in your zone; today if not given."
    )
    timezone = serializers.CharField(required=False, max_length=64)
    quota_bytes = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=LARGEST)
    tickets_enabled = serializers.BooleanField(required=False)
    language = WordField(LANGUAGES, required=False, allow_blank=True)
    notes = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=2000, help_text="Kept in the audit.")


EXAMPLE = {
    "uid": "0d6b8f0f-2a61-4a4e-8f7b-6f1f6a1b2c3d",
    "name": "Acme Dental",
    "code": "acme-dental",
    "state": "active",
    "reseller": {"uid": "b7e9a4f4-53a4-4f3a-b0ce-1d3a8c1f0a55", "name": "Harbour IT"},
    "timezone": "Europe/Berlin",
    "quota_bytes": 2000000000000,
    "tickets_enabled": True,
    "language": "",
    "notes": "",
    "registered_at": "2026-01-05T09:12:44Z",
}


class ClientsView(ApiView):
    @described(
        "List clients",
        "In the order in which they were registered. A reseller's key sees its own clients.",
        name="clients_list",
        tag="Clients",
        answer=page_of(ClientSerializer),
        shows=page_example(EXAMPLE, path="clients"),
        query=ClientFilters,
        paged=True,
    )
    def get(self, request: Request) -> Response:
        rows = queries.clients(self.caller.reach, self.query(ClientFilters, paged=True))
        return self.page(rows, BY_ID, ClientSerializer)

    @described(
        "Register a client",
        "A repeat with a code that is in use is answered 409 with the UUID of the client that has it (`existing`), so "
        "a call that may or may not have worked can simply be sent again.",
        name="clients_create",
        tag="Clients",
        answer=ClientSerializer,
        shows=EXAMPLE,
        status=201,
        sends=ClientRegistration,
        sent={"name": "Acme Dental", "code": "acme-dental", "timezone": "Europe/Berlin", "quota_bytes": 2000000000000},
        refuses=(409,),
    )
    def post(self, request: Request) -> Response:
        self.query()
        client = changes.register_client(self.caller, self.body(ClientRegistration), actor=self.actor())
        return Response(ClientSerializer(client).data, status=201)


class ClientView(ApiView):
    @described(
        "Get a client",
        "One client.",
        name="clients_get",
        tag="Clients",
        answer=ClientSerializer,
        shows=EXAMPLE,
        refuses=(404,),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        self.query()
        return Response(ClientSerializer(found(queries.find_client(self.caller.reach, uid))).data)

    @described(
        "Change a client",
        "State and reseller hold from the day `on`, which is today or earlier, but not before what holds now began: "
        "older months may be billed already. Everything else holds from now on. All is changed or nothing.",
        name="clients_change",
        tag="Clients",
        answer=ClientSerializer,
        shows=changed(EXAMPLE, state="suspended"),
        sends=ClientChange,
        sent={"state": "suspended", "on": "2026-11-01", "reason": "Contract ended."},
        refuses=(404,),
    )
    def patch(self, request: Request, uid: UUID) -> Response:
        self.query()
        client = found(queries.find_client(self.caller.reach, uid))
        values = self.body(ClientChange)
        changes.change_client(self.caller, client, values, actor=self.actor(reason=values.get("reason", "")))
        return Response(ClientSerializer(found(queries.find_client(self.caller.reach, uid))).data)
