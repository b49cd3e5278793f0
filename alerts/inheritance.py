"""Which settings of a rule hold for a subject: tenant, reseller, client, selection, job; the nearest wins, one by one.

Evaluating resolves the stored rows of a subject's scopes once and hands the result to the rule; the settings page shows
``sources``, which says for each parameter where its value comes from. Pure; every stored value is checked again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal

from alerts.facts import Severity, Tells
from alerts.params import read_params
from alerts.rules import RULES, Rule

ScopeKind = Literal["tenant", "reseller", "client", "selection", "job"]

#: Farthest first.
SCOPES: tuple[ScopeKind, ...] = ("tenant", "reseller", "client", "selection", "job")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One stored row: what it sets, and nothing of what it leaves to farther scopes (None or absent)."""

    kind: str
    scope: ScopeKind
    scope_id: int
    scope_name: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    enabled: bool | None = None
    severity: Severity | None = None
    hold_minutes: int | None = None
    escalate_hours: int | None = None
    tells: Tells | None = None


@dataclass(frozen=True)
class Source:
    """Where a value comes from; ``scope`` is "default" for the rule's own."""

    scope: ScopeKind | Literal["default"]
    scope_id: int | None = None
    scope_name: str = ""

    def __str__(self) -> str:
        return self.scope if not self.scope_name else f"{self.scope} {self.scope_name}"


DEFAULT = Source("default")
#: What can be set of every rule besides its parameters.
OWN = ("enabled", "severity", "hold_minutes", "escalate_hours", "tells")


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What holds; ``severity`` None leaves it to the rule, ``hold_minutes`` None to the route; 0 hours never escalate.

    ``sources`` has each parameter and each of the settings that every rule has (``OWN``).
    """

    kind: str
    params: Any
    enabled: bool
    severity: Severity | None
    hold_minutes: int | None = None
    escalate_hours: int = 0
    tells: Tells = "ticket"
    sources: Mapping[str, Source]


def resolve(kind: str, settings: Iterable[Setting]) -> Resolved:
    """The settings of one rule from the rows of a subject's scopes, in any order; other rules' rows are passed over.

    Raises BadParams for a stored value that the rule refuses, KeyError for an unknown rule.
    """
    rule = RULES[kind]
    nearest_last = sorted((row for row in settings if row.kind == kind), key=lambda row: SCOPES.index(row.scope))
    values: dict[str, Any] = {}
    sources = dict.fromkeys((*parameter_names(rule), *OWN), DEFAULT)
    for row in nearest_last:
        for name, value in _set_by(row).items():
            values[name] = value
            sources[name] = Source(row.scope, row.scope_id, row.scope_name)
    enabled = values.pop("enabled", rule.ENABLED)
    own: dict[str, Any] = {
        "severity": values.pop("severity", None),
        "hold_minutes": values.pop("hold_minutes", rule.HOLD_MINUTES),
        "escalate_hours": values.pop("escalate_hours", 0),
        "tells": values.pop("tells", rule.TELLS),
    }
    params = read_params(rule.Params, values)
    return Resolved(kind=kind, params=params, enabled=enabled, sources=MappingProxyType(sources), **own)


def resolve_all(settings: Iterable[Setting]) -> dict[str, Resolved]:
    """The settings of every rule, by kind."""
    rows = list(settings)
    return {kind: resolve(kind, rows) for kind in RULES}


def parameter_names(rule: Rule) -> tuple[str, ...]:
    """The names of a rule's parameters, in the order of the form."""
    return tuple(field.name for field in fields(rule.Params))


def _set_by(row: Setting) -> dict[str, Any]:
    own = {name: getattr(row, name) for name in OWN}
    return {**row.parameters, **{name: value for name, value in own.items() if value is not None}}
