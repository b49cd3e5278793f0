"""Turns the stored JSON of a destination into a plug-in's ``Config``, and a ``Config`` class into form fields.

A ``Config`` is a frozen dataclass whose fields are made by ``setting``; its own cross-checks stand in
``__post_init__`` and raise ``BadConfig``. Forms, the API schema and the documentation are derived from
``describe``; nothing about a gateway is written twice. Problems are sentences for the person who fills in the form.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from typing import Any, Literal, TypeVar, cast

Kind = Literal["text", "number", "switch", "json", "list"]
C = TypeVar("C")

_METADATA = "setting"


class BadConfig(Exception):
    """A configuration that cannot work: ``field`` is its name ("" for the whole), ``reason`` a sentence."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason


@dataclass(frozen=True)
class Setting:
    """One field of a ``Config`` as a form shows it. ``choices`` are (value, label) pairs, empty for a free value.

    ``looked_up``: the other system knows the possible values, and the gateway's ``choices`` reads them from there.
    """

    name: str
    kind: Kind
    label: str
    help: str
    secret: bool
    required: bool
    default: object
    choices: tuple[tuple[str, str], ...]
    looked_up: bool = False


def setting(
    label: str,
    *,
    kind: Kind = "text",
    help: str = "",
    default: object = MISSING,
    secret: bool = False,
    choices: tuple[tuple[str, str], ...] = (),
    looked_up: bool = False,
) -> Any:
    """A dataclass field with what a form needs to show it; without ``default`` a value must be given."""
    told = {"kind": kind, "label": label, "help": help, "secret": secret, "choices": choices, "looked_up": looked_up}
    metadata = {_METADATA: told}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata, repr=not secret)
    if default is MISSING:
        return dataclasses.field(metadata=metadata, repr=not secret)
    return dataclasses.field(default=default, metadata=metadata, repr=not secret)


def describe(config_class: type[Any]) -> tuple[Setting, ...]:
    """The fields of a ``Config`` class in their order, for forms, the API schema and the documentation."""
    return tuple(_describe_field(item) for item in dataclasses.fields(config_class))


def _describe_field(item: dataclasses.Field[Any]) -> Setting:
    default = item.default if item.default_factory is MISSING else item.default_factory()
    required = default is MISSING
    return Setting(name=item.name, required=required, default=None if required else default, **item.metadata[_METADATA])


def settings_table(config_class: type[Any]) -> str:
    """The settings as a Markdown table, as the documentation shows them."""
    rows = [f"| `{item.name}` | {item.label}{'' if not item.secret else ' (secret)'} | {_told(item)} |" for item in
            describe(config_class)]  # fmt: skip
    return "\n".join(["| Setting | In the form | Default; meaning |", "|---|---|---|", *rows])


def _told(item: Setting) -> str:
    default = "required" if item.required else f"`{json.dumps(item.default)}`"
    choices = "".join(f", `{value}` ({label})" for value, label in item.choices)
    parts = [default, f"one of{choices[1:]}" if choices else "", item.help]
    return "; ".join(part for part in parts if part).replace("|", "\\|")


def config_from_json(config_class: type[C], values: Mapping[str, object]) -> C:
    """Build the ``Config`` of a gateway from stored JSON or from a form's values; raises ``BadConfig``."""
    settings = {item.name: item for item in describe(config_class)}
    for name in values:
        if name not in settings:
            raise BadConfig(name, f"There is no such setting; known are {', '.join(settings)}.")
    given = {name: _read(settings[name], value) for name, value in values.items() if value is not None}
    for name, item in settings.items():
        if item.required and given.get(name) in (None, "", ()):
            raise BadConfig(name, f"{item.label} is required.")
    return config_class(**given)


def config_to_json(config: object) -> dict[str, object]:
    """The JSON to store for a ``Config``; secrets are in it, so it must be encrypted at rest."""
    return {
        item.name: list(value) if isinstance(value := getattr(config, item.name), tuple) else value
        for item in describe(type(config))
    }


def secrets_of(config: object) -> tuple[str, ...]:
    """The values of a ``Config`` that must never be shown, logged, or stand in an error's text."""
    values = (str(getattr(config, item.name)) for item in describe(type(config)) if item.secret)
    return tuple(value for value in values if value)


def _read(item: Setting, value: object) -> object:
    read = {"text": _read_text, "number": _read_number, "switch": _read_switch, "json": _read_json, "list": _read_list}
    result = read[item.kind](item, value)
    if item.choices and result not in [choice for choice, _ in item.choices]:
        known = ", ".join(choice for choice, _ in item.choices)
        raise BadConfig(item.name, f"{item.label} must be one of: {known}.")
    return result


def _read_text(item: Setting, value: object) -> str:
    if not isinstance(value, str):
        raise BadConfig(item.name, f"{item.label} must be text.")
    if any(character in value for character in "\r\n\0"):
        raise BadConfig(item.name, f"{item.label} must be a single line.")
    return value.strip()


def _read_number(item: Setting, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        return int(value)
    raise BadConfig(item.name, f"{item.label} must be a whole number.")


def _read_switch(item: Setting, value: object) -> bool:
    if not isinstance(value, bool):
        raise BadConfig(item.name, f"{item.label} must be true or false.")
    return value


def _read_json(item: Setting, value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value.strip():
        return {}
    try:
        return cast(object, json.loads(value))
    except ValueError as error:
        raise BadConfig(item.name, f"{item.label} is not valid JSON: {error}.") from None


def _read_list(item: Setting, value: object) -> tuple[str, ...]:
    parts = value.replace("\n", ",").split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise BadConfig(item.name, f"{item.label} must be a list of texts.")
    return tuple(part.strip() for part in parts if part.strip())
