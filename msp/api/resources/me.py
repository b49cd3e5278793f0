"""``/me``: whose key this is and what it may do. The first call of anybody who sets something up."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from msp.api.resources.base import ApiView
from msp.api.resources.shapes import NamedSerializer
from msp.api.schema import described


class TenantSerializer(serializers.Serializer[Any]):
    """The managed service provider behind the key."""

    uid = serializers.UUIDField()
    name = serializers.CharField()
    timezone = serializers.CharField(help_text="Days and months are those of this zone.")
    currency = serializers.CharField()


class MeSerializer(serializers.Serializer[Any]):
    """The key that the request came with."""

    tenant = TenantSerializer()
    key_name = serializers.CharField(source="key.name")
    key_hint = serializers.CharField(source="key.hint", help_text="How the key begins.")
    scopes = serializers.ListField(child=serializers.CharField(), source="key.scopes")
    reseller = NamedSerializer(source="key.reseller", allow_null=True, help_text="Set: only its clients are seen.")
    expires_at = serializers.DateTimeField(source="key.expires_at", allow_null=True)


EXAMPLE = {
    "tenant": {
        "uid": "5b1c1f0e-8a0d-4c7f-9d0b-0f8f8a3f9f11",
        "name": "Northwind MSP",
        "timezone": "Europe/Berlin",
        "currency": "EUR",
    },
    "key_name": "reporting",
    "key_hint": "bl_4fK2a",
    "scopes": ["billing", "read"],
    "reseller": None,
    "expires_at": None,
}


class MeView(ApiView):
    reads = None

    @described(
        "Whose key this is",
        "The tenant, the scopes and the limits of the key in the header. Any key may ask.",
        name="me",
        tag="Key",
        answer=MeSerializer,
        shows=EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        self.query()
        return Response(MeSerializer(self.caller).data)
