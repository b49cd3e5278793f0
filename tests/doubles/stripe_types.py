"""Asks the pinned stripe package's own parameter types whether a request's parameters exist."""

from __future__ import annotations

import sys
import types
import typing
from typing import Any

import typing_extensions
from stripe import RequestOptions


def unknown_parameter(given: object, params: Any) -> str | None:
    """The name of the first parameter that the type does not know, such as ``lines[0][amout]``; None if all are."""
    return _unknown(given, params, "")


def _unknown(given: object, expected: Any, where: str) -> str | None:
    if isinstance(given, list):
        items = [option for option in _options(expected) if typing.get_origin(option) is list]
        found = (
            (_unknown(item, items[0].__args__[0], f"{where}[{n}]") for n, item in enumerate(given))
            if items
            else [where]
        )
        return next((name for name in found if name), None)
    if not isinstance(given, dict):
        return None
    fields = _fields(expected)
    if fields is None:
        return None if any(typing.get_origin(option) is dict for option in _options(expected)) else where
    for name, value in given.items():
        place = f"{where}[{name}]" if where else name
        if name not in fields:
            return place
        if found_inside := _unknown(value, fields[name], place):
            return found_inside
    return None


def _fields(expected: Any) -> dict[str, Any] | None:
    """The fields of the TypedDict among the options, without those that are for the library itself."""
    for option in _options(expected):
        if typing_extensions.is_typeddict(option):
            own = {
                name: hint
                for name, hint in option.__annotations__.items()
                if name not in RequestOptions.__annotations__
            }
            return {name: _resolve(hint, option.__module__) for name, hint in own.items()}
    return None


def _options(expected: Any) -> tuple[Any, ...]:
    union = typing.get_origin(expected) in (typing.Union, types.UnionType)
    return typing.get_args(expected) if union else (expected,)


def _resolve(hint: Any, module: str) -> Any:
    """A hint with its quoted names looked up in the module that wrote it, and without NotRequired."""
    if isinstance(hint, typing.ForwardRef):
        return _resolve(eval(hint.__forward_arg__, dict(vars(sys.modules[module]))), module)
    if typing.get_origin(hint) in (typing.NotRequired, typing_extensions.NotRequired):
        return _resolve(hint.__args__[0], module)
    if typing.get_origin(hint) is list:
        return list[_resolve(hint.__args__[0], module)]  # type: ignore[misc]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.Union[tuple(_resolve(option, module) for option in hint.__args__)]  # noqa: UP007 - built at run time
    return hint
