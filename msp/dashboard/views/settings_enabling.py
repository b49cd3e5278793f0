"""Buttons that enable tickets for what is only observed: on the overview, on a client's page, on a job's page."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect

from alerts.enabling import enable_all, enable_client, enable_job
from msp.backups.models import BackupJob
from msp.dashboard.permits import OPERATE, action
from msp.dashboard.scope import StaffRequest, found
from msp.dashboard.views.settings_servers import actor_of
from msp.estate.models import Client


@action(OPERATE)
def everything(request: StaffRequest) -> HttpResponse:
    """The tenant with all its clients and jobs."""
    enable_all(request.scope.tenant, actor=actor_of(request))
    messages.success(request, "Tickets are enabled for everything that is watched now.")
    return redirect("overview")


@action(OPERATE)
def client(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """A client and its jobs."""
    row: Client = found(Client.objects.of(request.scope.tenant).filter(uid=uid).first(), "client")
    enable_client(request.scope.tenant, row, actor=actor_of(request))
    messages.success(request, f"Tickets are enabled for {row.name} and its jobs.")
    return redirect("client", uid)


@action(OPERATE)
def job(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """One job."""
    row: BackupJob = found(BackupJob.objects.of(request.scope.tenant).filter(uid=uid).first(), "job")
    enable_job(request.scope.tenant, row, actor=actor_of(request))
    messages.success(request, f"Tickets are enabled for {row.name}.")
    return redirect("job", uid)
