"""Facts and answers that the tests of the pure half start from, each with only what a test cares about changed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from alerts.facts import Checked, ClientFacts, Finding, JobFacts, Subject, TenantFacts

#: A Wednesday, far from any change of clocks.
NOON = datetime(2026, 1, 14, 12, 0, tzinfo=UTC)

JOB = Subject("job", 17)


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    """A moment in UTC."""
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


def job_facts(**changes: Any) -> JobFacts:
    """An active job in Berlin, registered on New Year's Day, that has not run yet."""
    values: dict[str, Any] = {
        "tenant_id": 1, "client_id": 2, "selection_id": 3, "job_id": 17, "server_id": 5,
        "tenant": "North IT", "client": "Bakery Brot", "server": "bk1", "job": "nightly",
        "zone": "Europe/Berlin", "registered_at": utc(2026, 1, 1),
    }  # fmt: skip
    return JobFacts(**{**values, **changes})


def client_facts(**changes: Any) -> ClientFacts:
    """An active client with a quota of 1 TB, measured at noon."""
    values: dict[str, Any] = {
        "tenant_id": 1, "client_id": 2, "client": "Bakery Brot", "zone": "Europe/Berlin",
        "quota_bytes": 10**12, "protected_bytes": 5 * 10**11, "measured_at": NOON,
    }  # fmt: skip
    return ClientFacts(**{**values, **changes})


def tenant_facts(**changes: Any) -> TenantFacts:
    """An active tenant without anything waiting."""
    return TenantFacts(**{"tenant_id": 1, "tenant": "North IT", **changes})


def finding(**changes: Any) -> Finding:
    """A failed backup of job 17, noticed at noon."""
    values: dict[str, Any] = {
        "kind": "errors", "subject": JOB, "severity": "warning", "summary": "The backup failed.",
        "since": NOON, "occurrence": "first",
    }  # fmt: skip
    return Finding(**{**values, **changes})


def found(**changes: Any) -> Checked:
    """The answer that carries such a finding."""
    answer = finding(**changes)
    return Checked(kind=answer.kind, subject=answer.subject, answer=answer, closing_words="")


def clean(*, kind: str = "errors", subject: Subject = JOB, words: str = "A good run ended.") -> Checked:
    """The clean bill for the same."""
    return Checked(kind=kind, subject=subject, answer=None, closing_words=words)
