"""The rules: one module each, pure, listed here; adding one touches its file, one line of RULES and its tests.

A rule sees the facts of one subject at one moment and answers with a finding, "cannot be checked", "waiting", or None
for a clean bill. Evaluating calls ``check_subject`` for each subject that has news or is due, stores ``check_after``
beside it and hands the answers to deciding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Protocol

from alerts.facts import (
    Answer,
    CannotCheck,
    Checked,
    Facts,
    Finding,
    JobFacts,
    Severity,
    SubjectKind,
    Tells,
    changed,
)
from alerts.rules import (
    chain_too_long,
    channel_silent,
    channel_unreadable,
    clock_skew,
    component_failed,
    destination_failing,
    did_not_start,
    errors,
    implausible_zero,
    inbox_waiting,
    last_full_too_old,
    machine_gone,
    machine_unprotected,
    never_backed_up,
    no_data_sent,
    no_offsite_copy,
    no_recent_backup,
    processing_delayed,
    quota_overrun,
    restore_failed,
    restore_slow,
    restore_untested,
    rule_broken,
    server_silent,
    site_silent,
    size_anomaly,
    size_drift,
    slow,
    snapshot_stale,
    still_running,
    unstable,
    volume_full,
    volume_silent,
)

#: Whatever the rules say, every active subject is looked at again after this long.
HEARTBEAT = timedelta(days=1)


class Rule(Protocol):
    """What a rule module holds.

    ``check_after`` is the earliest moment later than ``now`` at which the answer may change without a new log, None if
    only a log changes it. ``closing_words`` is a sentence for the incident that closes because ``check`` answered None.
    ``HOLD_MINUTES`` None leaves the hold to the route. ``TELLS`` "report": it stands in lists and reports and opens no
    ticket by itself. ``SYMPTOM``: it may be nothing but the effect of a cause that is down (server, site, volume);
    ``CAUSE``: symptoms of the jobs behind its subject are kept under its incident.
    """

    KIND: str
    LABEL: str
    SUBJECT: SubjectKind
    ENABLED: bool
    SEVERITY: Severity
    HOLD_MINUTES: int | None
    TELLS: Tells
    SYMPTOM: bool
    CAUSE: bool
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
    @property
    def hold_minutes(self) -> int | None: ...
    @property
    def tells(self) -> Tells: ...
    @property
    def escalate_hours(self) -> int: ...


RULES: dict[str, Rule] = {
    "no_recent_backup": no_recent_backup,
    "did_not_start": did_not_start,
    "never_backed_up": never_backed_up,
    "clock_skew": clock_skew,
    "implausible_zero": implausible_zero,
    "still_running": still_running,
    "unstable": unstable,
    "no_data_sent": no_data_sent,
    "errors": errors,
    "quota_overrun": quota_overrun,
    "processing_delayed": processing_delayed,
    "size_drift": size_drift,
    "size_anomaly": size_anomaly,
    "component_failed": component_failed,
    "slow": slow,
    "chain_too_long": chain_too_long,
    "last_full_too_old": last_full_too_old,
    "restore_untested": restore_untested,
    "restore_failed": restore_failed,
    "restore_slow": restore_slow,
    "no_offsite_copy": no_offsite_copy,
    "machine_unprotected": machine_unprotected,
    "machine_gone": machine_gone,
    "volume_full": volume_full,
    "snapshot_stale": snapshot_stale,
    "inbox_waiting": inbox_waiting,
    "server_silent": server_silent,
    "site_silent": site_silent,
    "volume_silent": volume_silent,
    "channel_silent": channel_silent,
    "channel_unreadable": channel_unreadable,
    "destination_failing": destination_failing,
}


class Kind(Protocol):
    """What is known of any kind of incident, the rules' own and ``rule_broken``."""

    KIND: str
    LABEL: str
    SEVERITY: Severity
    HOLD_MINUTES: int | None
    TELLS: Tells
    SYMPTOM: bool
    CAUSE: bool


KINDS: Mapping[str, Kind] = {**RULES, rule_broken.KIND: rule_broken}


@dataclass(frozen=True, kw_only=True)
class SubjectChecked:
    """All answers for one subject. ``check_after`` is later than now; None only for a subject that is not active.

    ``overdue_at`` of a job is the moment from which it is overdue, None while that is not judged.
    """

    answers: tuple[Checked, ...]
    check_after: datetime | None
    overdue_at: datetime | None = None


@cache
def rules_for(subject: SubjectKind) -> tuple[Rule, ...]:
    """The rules about one kind of subject, in the order of RULES."""
    return tuple(rule for rule in RULES.values() if subject == rule.SUBJECT)


def check_subject(facts: Facts, settings: Mapping[str, RuleSettings], now: datetime) -> SubjectChecked:
    """Apply every rule about this kind of subject. ``settings`` has the resolved settings by kind of rule."""
    facts = _with_overdue_at(facts, settings)
    rules = rules_for(facts.subject.kind)
    answers = tuple(_check_rule(rule, facts, settings[rule.KIND], now) for rule in rules)
    answers = (*answers, rule_broken.judge(facts.subject, answers, now=now))
    if not facts.active:
        return SubjectChecked(answers=answers, check_after=None)
    enabled = [rule for rule in rules if settings[rule.KIND].enabled]
    return SubjectChecked(
        answers=answers,
        check_after=_earliest((_look_after(rule, facts, settings, now) for rule in enabled), now),
        overdue_at=facts.overdue_at if isinstance(facts, JobFacts) else None,
    )


def _look_after(rule: Rule, facts: Facts, settings: Mapping[str, RuleSettings], now: datetime) -> datetime | None:
    """A rule that cannot say when is asked again with the subject's heartbeat."""
    try:
        return rule.check_after(facts, settings[rule.KIND].params, now)
    except Exception:
        return None


def _earliest(moments: Iterable[datetime | None], now: datetime) -> datetime:
    return min([now + HEARTBEAT, *(moment for moment in moments if moment is not None)])


def _with_overdue_at(facts: Facts, settings: Mapping[str, RuleSettings]) -> Facts:
    if not isinstance(facts, JobFacts) or not settings[no_recent_backup.KIND].enabled:
        return facts
    return changed(facts, overdue_at=no_recent_backup.overdue_at(facts, settings[no_recent_backup.KIND].params))


def _check_rule(rule: Rule, facts: Facts, settings: RuleSettings, now: datetime) -> Checked:
    """A rule that is switched off answers None, so that what it had opened closes and says why. One that raises has no
    answer: nothing opens or closes by it, and ``rule_broken`` says so of this subject.
    """
    try:
        return _ask_rule(rule, facts, settings, now)
    except Exception as error:  # whatever a rule stumbles over is its own matter, and never that of the others
        reason = f"The rule stopped with an error: {type(error).__name__}."
        broken = CannotCheck(kind=rule.KIND, subject=facts.subject, reason=reason, broken=True)
        return Checked(kind=rule.KIND, subject=facts.subject, answer=broken, closing_words="")


def _ask_rule(rule: Rule, facts: Facts, settings: RuleSettings, now: datetime) -> Checked:
    if not settings.enabled:
        words = f'The rule "{rule.LABEL}" is switched off here.'
        return Checked(kind=rule.KIND, subject=facts.subject, answer=None, closing_words=words)
    answer = rule.check(facts, settings.params, now)
    if isinstance(answer, Finding) and settings.severity is not None:
        answer = replace(answer, severity=settings.severity)
    words = rule.closing_words(facts, settings.params, now) if answer is None else ""
    return Checked(
        kind=rule.KIND,
        subject=facts.subject,
        answer=answer,
        closing_words=words,
        hold_minutes=settings.hold_minutes,
        tells=settings.tells,
        escalate_every=timedelta(hours=settings.escalate_hours) if settings.escalate_hours else None,
    )
