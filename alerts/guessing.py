"""A schedule that nobody set but the runs keep: shown as a guess, taken by one click or left aside for this job.

Called by the dashboard. Left aside is a setting of "Did not start" like any other: it is audited, stands on the rules
page of the job, and is reset there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from alerts.configuring import RuleScope, RuleValues, put_setting
from alerts.evaluating import load_settings
from alerts.facts import Learned
from alerts.inheritance import OWN
from alerts.job_loading import load_job_facts
from alerts.models import RuleSetting
from alerts.rules import did_not_start
from msp.backups.models import BackupJob
from msp.tenants.models import Tenant


@dataclass(frozen=True)
class Guess:
    """``counts``: "Did not start" goes by it; else it is not sure enough, or left aside."""

    learned: Learned
    counts: bool


def find_guess(tenant_id: int, job_id: int) -> Guess | None:
    """The learned schedule of a job without one of its own; None where there is none, or it is left aside here."""
    for facts in load_job_facts(tenant_id, [job_id]):
        resolved = load_settings(tenant_id).of_job(facts)[did_not_start.KIND]
        floor = resolved.params.learned_confidence
        if facts.learned is None or not floor:
            return None
        return Guess(facts.learned, counts=resolved.enabled and facts.learned.confidence >= floor)
    return None


def leave_guess(tenant: Tenant, job: BackupJob, *, actor: str, now: datetime) -> None:
    """Learned schedules count no more for this job; what else the job sets of the rule stays."""
    kind = did_not_start.KIND
    row = RuleSetting.objects.of(tenant).filter(kind=kind, scope_kind="job", scope_id=job.pk).first()
    values = RuleValues(
        parameters={**(row.parameters if row else {}), "learned_confidence": 0},
        **({name: getattr(row, name) for name in OWN} if row else {}),
    )
    put_setting(tenant, kind, RuleScope("job", job.pk, job.name), values, actor=actor, now=now)
