"""Restore failed: the newest restore or verification of a selection failed, or its checksum was wrong.

What cannot be read back is no backup, however green its runs are. It stays until a person accepts it with a reason;
a later good test proposes to clear it. A good restore also answers a failed verification, since it read the data
itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from alerts.facts import Answer, Finding, Severity, SubjectKind, Tells
from alerts.group_facts import ProofFacts, SelectionFacts
from alerts.params import check_limits, yes_no
from alerts.wording import moment_words

KIND = "restore_failed"
LABEL = "Restore failed"
SUBJECT: SubjectKind = "selection"
ENABLED = True
SEVERITY: Severity = "critical"
HOLD_MINUTES: int | None = 0
TELLS: Tells = "ticket"
SYMPTOM = False
CAUSE = False


@dataclass(frozen=True)
class Params:
    """Which tests are looked at."""

    verifications: bool = yes_no(
        True, label="Verifications too", help="Whether a verification that fails counts as a restore that fails."
    )

    def __post_init__(self) -> None:
        check_limits(self)


def check(facts: SelectionFacts, params: Params, now: datetime) -> Answer:
    """A finding from the newest test that came to a bad end; tests that were broken off say nothing."""
    if not facts.active:
        return None
    bad = [(word, proof) for word, proof in _looked_at(facts, params) if _is_bad(proof, facts)]
    return _finding(facts, bad) if bad else None


def check_after(facts: SelectionFacts, params: Params, now: datetime) -> datetime | None:
    """Only a further test changes this answer."""
    return None


def closing_words(facts: SelectionFacts, params: Params, now: datetime) -> str:
    """Why an open incident of this rule may be closed."""
    if not facts.active:
        return "The selection is no longer active."
    good = [(proof.good_at, word) for word, proof in _looked_at(facts, params) if proof.good_at is not None]
    if not good:
        return "No failed test is known here any more."
    at, word = max(good)
    return f"A {word} on {moment_words(at, facts.zone)} was good."


def _looked_at(facts: SelectionFacts, params: Params) -> list[tuple[str, ProofFacts]]:
    verify = [("verification", facts.verify)] if params.verifications else []
    return [("restore", facts.restore), *verify]


def _is_bad(proof: ProofFacts, facts: SelectionFacts) -> bool:
    if proof.tried_at is None or not (proof.outcome in ("failure", "missed") or proof.checksum_ok is False):
        return False
    if facts.failure_accepted_at is not None and proof.tried_at <= facts.failure_accepted_at:
        return False
    return facts.restore.good_at is None or facts.restore.good_at <= proof.tried_at


def _finding(facts: SelectionFacts, bad: list[tuple[str, ProofFacts]]) -> Finding:
    tries = {word: proof.tried_at for word, proof in bad if proof.tried_at is not None}
    newest = max(tries.values())
    return Finding(
        kind=KIND,
        subject=facts.subject,
        severity=SEVERITY,
        summary=" ".join(_sentence(word, proof, facts) for word, proof in bad),
        since=min(tries.values()),
        occurrence=newest.isoformat(),
        deadline=newest,
        sticky=True,
        evidence={
            "tests": [
                {
                    "test": word,
                    "tried_at": tries[word].isoformat(),
                    "outcome": proof.outcome,
                    "checksum_ok": proof.checksum_ok,
                    "job": proof.job,
                    "last_good_at": proof.good_at.isoformat() if proof.good_at else None,
                }
                for word, proof in bad
            ]
        },
    )


def _sentence(word: str, proof: ProofFacts, facts: SelectionFacts) -> str:
    at = moment_words(proof.tried_at or facts.registered_at, facts.zone)
    by = f" by {proof.job}" if proof.job else ""
    what = "ended, but what was read has another checksum than what was saved"
    if proof.outcome in ("failure", "missed"):
        what = "failed" if proof.checksum_ok is not False else "failed: the checksum was wrong"
    good = "none was good before"
    if proof.good_at is not None and proof.good_at != proof.tried_at:
        good = f"the last good one was on {moment_words(proof.good_at, facts.zone)}"
    return f"The {word} of {at}{by} {what}; {good}."
