"""``/size-contracts``: how sizes are counted for a bill, in the words of the version that an agreement names."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.refusals import NotFound
from billing.size_contract import size_contract
from msp.api.resources.base import ApiView, found
from msp.api.schema import described


class SizeContractSerializer(serializers.Serializer[Any]):
    """A version of the size contract."""

    version = serializers.CharField()
    text = serializers.CharField(help_text="Markdown. A version that was published never changes.")
    sha256 = serializers.CharField(help_text="Of the text, as hexadecimal digits.")


class SizeContractView(ApiView):
    @described(
        "The size contract",
        "How sizes are counted for a bill. Each line of an invoice names the version that holds for it.",
        name="size_contracts_get",
        tag="Usage",
        answer=SizeContractSerializer,
        shows={"version": "1", "text": "# Size contract, version 1\n", "sha256": "9f" * 32},
        refuses=(404,),
    )
    def get(self, request: Request, version: str) -> Response:
        self.query()
        try:
            contract = size_contract(version)
        except NotFound:
            contract = None
        return Response(SizeContractSerializer(found(contract)).data)
