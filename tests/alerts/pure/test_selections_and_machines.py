"""Rules about selections, machines, volumes, departures and the inbox: tables of what is flagged and what is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from alerts.facts import Answer, CannotCheck, Finding, Unheard, Waiting
from alerts.group_facts import CopyFacts, GroupFacts, MachineFacts, ProofFacts, SelectionFacts
from alerts.rules import (
    inbox_waiting,
    machine_gone,
    machine_unprotected,
    no_offsite_copy,
    restore_failed,
    restore_slow,
    restore_untested,
    snapshot_stale,
    volume_full,
)
from tests.alerts.pure.examples import NOON, job_facts, tenant_facts, utc

DAY, HOUR, MICRO = timedelta(days=1), timedelta(hours=1), timedelta(microseconds=1)
GB = 10**9
FOREVER = utc(9999, 1, 1)
PRIMARY = CopyFacts(job_id=17, job="nightly", last_good_at=NOON - HOUR, registered_at=NOON - 400 * DAY)
CLOUD = CopyFacts(job_id=18, job="cloud", role="copy", target_kind="cloud", registered_at=NOON - 400 * DAY)


def selection(**changes: Any) -> SelectionFacts:
    """A selection of Berlin, 400 days old, with one job."""
    values: dict[str, Any] = {
        "tenant_id": 1, "client_id": 2, "selection_id": 3, "registered_at": NOON - 400 * DAY, "zone": "Europe/Berlin",
        "jobs": (PRIMARY,),
    }  # fmt: skip
    return SelectionFacts(**{**values, **changes})


def verdict(answer: Answer) -> str:
    return type(answer).__name__


def found(answer: Answer) -> Finding:
    assert isinstance(answer, Finding)
    return answer


# --- restore untested


UNTESTED = restore_untested.Params()
VERIFIED = restore_untested.Params(count_verifications=True)


@pytest.mark.parametrize(
    "facts,params,expected",
    [
        (selection(), UNTESTED, "Finding"),
        (selection(active=False), UNTESTED, "NoneType"),
        (selection(jobs=(replace(PRIMARY, active=False),)), UNTESTED, "NoneType"),
        (selection(registered_at=NOON - 90 * DAY), UNTESTED, "Finding"),
        (selection(registered_at=NOON - 90 * DAY + MICRO), UNTESTED, "NoneType"),
        (selection(restore=ProofFacts(tried_at=NOON, good_at=NOON - 90 * DAY)), UNTESTED, "Finding"),
        (selection(restore=ProofFacts(tried_at=NOON, good_at=NOON - 90 * DAY + MICRO)), UNTESTED, "NoneType"),
        (selection(verify=ProofFacts(tried_at=NOON, good_at=NOON)), UNTESTED, "Finding"),
        (selection(verify=ProofFacts(tried_at=NOON, good_at=NOON)), VERIFIED, "NoneType"),
        (selection(test_interval_days=401), UNTESTED, "NoneType"),
        (selection(restore=ProofFacts(good_at=NOON - 31 * DAY), test_interval_days=30), UNTESTED, "Finding"),
        (selection(waived_until=NOON + MICRO), UNTESTED, "NoneType"),
        (selection(waived_until=NOON), UNTESTED, "Finding"),
        (selection(waived_until=FOREVER), UNTESTED, "NoneType"),
        (selection(unheard=Unheard(since=NOON - 400 * DAY, what="the mailbox")), UNTESTED, "Waiting"),
    ],
)
def test_restore_untested(facts: SelectionFacts, params: restore_untested.Params, expected: str) -> None:
    assert verdict(restore_untested.check(facts, params, NOON)) == expected


def test_restore_untested_tells_what_was_last_and_by_which_interval() -> None:
    facts = selection(restore=ProofFacts(good_at=utc(2025, 6, 1, 10)), test_interval_days=30, waived_until=NOON - DAY)
    answer = found(restore_untested.check(facts, UNTESTED, NOON))
    assert answer.summary == (
        "The newest good test of what is restored was on Sun 1 Jun 2025 12:00 CEST; the policy asks for one every "
        "30 days. The waiver of tests ended on Tue 13 Jan 2026 13:00 CET."
    )
    assert answer.since == utc(2025, 7, 1, 10)


@pytest.mark.parametrize(
    "facts,moment",
    [
        (selection(registered_at=NOON - 10 * DAY), NOON + 80 * DAY),
        (selection(registered_at=NOON - 10 * DAY, waived_until=NOON + 99 * DAY), NOON + 99 * DAY),
        (selection(waived_until=NOON + DAY), NOON + DAY),
        (selection(), None),
        (selection(active=False), None),
    ],
)
def test_when_restore_untested_is_asked_again(facts: SelectionFacts, moment: datetime | None) -> None:
    assert restore_untested.check_after(facts, UNTESTED, NOON) == moment


def test_closing_words_name_the_end_of_a_waiver() -> None:
    words = [
        restore_untested.closing_words(selection(waived_until=until), UNTESTED, NOON) for until in (NOON + DAY, FOREVER)
    ]
    assert words == [
        "Restore tests are waived here until Thu 15 Jan 2026 13:00 CET.",
        "Restore tests are waived here without an end.",
    ]


# --- restore failed, restore slow


BAD = ProofFacts(tried_at=NOON - DAY, outcome="failure", good_at=NOON - 9 * DAY, job="nightly")
GOOD = ProofFacts(tried_at=NOON, outcome="success", good_at=NOON)


@pytest.mark.parametrize(
    "facts,verifications,expected",
    [
        (selection(), True, "NoneType"),
        (selection(restore=BAD), True, "Finding"),
        (selection(restore=replace(BAD, outcome="missed")), True, "Finding"),
        (selection(restore=replace(BAD, outcome="cancelled")), True, "NoneType"),
        (selection(restore=replace(BAD, outcome="unknown")), True, "NoneType"),
        (selection(restore=replace(GOOD, checksum_ok=False)), True, "Finding"),
        (selection(restore=replace(GOOD, checksum_ok=True)), True, "NoneType"),
        (selection(verify=BAD), True, "Finding"),
        (selection(verify=BAD), False, "NoneType"),
        (selection(verify=BAD, restore=GOOD), True, "NoneType"),
        (selection(verify=GOOD, restore=BAD), True, "Finding"),
        (selection(verify=replace(BAD, tried_at=NOON), restore=replace(GOOD, good_at=NOON - DAY)), True, "Finding"),
        (selection(restore=BAD, active=False), True, "NoneType"),
    ],
)
def test_restore_failed(facts: SelectionFacts, verifications: bool, expected: str) -> None:
    answer = restore_failed.check(facts, restore_failed.Params(verifications=verifications), NOON)
    assert verdict(answer) == expected
    if isinstance(answer, Finding):
        assert (answer.sticky, answer.severity) == (True, "critical")


def test_a_wrong_checksum_is_told_in_words() -> None:
    facts = selection(restore=replace(GOOD, checksum_ok=False, job="nightly"))
    assert found(restore_failed.check(facts, restore_failed.Params(), NOON)).summary == (
        "The restore of Wed 14 Jan 2026 13:00 CET by nightly ended, but what was read has another checksum than what "
        "was saved; none was good before."
    )


@pytest.mark.parametrize(
    "minutes,seconds,expected",
    [(0, 9999, "NoneType"), (60, 3600, "NoneType"), (60, 3601, "Finding"), (60, None, "CannotCheck")],
)
def test_restore_slow(minutes: int, seconds: int | None, expected: str) -> None:
    facts = selection(restore=replace(GOOD, seconds=seconds))
    assert verdict(restore_slow.check(facts, restore_slow.Params(minutes=minutes), NOON)) == expected
    assert restore_slow.check(selection(), restore_slow.Params(minutes=minutes), NOON) is None


# --- no offsite copy


COPIED = replace(CLOUD, last_good_at=NOON - 2 * HOUR)
STALE = replace(CLOUD, last_good_at=NOON - 48 * HOUR)
LOCAL = replace(PRIMARY, target_kind="local")


@pytest.mark.parametrize(
    "jobs,copies,always,expected",
    [
        ((LOCAL,), None, False, "NoneType"),
        ((LOCAL,), 1, False, "NoneType"),
        ((LOCAL,), 2, False, "Finding"),
        ((LOCAL,), None, True, "Finding"),
        ((PRIMARY,), 2, False, "CannotCheck"),
        ((PRIMARY, COPIED), 2, False, "NoneType"),
        ((PRIMARY, STALE), 2, False, "Finding"),
        ((PRIMARY, replace(STALE, last_good_at=NOON - 48 * HOUR + MICRO)), 2, False, "NoneType"),
        ((PRIMARY, replace(COPIED, active=False, target_kind="cloud")), 2, False, "CannotCheck"),
        ((replace(PRIMARY, target_kind="offsite"),), 2, False, "NoneType"),
        ((replace(LOCAL, last_good_at=None), STALE), 2, False, "NoneType"),
        ((replace(LOCAL, last_good_at=NOON - 90 * HOUR), STALE), 2, False, "NoneType"),
        ((LOCAL, CLOUD), 2, False, "Finding"),
        ((LOCAL, replace(CLOUD, registered_at=NOON - 47 * HOUR)), 2, False, "NoneType"),
    ],
)
def test_no_offsite_copy(jobs: tuple[CopyFacts, ...], copies: int | None, always: bool, expected: str) -> None:
    params = no_offsite_copy.Params(always=always)
    assert verdict(no_offsite_copy.check(selection(jobs=jobs, copies=copies), params, NOON)) == expected


def test_a_copy_whose_log_waits_unread_is_waited_for() -> None:
    facts = selection(jobs=(PRIMARY, STALE), copies=2, awaiting_since=NOON - HOUR)
    assert isinstance(no_offsite_copy.check(facts, no_offsite_copy.Params(), NOON), Waiting)
    assert isinstance(no_offsite_copy.check(facts, no_offsite_copy.Params(), NOON + 15 * timedelta(minutes=1)), Finding)


# --- machines


def machine(**changes: Any) -> MachineFacts:
    values: dict[str, Any] = {
        "tenant_id": 1, "client_id": 2, "machine_id": 4, "machine": "srv1", "expectation": "protected",
        "registered_at": NOON - 2 * DAY, "zone": "Europe/Berlin",
    }  # fmt: skip
    return MachineFacts(**{**values, **changes})


@pytest.mark.parametrize(
    "facts,expected,again",
    [
        (machine(), "Finding", None),
        (machine(registered_at=NOON - 2 * DAY + MICRO), "NoneType", NOON + MICRO),
        (machine(jobs=1), "NoneType", None),
        (machine(active=False), "NoneType", None),
        (machine(expectation="unknown"), "NoneType", None),
        (machine(last_covered_at=NOON - DAY), "NoneType", NOON + DAY),
        (machine(last_covered_at=NOON - 2 * DAY), "Finding", None),
        (machine(expectation="waived", waived_until=NOON + DAY), "NoneType", NOON + DAY),
        (machine(expectation="waived", waived_until=NOON), "Finding", None),
        (machine(expectation="waived"), "Finding", None),
        (machine(waived_until=NOON + DAY), "NoneType", NOON + DAY),
        (machine(registered_at=None), "NoneType", None),
    ],
)
def test_machine_unprotected(facts: MachineFacts, expected: str, again: datetime | None) -> None:
    params = machine_unprotected.Params()
    assert verdict(machine_unprotected.check(facts, params, NOON)) == expected
    assert machine_unprotected.check_after(facts, params, NOON) == again


def test_a_machine_gone_stays_and_says_what_to_do() -> None:
    facts = job_facts(gone_at=NOON - HOUR, gone_because="Not on the list.")
    answer = found(machine_gone.check(facts, machine_gone.Params(), NOON))
    assert answer.sticky
    assert answer.summary == (
        "nightly is no longer listed by its product since Wed 14 Jan 2026 12:00 CET (Not on the list). If it has left, "
        "confirm it on the job's page: the job is retired and its bills stay. If it is a mistake, say there that it is "
        "still there."
    )
    later = machine_gone.Params(hours=2)
    assert machine_gone.check(facts, later, NOON) is None
    assert machine_gone.check_after(facts, later, NOON) == NOON + HOUR
    for other in (job_facts(), replace(facts, active=False)):
        assert machine_gone.check(other, machine_gone.Params(), NOON) is None


# --- volumes


def volume(used: int = 500, capacity: int | None = 1000, growth: int = 0, days: int = 20, **changes: Any) -> GroupFacts:
    """A volume in GB, read each noon, the newest reading now."""
    fill = tuple((NOON - ago * DAY, (used - ago * growth) * GB) for ago in reversed(range(days)))
    values: dict[str, Any] = {
        "kind": "volume", "group_id": 9, "tenant_id": 1, "zone": "Europe/Berlin", "used_bytes": used * GB,
        "capacity_bytes": None if capacity is None else capacity * GB, "measured_at": NOON, "fill": fill,
    }  # fmt: skip
    return GroupFacts(**{**values, **changes})


@pytest.mark.parametrize(
    "facts,expected",
    [
        (volume(), "NoneType"),
        (volume(900), "NoneType"),
        (volume(901), "Finding"),
        (volume(500, None), "CannotCheck"),
        (volume(used_bytes=None), "CannotCheck"),
        (volume(901, measured_at=NOON - 7 * DAY - MICRO), "CannotCheck"),
        (volume(901, measured_at=NOON - 7 * DAY), "Finding"),
        (volume(901, active=False), "NoneType"),
        (volume(860, growth=10), "NoneType"),
        (volume(861, growth=10), "Finding"),
        (volume(861, growth=10, days=7), "Finding"),
        (volume(861, growth=10, days=6), "NoneType"),
        (volume(861, growth=-10), "NoneType"),
        (volume(1200), "Finding"),
    ],
)
def test_volume_full(facts: GroupFacts, expected: str) -> None:
    """500 days left is far; of 139 GB free at 10 GB a day 13 days are left."""
    assert verdict(volume_full.check(facts, volume_full.Params(), NOON)) == expected


def test_one_large_restore_does_not_bend_the_trend() -> None:
    steady = volume(600, growth=1).fill
    jump = (*steady[:-1], (steady[-1][0], steady[-1][1] + 250 * GB))
    assert volume_full.trend_of(steady) == GB
    assert volume_full.trend_of(jump) == GB
    assert volume_full.check(volume(850, fill=jump), volume_full.Params(), NOON) is None


def test_a_volume_tells_its_figures_the_growth_and_the_day() -> None:
    answer = found(volume_full.check(volume(980, growth=10), volume_full.Params(), NOON))
    assert answer.severity == "critical"
    assert answer.since == NOON - 7 * DAY, "910 GB were the first that left less than a tenth"
    assert answer.summary == (
        "980.0 GB of 1.0 TB are used, 2 % are free on Wed 14 Jan 2026 13:00 CET; at least 10 % must be. It grows by "
        "10.0 GB a day and is full about Fri 16 Jan 2026, in 2 days."
    )


# --- replicas, inbox


@pytest.mark.parametrize(
    "changes,expected",
    [
        ({}, "NoneType"),
        ({"last_replicate_at": NOON - 48 * HOUR}, "Finding"),
        ({"last_replicate_at": NOON - 48 * HOUR + MICRO}, "NoneType"),
        ({"last_replicate_outcome": "failure"}, "Finding"),
        ({"last_replicate_at": NOON - 99 * HOUR, "active": False}, "NoneType"),
        ({"last_replicate_at": NOON - 48 * HOUR, "awaiting_since": NOON - 9 * HOUR}, "Waiting"),
    ],
)
def test_snapshot_stale(changes: dict[str, Any], expected: str) -> None:
    assert verdict(snapshot_stale.check(job_facts(**changes), snapshot_stale.Params(), NOON)) == expected


def test_inbox_waiting_is_one_finding_with_counts_by_reason() -> None:
    facts = tenant_facts(
        inbox={"unassigned": 3, "unreadable": 1}, inbox_since={"unassigned": NOON - DAY, "unreadable": NOON - HOUR}
    )
    params = inbox_waiting.Params()
    assert found(inbox_waiting.check(facts, params, NOON)).summary == (
        "4 logs wait in the inbox for a person, the oldest since Tue 13 Jan 2026 12:00 UTC: 3 of a job nobody knows, "
        "1 that cannot be read."
    )
    assert inbox_waiting.check(facts, params, NOON - MICRO) is None
    assert inbox_waiting.check_after(facts, params, NOON - HOUR) == NOON
    assert inbox_waiting.check_after(tenant_facts(), params, NOON) == NOON + DAY, "what comes in now is due no sooner"
    assert inbox_waiting.check(tenant_facts(), params, NOON) is None


@pytest.mark.parametrize(
    "rule", [restore_untested, restore_failed, restore_slow, no_offsite_copy, machine_unprotected, volume_full]
)
def test_whoever_is_not_active_closes_with_words(rule: Any) -> None:
    facts: Any = selection(active=False)
    facts = machine(active=False) if rule is machine_unprotected else facts
    facts = volume(active=False) if rule is volume_full else facts
    assert rule.check(facts, rule.Params(), NOON) is None
    assert rule.closing_words(facts, rule.Params(), NOON).endswith(("active.", "any more.", "in use."))


def test_cannot_check_says_why() -> None:
    answer = volume_full.check(volume(capacity=None), volume_full.Params(), NOON)
    assert isinstance(answer, CannotCheck)
    assert answer.reason == "Nobody tells the capacity of this volume and how much of it is used."
