"""Enables tickets for what was only observed: a job, a client with its jobs, or everything.

Called by the dashboard. Incidents that are open then are decided anew: their holds and silences count as ever.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from alerts.acting import settings_changed
from msp.backups.models import BackupJob
from msp.estate.models import Client
from msp.estate.spans import Actor
from msp.tenants import audit
from msp.tenants.models import Tenant


def enable_job(tenant: Tenant, job: BackupJob, *, actor: Actor) -> None:
    """Its own incidents are told from now on, if its client's are."""
    _enable(tenant, Client.objects.of(tenant).none(), BackupJob.objects.of(tenant).filter(pk=job.pk))
    _tell(tenant, kind="job", subject_id=job.pk, name=job.name, actor=actor)


def enable_client(tenant: Tenant, client: Client, *, actor: Actor) -> None:
    """The client and all its jobs."""
    jobs = BackupJob.objects.of(tenant).filter(selection__client=client)
    _enable(tenant, Client.objects.of(tenant).filter(pk=client.pk), jobs)
    _tell(tenant, kind="client", subject_id=client.pk, name=client.name, actor=actor)


def enable_jobs_of(tenant: Tenant, client: Client) -> None:
    """The jobs of a client for which tickets were just enabled by a change of the client itself."""
    _enable(tenant, Client.objects.of(tenant).none(), BackupJob.objects.of(tenant).filter(selection__client=client))


def enable_all(tenant: Tenant, *, actor: Actor) -> None:
    """The tenant, its clients and their jobs; what is made later starts as the tenant says."""
    with transaction.atomic():
        Tenant.objects.filter(pk=tenant.pk).update(tickets_enabled=True)
        _enable(tenant, Client.objects.of(tenant), BackupJob.objects.of(tenant))
    _tell(tenant, kind="tenant", subject_id=tenant.pk, name=tenant.name, actor=actor)


def _enable(tenant: Tenant, clients: QuerySet[Any], jobs: QuerySet[Any]) -> None:
    with transaction.atomic():
        clients.filter(tickets_enabled=False).update(tickets_enabled=True)
        jobs.filter(observed=True).update(observed=False)


def _tell(tenant: Tenant, *, kind: str, subject_id: int, name: str, actor: Actor) -> None:
    audit.record(
        tenant,
        actor=actor.name,
        action="tickets enabled",
        subject_kind=kind,
        subject_id=subject_id,
        subject=name,
        now=actor.now,
    )
    settings_changed(tenant, now=actor.now)
