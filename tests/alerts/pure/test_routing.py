"""Routes: the first that matches wins; what shares a ticket; why nobody is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from alerts.facts import Subject
from alerts.routing import IncidentFacts, NoRoute, Routed, RouteValues, group_key, route


def incident(**changes: Any) -> IncidentFacts:
    values: dict[str, Any] = {"kind": "errors", "subject": Subject("job", 17), "severity": "warning", "client_id": 2,
                              "reseller_id": 8, "server_id": 5}  # fmt: skip
    return IncidentFacts(**{**values, **changes})


def line(position: int, **changes: Any) -> RouteValues:
    return RouteValues(**{"route_id": 100 + position, "position": position, "destination_id": position, **changes})


def test_the_first_match_by_position_wins_whatever_the_order_given() -> None:
    routes = [line(3), line(1, client_ids=frozenset({99})), line(2, hold_minutes=0, repeat_every=timedelta(hours=4))]
    answer = route(incident(), routes)
    assert answer == Routed(route_id=102, destination_id=2, group_key="job:17", hold_minutes=0,
                            repeat_every=timedelta(hours=4))  # fmt: skip


@pytest.mark.parametrize(
    "conditions,matches",
    [
        ({}, True),
        ({"kinds": frozenset({"errors", "quota_overrun"})}, True),
        ({"kinds": frozenset({"quota_overrun"})}, False),
        ({"severity_at_least": "info"}, True),
        ({"severity_at_least": "warning"}, True),
        ({"severity_at_least": "critical"}, False),
        ({"client_ids": frozenset({2, 3})}, True),
        ({"client_ids": frozenset({3})}, False),
        ({"reseller_ids": frozenset({8})}, True),
        ({"reseller_ids": frozenset({9})}, False),
        ({"server_ids": frozenset({5})}, True),
        ({"server_ids": frozenset({6})}, False),
        ({"client_ids": frozenset({2}), "server_ids": frozenset({6})}, False),
        ({"enabled": False}, False),
    ],
)
def test_conditions_all_have_to_hold(conditions: dict[str, Any], matches: bool) -> None:
    assert isinstance(route(incident(), [line(1, **conditions)]), Routed) is matches


def test_an_incident_without_a_client_matches_no_clients_route() -> None:
    assert isinstance(route(incident(client_id=None), [line(1, client_ids=frozenset({2}))]), NoRoute)


def test_a_route_to_nobody_stops_the_search() -> None:
    answer = route(incident(), [line(1, destination_id=None, name="test clients"), line(2)])
    assert answer == NoRoute('The route "test clients" tells nobody on purpose.', on_purpose=True)
    assert route(incident(), []) == NoRoute("No route matches this incident.")


@pytest.mark.parametrize(
    "grouping,changes,key",
    [
        ("incident", {}, "incident:errors:job:17"),
        ("client", {}, "client:2"),
        ("server", {}, "server:5"),
        ("client", {"client_id": None}, "incident:errors:job:17"),
        ("server", {"server_id": None}, "incident:errors:job:17"),
    ],
)
def test_group_keys(grouping: Any, changes: dict[str, Any], key: str) -> None:
    assert group_key(incident(**changes), grouping) == key
