"""One of everything that a page shows, for a client of the tenant itself and for one of a reseller."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest

from alerts.models import Incident, Ticket
from msp.backups.models import BackupJob, JobRun
from msp.ingest.models import InboxItem
from tests.dashboard import scene
from tests.world import World, make_job


@dataclass(frozen=True)
class Stage:
    """``run``, ``incident`` and ``ticket`` are of the tenant's own client, ``resold_...`` of the reseller's."""

    world: World
    run: JobRun
    incident: Incident
    ticket: Ticket
    item: InboxItem
    resold_job: BackupJob
    resold_run: JobRun
    resold_incident: Incident
    resold_ticket: Ticket

    def addresses(self) -> dict[str, str]:
        """Pages of the tenant's own client."""
        return {
            "client": f"/clients/{self.world.client.uid}/",
            "job": f"/jobs/{self.world.job.uid}/",
            "run": run_address(self.run),
            "log": f"{run_address(self.run)}log.txt",
            "incident": f"/incidents/{self.incident.uid}/",
            "ticket": f"/tickets/{self.ticket.uid}/",
        }

    def resold_addresses(self) -> dict[str, str]:
        """Pages of the reseller's client."""
        return {
            "client": f"/clients/{self.world.resold_client.uid}/",
            "job": f"/jobs/{self.resold_job.uid}/",
            "run": run_address(self.resold_run),
            "log": f"{run_address(self.resold_run)}log.txt",
            "incident": f"/incidents/{self.resold_incident.uid}/",
            "ticket": f"/tickets/{self.resold_ticket.uid}/",
        }


def run_address(run: JobRun) -> str:
    return f"/runs/{run.filed_month:%Y-%m}/{run.uid}/"


@pytest.fixture
def stage(world: World) -> Stage:
    at = scene.now() - timedelta(hours=2)
    errors = [{"message": "error: read /srv/ledger.mdf: input/output error", "path": None}]
    resold_job = make_job(world.tenant, world.server, world.resold_client, "mail")
    scene.beat()
    ticket, resold_ticket = scene.make_ticket(world.job), scene.make_ticket(resold_job)
    return Stage(
        world=world,
        run=scene.make_run(world.job, at=at, outcome="failure", errors=errors, errors_total=1),
        incident=scene.make_incident(world.job, ticket=ticket),
        ticket=ticket,
        item=scene.make_inbox_item(world.tenant, server=world.server, line=2),
        resold_job=resold_job,
        resold_run=scene.make_run(resold_job, at=at, protected_bytes=5 * 10**9),
        resold_incident=scene.make_incident(resold_job, ticket=resold_ticket),
        resold_ticket=resold_ticket,
    )
