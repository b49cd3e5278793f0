"""Settings: the nearest scope wins, parameter by parameter, and the answer says which one did."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.inheritance import DEFAULT, SCOPES, Setting, Source, resolve, resolve_all
from alerts.params import BadParams
from alerts.rules import RULES

KIND = "no_recent_backup"


def setting(scope: Any, *, kind: str = KIND, **values: Any) -> Setting:
    own = {name: values.pop(name) for name in ("enabled", "severity") if name in values}
    return Setting(kind=kind, scope=scope, scope_id=7, scope_name=f"the {scope}", parameters=values, **own)


def test_without_settings_the_defaults_hold() -> None:
    resolved = resolve(KIND, [])
    assert resolved.params == RULES[KIND].Params()
    assert (resolved.enabled, resolved.severity) == (True, None)
    assert set(resolved.sources) == {
        "tolerance_hours", "laptop_days", "occasional_days", "seasonal_days", "grace_minutes", "critical_after_hours",
        "enabled", "severity", "hold_minutes", "escalate_hours", "tells",
    }  # fmt: skip
    assert set(resolved.sources.values()) == {DEFAULT}


def test_the_nearest_scope_wins_parameter_by_parameter() -> None:
    resolved = resolve(KIND, [
        setting("job", grace_minutes=5),
        setting("tenant", tolerance_hours=30, grace_minutes=90, severity="info"),
        setting("client", tolerance_hours=50, enabled=False),
        setting("selection", enabled=True),
        setting("job", kind="errors", failures=9),
    ])  # fmt: skip
    assert (resolved.params.tolerance_hours, resolved.params.grace_minutes) == (50, 5)
    assert (resolved.enabled, resolved.severity) == (True, "info")
    assert {name: str(source) for name, source in resolved.sources.items()} == {
        "tolerance_hours": "client the client",
        "laptop_days": "default",
        "occasional_days": "default",
        "seasonal_days": "default",
        "grace_minutes": "job the job",
        "critical_after_hours": "default",
        "enabled": "selection the selection",
        "severity": "tenant the tenant",
        "hold_minutes": "default",
        "escalate_hours": "default",
        "tells": "default",
    }


@pytest.mark.parametrize(
    "values,field",
    [({"grace_minutes": -1}, "grace_minutes"), ({"speed": 1}, "speed"), ({"tolerance_hours": "2"}, "tolerance_hours")],
)
def test_a_stored_value_that_the_rule_refuses_is_named(values: dict[str, Any], field: str) -> None:
    with pytest.raises(BadParams) as refused:
        resolve(KIND, [setting("job", **values)])
    assert refused.value.field == field
    assert refused.value.reason.endswith(".")


def test_every_rule_is_resolved() -> None:
    assert set(resolve_all([setting("tenant", tolerance_hours=30)])) == set(RULES)


@given(st.lists(st.tuples(st.sampled_from(SCOPES), st.integers(1, 8784)), unique_by=lambda one: one[0]), st.randoms())
def test_the_order_of_the_rows_does_not_matter(rows: list[tuple[Any, int]], random: Any) -> None:
    settings = [setting(scope, tolerance_hours=hours) for scope, hours in rows]
    shuffled = list(settings)
    random.shuffle(shuffled)
    resolved = resolve(KIND, shuffled)
    assert resolved == resolve(KIND, settings)
    if rows:
        scope, hours = max(rows, key=lambda one: SCOPES.index(one[0]))
        assert resolved.params.tolerance_hours == hours
        assert resolved.sources["tolerance_hours"] == Source(scope, 7, f"the {scope}")
