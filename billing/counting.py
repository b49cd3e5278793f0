"""What a run counts: the machine it protected, the mailboxes, databases and virtual machines in it, by their names.

Entered beside the sizes of a run, for tenants with a plan that meters it. The first such plan has the runs of its month
and the one before counted once it is stored: ``count_again``, which may be repeated at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import transaction

from billing.metrics import COUNTS
from billing.models_usage import UsageNames
from msp.backups.models import BackupJob, JobRun, JobState
from msp.backups.recording import measurement
from msp.backups.runs import Measurement
from msp.estate.models import MachineIdentity, Selection

Names = tuple[tuple[str, str], ...]
#: Jobs whose runs are counted again in one transaction.
CHUNK = 500


@dataclass(frozen=True)
class Counted:
    """What a run counts by one metric: the things, each by what it is known by and its name; None: nothing is told."""

    metric: str
    names: Names | None


def metrics_counted(tenant_id: int) -> frozenset[str]:
    """The counts that a plan of this tenant meters; one query."""
    from billing.models import Plan

    rows = Plan.objects.of(tenant_id).filter(metric__in=COUNTS).values_list("metric", flat=True)
    return frozenset(rows.distinct())


def counts_of(
    tenant_id: int, measurements: Sequence[Measurement], metrics: frozenset[str]
) -> list[tuple[Measurement, tuple[Counted, ...]]]:
    """What each run counts by each of these metrics; two queries if machines are among them, else none."""
    machines = _machines(tenant_id, measurements) if "machines" in metrics else {}
    return [
        (each, tuple(Counted(metric, _names(each, metric, machines)) for metric in sorted(metrics)))
        for each in measurements
    ]


def _names(each: Measurement, metric: str, machines: Mapping[tuple[int, str], Names]) -> Names | None:
    if metric == "components":
        parts = each.components
        return None if parts is None else tuple((f"{kind}:{name}", name) for kind, name in sorted(set(parts)))
    return machines.get((each.selection_id, each.host)) if each.protects else None


def _machines(tenant_id: int, measurements: Sequence[Measurement]) -> dict[tuple[int, str], Names]:
    """The machine of each (selection, host): where the selection lies, else whose name the host is, else the host."""
    wanted = {(each.selection_id, each.host) for each in measurements if each.protects}
    rows = Selection.objects.of(tenant_id).filter(pk__in={selection_id for selection_id, _ in wanted})
    selections = {selection.pk: selection for selection in rows.select_related("machine")}
    known = _known_hosts(tenant_id, {host for _, host in wanted if host})
    return {
        (selection_id, host): found
        for selection_id, host in wanted
        if (found := _machine(selections.get(selection_id), host, known)) is not None
    }


def _known_hosts(tenant_id: int, hosts: Iterable[str]) -> dict[tuple[int, str], Any]:
    """Machines by client and host name, as far as one alone goes by that name today."""
    identities = MachineIdentity.objects.of(tenant_id).filter(kind="hostname", value__in=hosts, until__isnull=True)
    found: dict[tuple[int, str], set[Any]] = {}
    for identity in identities.select_related("machine"):
        found.setdefault((identity.machine.client_id, identity.value), set()).add(identity.machine)
    return {key: next(iter(machines)) for key, machines in found.items() if len(machines) == 1}


def _machine(selection: Selection | None, host: str, known: Mapping[tuple[int, str], Any]) -> Names | None:
    if selection is None:
        return None
    machine = selection.machine or known.get((selection.client_id, host))
    if machine is not None:
        return ((f"machine:{machine.uid}", machine.name),)
    return ((f"host:{host.casefold()}", host),) if host else None


def count_again(tenant_id: int, *, since: date, now: datetime) -> int:
    """Enter what the runs filed from this month on count, as far as it is not entered yet; answers how many entries."""
    from billing.ledger import enter_counts

    written = 0
    jobs = list(BackupJob.objects.of(tenant_id).order_by("pk").values_list("pk", flat=True))
    for begin in range(0, len(jobs), CHUNK):
        with transaction.atomic():
            chunk = jobs[begin : begin + CHUNK]
            # a batch of logs that has not seen the plan yet ends before its jobs are locked here
            list(JobState.objects.of(tenant_id).filter(job_id__in=chunk).select_for_update().order_by("job_id"))
            runs = JobRun.objects.of(tenant_id).filter(
                job_id__in=chunk, filed_month__gte=since.replace(day=1), measurable=True
            )
            found = [measurement(row, withdraw=False, reason="counted") for row in runs.values()]
            written += enter_counts(tenant_id, found, now=now)
    return written


def read_names(tenant_id: int, keys: Iterable[tuple[str, str, int]]) -> dict[tuple[str, str, int], list[list[str]]]:
    """The names behind these entries, by (source, metric, revision); one query."""
    wanted = set(keys)
    rows = UsageNames.objects.of(tenant_id).filter(
        source__in={source for source, _, _ in wanted}, metric__in={metric for _, metric, _ in wanted}
    )
    found = {(row.source, row.metric, row.revision): row.names for row in rows}
    return {key: found[key] for key in wanted if key in found}
