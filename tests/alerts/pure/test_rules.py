"""Processing delayed: logs that wait unread, at the threshold and just before."""

from __future__ import annotations

from datetime import timedelta

from alerts.facts import Finding
from alerts.rules import processing_delayed
from tests.alerts.pure.examples import NOON, tenant_facts

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


# --- processing delayed


def test_logs_that_wait_for_a_quarter_of_an_hour_are_found() -> None:
    facts, params = tenant_facts(awaiting_since=NOON, waiting=3), processing_delayed.Params()
    assert processing_delayed.check(facts, params, NOON + 15 * MINUTE - SECOND) is None
    assert processing_delayed.check_after(facts, params, NOON) == NOON + 15 * MINUTE
    found = processing_delayed.check(facts, params, NOON + 15 * MINUTE)
    assert isinstance(found, Finding)
    assert (found.severity, found.since) == ("critical", NOON)
    assert found.summary.startswith("3 logs waiting unread since Wed 14 Jan 2026 12:00 UTC;")
    assert processing_delayed.check(tenant_facts(), params, NOON) is None
    assert processing_delayed.check_after(tenant_facts(), params, NOON) is None
