"""Forms made from dataclass fields: rule parameters, gateway and plug-in configurations, and our own small ones.

``fields_of_params`` reads what ``alerts.params`` declares, ``fields_of_config`` what ``integrations.configuration``
declares; ``parts/form.html`` shows either. A form that was refused is shown again with what was typed and a sentence.
Secrets are never sent back to the browser: an empty secret field keeps the stored value.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from integrations.configuration import Setting, describe


@dataclass(frozen=True)
class Field:
    """One input. ``kind``: text, number, switch, json, list, choice, long, secret; ``inherited`` holds if empty."""

    name: str
    label: str
    kind: str = "text"
    value: str = ""
    help: str = ""
    unit: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    required: bool = False
    minimum: int | None = None
    maximum: int | None = None
    inherited: str = ""
    placeholder: str = ""
    error: str = ""


class BadField(ValueError):
    """What was typed into a field cannot be read; ``reason`` is a sentence."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


def fields_of_params(
    params_class: type[Any], values: Mapping[str, Any], *, inherited: Mapping[str, str] | None = None
) -> tuple[Field, ...]:
    """Inputs for a rule's (or meter's, or price's) parameters; ``values`` are those set here, others are inherited."""
    return tuple(
        _param_field(item, values.get(item.name), inherited=(inherited or {}).get(item.name, ""))
        for item in dataclasses.fields(params_class)
    )


def _param_field(item: dataclasses.Field[Any], value: Any, *, inherited: str) -> Field:
    options = item.metadata.get("options") or ((("yes", "yes"), ("no", "no")) if isinstance(item.default, bool) else ())
    return Field(
        name=item.name,
        label=str(item.metadata.get("label", item.name.replace("_", " ").capitalize())),
        kind="choice" if options else "number",
        value=_typed(value),
        help=str(item.metadata.get("help", "")),
        unit=str(item.metadata.get("unit", "")),
        choices=(("", "inherit"), *options) if options else (),
        minimum=item.metadata.get("at_least"),
        maximum=item.metadata.get("at_most"),
        inherited=inherited,
    )


def fields_of_config(config_class: type[Any], values: Mapping[str, Any]) -> tuple[Field, ...]:
    """Inputs for a gateway's configuration; stored secrets are not shown."""
    return tuple(_setting_field(setting, values.get(setting.name)) for setting in describe(config_class))


def _setting_field(setting: Setting, value: Any) -> Field:
    shown = "" if setting.secret else _typed(setting.default if value is None else value)
    return Field(
        name=setting.name,
        label=setting.label,
        kind="choice" if setting.choices else "secret" if setting.secret else setting.kind,
        value=shown,
        help=setting.help,
        choices=setting.choices,
        required=setting.required and not (setting.secret and value),
        placeholder="unchanged" if setting.secret and value else "",
    )


def _typed(value: Any) -> str:
    """A stored value as it stands in an input."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(part) for part in value)
    return json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict) else str(value)


def read_fields(fields: Sequence[Field], typed: Mapping[str, str]) -> dict[str, Any]:
    """The values that were given, by name; empty inputs are absent. Raises BadField."""
    given = {field.name: _read(field, typed.get(field.name, "").strip()) for field in fields}
    return {name: value for name, value in given.items() if value is not None}


def _read(field: Field, typed: str) -> Any:
    if field.kind == "switch":
        return typed in ("yes", "on", "true")
    if not typed:
        if field.required:
            raise BadField(field.name, f"{field.label} is missing.")
        return None
    if field.kind == "number":
        return _whole(field, typed)
    if field.kind == "list":
        return [part.strip() for part in typed.replace("\n", ",").split(",") if part.strip()]
    if field.kind == "choice":
        return _choice(field, typed)
    return _json(field, typed) if field.kind == "json" else typed


def _whole(field: Field, typed: str) -> int:
    try:
        return int(typed)
    except ValueError as error:
        raise BadField(field.name, f"{field.label} must be a whole number, not “{typed[:40]}”.") from error


def _choice(field: Field, typed: str) -> Any:
    if typed not in {value for value, _ in field.choices}:
        raise BadField(field.name, f"{field.label} cannot be “{typed[:40]}”.")
    yes_no = {value for value, _ in field.choices} == {"", "yes", "no"}
    return typed == "yes" if yes_no else typed


def _json(field: Field, typed: str) -> Any:
    try:
        return json.loads(typed)
    except ValueError as error:
        raise BadField(field.name, f"{field.label} is not valid JSON: {error}.") from error


def refill(fields: Sequence[Field], typed: Mapping[str, str], *, error: BadField | None = None) -> tuple[Field, ...]:
    """The same inputs with what was typed (secrets left out), and the sentence at the field it is about."""
    return tuple(
        replace(
            field,
            value="" if field.kind == "secret" else typed.get(field.name, ""),
            error=error.reason if error is not None and error.field == field.name else "",
        )
        for field in fields
    )
