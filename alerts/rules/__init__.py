"""The rules: one module each, pure, listed here; adding one touches its file, one line of RULES and its tests.

A rule sees the facts of one subject at one moment and answers with a finding, "cannot be checked", "waiting", or None
for a clean bill. Evaluating calls ``check_subject`` for each subject that has news or is due, stores ``check_after``
beside it and hands the answers to deciding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from alerts.facts import Answer, Facts, Finding, JobFacts, Severity, Subject, SubjectKind, fingerprint
from alerts.rules import errors, no_data_sent, no_recent_backup, processing_delayed, quota_overrun, size_drift

#: Whatever the rules say, every active subject is looked at again after this long.
HEARTBEAT = timedelta(days=1)


class Rule(Protocol):
    """What a rule module holds.

    ``check_after`` is the earliest moment later than ``now`` at which the answer may change without a new log, None if
    only a log changes it. ``closing_words`` is a sentence for the incident that closes because ``check`` answered None.
    """

    KIND: str
    LABEL: str
    SUBJECT: SubjectKind
    ENABLED: bool
    SEVERITY: Severity
    Params: type[Any]

    def check(self, facts: Any, params: Any, now: datetime) -> Answer: ...
    def check_after(self, facts: Any, params: Any, now: datetime) -> datetime | None: ...
    def closing_words(self, facts: Any, params: Any, now: datetime) -> str: ...


class RuleSettings(Protocol):
    """What ``check_subject`` needs of a rule's resolved settings."""

    @property
    def params(self) -> Any: ...
    @property
    def enabled(self) -> bool: ...
    @property
    def severity(self) -> Severity | None: ...


RULES: Mapping[str, Rule] = {
    "no_recent_backup": no_recent_backup,
    "no_data_sent": no_data_sent,
    "errors": errors,
    "quota_overrun": quota_overrun,
    "processing_delayed": processing_delayed,
    "size_drift": size_drift,
}


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One rule's answer for one subject, and what to say should its incident close now."""

    kind: str
    subject: Subject
    answer: Answer
    closing_words: str

    @property
    def fingerprint(self) -> str:
        """Identity of the incident that the answer is about."""
        return fingerprint(self.kind, self.subject)


@dataclass(frozen=True, kw_only=True)
class SubjectChecked:
    """All answers for one subject. ``check_after`` is later than now; None only for a subject that is not active."""

    answers: tuple[Checked, ...]
    check_after: datetime | None


def rules_for(subject: SubjectKind) -> tuple[Rule, ...]:
    """The rules about one kind of subject, in the order of RULES."""
    return tuple(rule for rule in RULES.values() if subject == rule.SUBJECT)


def check_subject(facts: Facts, settings: Mapping[str, RuleSettings], now: datetime) -> SubjectChecked:
    """Apply every rule about this kind of subject. ``settings`` has the resolved settings by kind of rule."""
    facts = _with_overdue_at(facts, settings)
    rules = rules_for(facts.subject.kind)
    answers = tuple(_check_rule(rule, facts, settings[rule.KIND], now) for rule in rules)
    if not facts.active:
        return SubjectChecked(answers=answers, check_after=None)
    enabled = [rule for rule in rules if settings[rule.KIND].enabled]
    moments = (rule.check_after(facts, settings[rule.KIND].params, now) for rule in enabled)
    return SubjectChecked(answers=answers, check_after=_earliest(moments, now))


def _earliest(moments: Iterable[datetime | None], now: datetime) -> datetime:
    return min([now + HEARTBEAT, *(moment for moment in moments if moment is not None)])


def _with_overdue_at(facts: Facts, settings: Mapping[str, RuleSettings]) -> Facts:
    if not isinstance(facts, JobFacts) or not settings[no_recent_backup.KIND].enabled:
        return facts
    return replace(facts, overdue_at=no_recent_backup.overdue_at(facts, settings[no_recent_backup.KIND].params))


def _check_rule(rule: Rule, facts: Facts, settings: RuleSettings, now: datetime) -> Checked:
    """A rule that is switched off answers None, so that what it had opened closes and says why."""
    if not settings.enabled:
        words = f'The rule "{rule.LABEL}" is switched off here.'
        return Checked(kind=rule.KIND, subject=facts.subject, answer=None, closing_words=words)
    answer = rule.check(facts, settings.params, now)
    if isinstance(answer, Finding) and settings.severity is not None:
        answer = replace(answer, severity=settings.severity)
    words = rule.closing_words(facts, settings.params, now) if answer is None else ""
    return Checked(kind=rule.KIND, subject=facts.subject, answer=answer, closing_words=words)
