"""Rule broken: a rule stopped with an error on one subject; it is reported there and never stops the others.

No rule of the table: ``check_subject`` asks it last, with the answers of the rest. It closes once all of them answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from alerts.facts import CannotCheck, Checked, Finding, Severity, Subject, Tells

KIND = "rule_broken"
LABEL = "Rule broken"
SEVERITY: Severity = "critical"
HOLD_MINUTES: int | None = 0
TELLS: Tells = "ticket"
SYMPTOM = False
CAUSE = False


def judge(subject: Subject, answers: Iterable[Checked], *, now: datetime) -> Checked:
    """A finding that names the rules that stopped, else a clean bill."""
    broken = [one for one in answers if isinstance(one.answer, CannotCheck) and one.answer.broken]
    if not broken:
        return Checked(kind=KIND, subject=subject, answer=None, closing_words="All rules answer again.")
    kinds = ", ".join(one.kind for one in broken)
    reasons = " ".join(one.answer.reason for one in broken if isinstance(one.answer, CannotCheck))
    finding = Finding(
        kind=KIND,
        subject=subject,
        severity=SEVERITY,
        summary=f"Not everything can be checked here: {kinds}. {reasons}",
        since=now,
        since_first_seen=True,
        occurrence=kinds,
        evidence={"rules": [one.kind for one in broken], "reasons": [reasons]},
    )
    return Checked(kind=KIND, subject=subject, answer=finding, closing_words="", hold_minutes=HOLD_MINUTES, tells=TELLS)
