"""Each rule about one job: which setting won and from where, what the rule says now, and when it is asked again.

The job's page shows it. It asks the rules by the same facts and settings as evaluating does, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from alerts.facts import Answer, CannotCheck, Finding, JobFacts, Waiting
from alerts.inheritance import Resolved, Setting, resolve_all
from alerts.job_loading import load_job_facts
from alerts.queries import WonSettings, won_settings
from alerts.rules import RULES, check_subject

Verdict = Literal["finding", "waiting", "cannot", "fine", "off"]
_ORDER: tuple[Verdict, ...] = ("finding", "waiting", "cannot", "fine", "off")


@dataclass(frozen=True, kw_only=True)
class RuleHere:
    """``words`` is the rule's own sentence; ``next_check`` None where only a further log changes its answer."""

    won: WonSettings
    verdict: Verdict
    words: str = ""
    since: datetime | None = None
    severity: str = ""
    next_check: datetime | None = None


def rules_here(tenant_id: int, job_id: int, settings: Iterable[Setting], *, now: datetime) -> tuple[RuleHere, ...]:
    """What is wrong first, then what waits, what cannot be checked, what is fine, what is off; none for a job without
    a state.
    """
    stored = list(settings)
    resolved, won = resolve_all(stored), {one.kind: one for one in won_settings(stored)}
    told = [
        _here(won[one.kind], one.answer, next_check=_next_check(facts, resolved[one.kind], now))
        for facts in load_job_facts(tenant_id, [job_id])
        for one in check_subject(facts, resolved, now).answers
        if one.kind in won
    ]
    return tuple(sorted(told, key=lambda one: _ORDER.index(one.verdict)))


def _next_check(facts: JobFacts, resolved: Resolved, now: datetime) -> datetime | None:
    """A rule that cannot say when is asked with the job's next look."""
    if not resolved.enabled or not facts.active:
        return None
    try:
        return RULES[resolved.kind].check_after(facts, resolved.params, now)
    except Exception:  # what the rule stumbles over is told by its answer
        return None


def _here(won: WonSettings, answer: Answer, *, next_check: datetime | None) -> RuleHere:
    if not won.enabled:
        return RuleHere(won=won, verdict="off", words=f"Switched off, {won.enabled_source}.")
    if isinstance(answer, Finding):
        return RuleHere(
            won=won,
            verdict="finding",
            words=answer.summary,
            since=answer.since,
            severity=answer.severity,
            next_check=next_check,
        )
    if isinstance(answer, CannotCheck):
        return RuleHere(won=won, verdict="cannot", words=answer.reason, next_check=next_check)
    if isinstance(answer, Waiting):
        return RuleHere(won=won, verdict="waiting", words=answer.reason, next_check=answer.until)
    return RuleHere(won=won, verdict="fine", next_check=next_check)
