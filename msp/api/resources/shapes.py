"""Fields and small shapes that several resources share."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from drf_spectacular.drainage import set_override
from rest_framework import serializers

#: Sizes fit the database's eight bytes.
LARGEST = 2**63 - 1
MONTH = "20[0-9]{2}-(?:0[1-9]|1[0-2])"


class NamedSerializer(serializers.Serializer[Any]):
    """Something that has a page of its own here: its UUID and name."""

    uid = serializers.UUIDField()
    name = serializers.CharField()


class MonthField(serializers.CharField):
    """A month as 2026-11; a date within."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        set_override(self, "field", {"type": "string", "pattern": f"^{MONTH}$"})

    def to_internal_value(self, data: Any) -> Any:
        text = super().to_internal_value(data)
        if not re.fullmatch(MONTH, text):
            raise serializers.ValidationError("Write the month as 2026-11.")
        return date.fromisoformat(f"{text}-01")

    def to_representation(self, value: Any) -> str:
        return f"{value:%Y-%m}"


class MonthConverter:
    """The month in a run's address."""

    regex = MONTH

    def to_python(self, value: str) -> date:
        return date.fromisoformat(f"{value}-01")

    def to_url(self, value: date) -> str:
        return f"{value:%Y-%m}"


def size_field(text: str) -> serializers.IntegerField:
    """A size in bytes; null where it is not known."""
    return serializers.IntegerField(allow_null=True, help_text=text)
