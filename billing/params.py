"""The settings of meters and prices: described, read from JSON and written to it in one place.

A ``Params`` class is a frozen dataclass whose fields are text, whole number, Decimal, choice, an optional one of these,
or a tuple of such dataclasses. Forms, API and documentation derive from ``fields_of``; whatever does not fit is refused
with ``BadParams``, a sentence for the person who typed it. JSON numbers with decimals are refused: they are not exact.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

P = TypeVar("P")
Kind = Literal["text", "whole", "decimal", "choice", "list"]

#: Digits before and after the point that a setting may have: far more than any price needs, and quick to compute with.
MOST_WHOLE_DIGITS = 15
MOST_DECIMALS = 12


class BadParams(ValueError):
    """A setting that cannot be: ``field`` says which ("tiers[2].unit_price"), ``reason`` is a sentence for people."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class ParamField:
    """One setting as forms and API show it.

    ``default`` is meaningless if ``required``. ``fields`` describes one item of a list. ``per_invoice`` marks what
    a person decides for one invoice; a plan does not preset it.
    """

    name: str
    kind: Kind
    required: bool
    default: Any
    optional: bool
    help: str
    choices: tuple[str, ...] = ()
    fields: tuple[ParamField, ...] = ()
    per_invoice: bool = False


def told(help: str, *, per_invoice: bool = False) -> dict[str, Any]:
    """The metadata of a setting's dataclass field: the sentence that explains it."""
    return {"help": help, "per_invoice": per_invoice}


def fields_of(params_cls: type) -> tuple[ParamField, ...]:
    """Every setting of a ``Params`` class, in the order of its definition."""
    hints = get_type_hints(params_cls)
    return tuple(_described(each, hints[each.name]) for each in fields(params_cls))


def params_from_json(cls: type[P], mapping: object) -> P:
    """The settings of a JSON object. Raises BadParams for what is unknown, lacking, of the wrong type, or refused."""
    return _read_object(cls, mapping, at="")


def params_to_json(params: Any) -> dict[str, Any]:
    """The settings as a JSON object that ``params_from_json`` reads back: decimals as text."""
    return {each.name: _written(getattr(params, each.name)) for each in fields(params)}


def require_not_negative(value: Decimal | int, *, field: str, what: str) -> None:
    """Refuse a negative number: "``what`` cannot be negative"."""
    if value < 0:
        raise BadParams(field, f"{what} cannot be negative, but this is {value}")


def _described(each: Field[Any], hint: Any) -> ParamField:
    bare, optional = _without_none(hint)
    kind = _kind_of(bare)
    return ParamField(
        name=each.name,
        kind=kind,
        required=each.default is MISSING,
        default=None if each.default is MISSING else each.default,
        optional=optional,
        help=each.metadata.get("help", ""),
        choices=get_args(bare) if kind == "choice" else (),
        fields=fields_of(get_args(bare)[0]) if kind == "list" else (),
        per_invoice=each.metadata.get("per_invoice", False),
    )


def _without_none(hint: Any) -> tuple[Any, bool]:
    """The type itself, and whether None may stand in its place."""
    if get_origin(hint) not in (Union, types.UnionType):
        return hint, False
    (bare,) = (part for part in get_args(hint) if part is not type(None))
    return bare, True


def _kind_of(bare: Any) -> Kind:
    if get_origin(bare) is Literal:
        return "choice"
    if get_origin(bare) is tuple and is_dataclass(get_args(bare)[0]):
        return "list"
    kinds: dict[Any, Kind] = {str: "text", int: "whole", Decimal: "decimal"}
    if bare not in kinds:
        raise TypeError(f"a setting cannot be of type {bare}")
    return kinds[bare]


def _read_object(cls: type[P], mapping: object, *, at: str) -> P:
    if not isinstance(mapping, Mapping):
        raise BadParams(at, "this must be an object with named settings")
    known = {each.name: each for each in fields_of(cls)}
    for name in mapping:
        if name not in known:
            raise BadParams(_path(at, str(name)), f"there is no such setting; there are: {', '.join(known) or 'none'}")
    values = {name: _read_field(each, mapping, cls=cls, at=at) for name, each in known.items()}
    try:
        return cls(**values)
    except BadParams as bad:
        raise BadParams(_path(at, bad.field), bad.reason) from None


def _read_field(each: ParamField, mapping: Mapping[Any, Any], *, cls: type, at: str) -> Any:
    if each.name not in mapping:
        if each.required:
            raise BadParams(_path(at, each.name), "this is required")
        return each.default
    value = mapping[each.name]
    if value is None and each.optional:
        return None
    path = _path(at, each.name)
    if each.kind == "list":
        return _read_list(_without_none(get_type_hints(cls)[each.name])[0], value, at=path)
    return _READERS[each.kind](value, each, path)


def _read_list(hint: Any, value: object, *, at: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise BadParams(at, "this must be a list")
    item = get_args(hint)[0]
    return tuple(_read_object(item, entry, at=f"{at}[{place}]") for place, entry in enumerate(value, start=1))


def _read_text(value: object, each: ParamField, path: str) -> str:
    if not isinstance(value, str):
        raise BadParams(path, "this must be text")
    return value


def _read_choice(value: object, each: ParamField, path: str) -> str:
    if not isinstance(value, str) or value not in each.choices:
        raise BadParams(path, f"this must be one of: {', '.join(each.choices)}")
    return value


def _read_whole(value: object, each: ParamField, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadParams(path, "this must be a whole number")
    return value


def _read_decimal(value: object, each: ParamField, path: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise BadParams(path, 'this must be an exact number, written as text such as "0.05"')
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise BadParams(path, f"{value!r} is not a number; write it such as 0.05") from None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or number.adjusted() >= MOST_WHOLE_DIGITS or exponent < -MOST_DECIMALS:
        sizes = f"at most {MOST_WHOLE_DIGITS} digits before and {MOST_DECIMALS} after the point"
        raise BadParams(path, f"this must be a number with {sizes}")
    return number


_READERS = {"text": _read_text, "choice": _read_choice, "whole": _read_whole, "decimal": _read_decimal}


def _written(value: Any) -> Any:
    if isinstance(value, tuple):
        return [params_to_json(item) for item in value]
    return format(value, "f") if isinstance(value, Decimal) else value


def _path(at: str, name: str) -> str:
    return f"{at}.{name}" if at and name else at or name
