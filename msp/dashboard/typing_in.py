"""Reads what was typed into a form of money or settings, strictly, and shows it again when it is refused.

The inputs are ``msp.dashboard.forms.Field``; besides its kinds there are ``decimal``, ``date``, ``moment`` (in the
tenant's zone) and ``many`` (ticked choices). Numbers are plain ASCII digits; ``maximum`` of a text is its length.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from django.http import QueryDict
from django.utils import timezone

from msp.dashboard.forms import BadField, Field

LONGEST_TEXT = 10_000
_WHOLE = re.compile(r"-?[0-9]{1,15}")
_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,12})?")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
#: Separates the ticked choices in a field's value; no identity of ours holds it.
MANY = " "


def read_typed(fields: Sequence[Field], typed: QueryDict) -> dict[str, Any]:
    """The values by name; an empty input is None (a switch False, a list empty). Raises BadField."""
    return {field.name: read_one(field, typed) for field in fields}


def read_one(field: Field, typed: QueryDict) -> Any:
    """The value of one input. Raises BadField."""
    if field.kind == "switch":
        return typed.get(field.name, "") in ("yes", "on", "true")
    if field.kind == "many":
        return [_choice(field, each) for each in typed.getlist(field.name)]
    text = typed.get(field.name, "")
    text = text if field.kind == "secret" else text.strip()
    _refuse_text(field, text)
    if text:
        return _READERS.get(field.kind, _text)(field, text)
    if field.required:
        raise BadField(field.name, f"{field.label} is missing.")
    return [] if field.kind == "list" else None


def free_text(typed: QueryDict, name: str, *, most: int) -> str:
    """A text that is no field of a form, such as a note or what is looked for. What no text can be stored with is left
    out, and what is longer is cut.
    """
    return _CONTROL.sub("", typed.get(name, "")).strip()[:most]


def refill_typed(fields: Sequence[Field], typed: QueryDict, *, error: BadField | None = None) -> tuple[Field, ...]:
    """The same inputs with what was typed, secrets left out, and the sentence at the field it is about."""
    return tuple(
        replace(
            field,
            value=_shown(field, typed),
            error=error.reason if error is not None and error.field == field.name else "",
        )
        for field in fields
    )


def _shown(field: Field, typed: QueryDict) -> str:
    if field.kind == "secret":
        return ""
    if field.kind == "many":
        return MANY.join(typed.getlist(field.name))
    return typed.get(field.name, "")


def _refuse_text(field: Field, text: str) -> None:
    longest = field.maximum if field.maximum and field.kind in ("text", "long") else LONGEST_TEXT
    if len(text) > longest:
        raise BadField(field.name, f"{field.label} is too long: at most {longest:,} characters.")
    if _CONTROL.search(text):
        raise BadField(field.name, f"{field.label} holds characters that cannot be shown.")


def _text(field: Field, text: str) -> str:
    if field.kind == "text" and ("\n" in text or "\r" in text):
        raise BadField(field.name, f"{field.label} must be a single line.")
    return text


def _whole(field: Field, text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise BadField(field.name, f"{field.label} must be a whole number in plain digits, not “{text[:40]}”.")
    return _within(field, int(text))


def _decimal(field: Field, text: str) -> Decimal:
    if not _DECIMAL.fullmatch(text):
        raise BadField(field.name, f"{field.label} must be a number such as 0.05, not “{text[:40]}”.")
    return _within(field, Decimal(text))


N = TypeVar("N", int, Decimal)


def _within(field: Field, value: N) -> N:
    if field.minimum is not None and value < field.minimum:
        raise BadField(field.name, f"{field.label} must be at least {field.minimum:,}.")
    if field.maximum is not None and value > field.maximum:
        raise BadField(field.name, f"{field.label} must be at most {field.maximum:,}.")
    return value


def _day(field: Field, text: str) -> date:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise BadField(field.name, f"{field.label} must be a day such as 2026-03-31, not “{text[:40]}”.")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadField(field.name, f"{field.label}: there is no day {text}.") from error


def _moment(field: Field, text: str) -> datetime:
    """A wall-clock time in the zone that the page shows times in."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?", text):
        raise BadField(field.name, f"{field.label} must be a day and a time, not “{text[:40]}”.")
    try:
        naive = datetime.fromisoformat(text)
        return naive.replace(tzinfo=timezone.get_current_timezone()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadField(field.name, f"{field.label}: there is no such moment.") from error


def _choice(field: Field, text: str) -> Any:
    values = {value for value, _ in field.choices}
    if text not in values:
        raise BadField(field.name, f"{field.label} cannot be “{text[:40]}”.")
    return text == "yes" if values == {"", "yes", "no"} else text


def _list(field: Field, text: str) -> list[str]:
    return [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]


def _json(field: Field, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadField(field.name, f"{field.label} is not valid JSON: {str(error)[:200]}.") from error


_READERS: dict[str, Any] = {
    "number": _whole, "decimal": _decimal, "date": _day, "moment": _moment, "choice": _choice, "list": _list,
    "json": _json,
}  # fmt: skip
