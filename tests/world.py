"""The people and things that tests work with, made by the same functions the product uses where there are such."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from msp.backups.models import BackupJob, JobSelectionSpan, JobState
from msp.estate.models import (
    BackupServer,
    Client,
    ClientResellerSpan,
    ClientStateSpan,
    Selection,
    SelectionClientSpan,
)
from msp.ingest.models import Assignment
from msp.tenants.models import ApiKey, LookupKey, Membership, Reseller, Tenant, User
from msp.tenants.secrets import key_hash, new_key

START = datetime(2026, 1, 1, tzinfo=UTC)
PASSWORD = "correct horse battery"


@dataclass
class World:
    """``tenant`` is ours; ``other`` belongs to the stranger. ``server_key`` posts logs, ``api_key`` reads the API."""

    tenant: Tenant
    other: Tenant
    owner: User
    technician: User
    billing: User
    reseller_staff: User
    stranger: User
    reseller: Reseller
    client: Client
    resold_client: Client
    server: BackupServer
    server_key: str
    api_key: str
    other_server: BackupServer
    other_server_key: str
    job: BackupJob


def make_world() -> World:
    tenant, other = make_tenant("Northwind MSP"), make_tenant("Other MSP")
    reseller = Reseller.objects.of(tenant).create(name="Harbour IT", code="harbour", created_at=START)
    client = make_client(tenant, "Acme Dental")
    resold = make_client(tenant, "Bay Bakery", reseller=reseller)
    server, server_key = make_server(tenant, "backup01", client=client)
    other_server, other_key = make_server(other, "backup01", client=make_client(other, "Elsewhere Ltd"))
    return World(
        tenant=tenant,
        other=other,
        owner=make_person(tenant, "owner@northwind.example", role="owner"),
        technician=make_person(tenant, "tech@northwind.example", role="technician"),
        billing=make_person(tenant, "billing@northwind.example", role="billing"),
        reseller_staff=make_person(tenant, "staff@harbour.example", role="reseller", reseller=reseller),
        stranger=make_person(other, "stranger@other.example", role="owner"),
        reseller=reseller,
        client=client,
        resold_client=resold,
        server=server,
        server_key=server_key,
        api_key=make_key(tenant, "program", scopes=["read", "write", "billing"]),
        other_server=other_server,
        other_server_key=other_key,
        job=make_job(tenant, server, client, "files"),
    )


def make_tenant(name: str, **values: Any) -> Tenant:
    return Tenant.objects.create(name=name, slug=name.lower().replace(" ", "-"), created_at=START, **values)


def make_person(tenant: Tenant, email: str, *, role: str, reseller: Reseller | None = None) -> User:
    user = User.objects.create_user(email, password=PASSWORD, name=email.split("@")[0].title())
    Membership.objects.of(tenant).create(user=user, role=role, reseller=reseller, created_at=START)
    return user


def make_reseller_of(tenant: Tenant, name: str) -> Reseller:
    reseller: Reseller = Reseller.objects.of(tenant).create(name=name, code=name.lower(), created_at=START)
    return reseller


def make_client(tenant: Tenant, name: str, *, reseller: Reseller | None = None, **values: Any) -> Client:
    client: Client = Client.objects.of(tenant).create(
        name=name, code=name.lower().replace(" ", "-"), reseller=reseller, registered_at=START, **values
    )
    since = date(2026, 1, 1)
    ClientStateSpan.objects.of(tenant).create(client=client, state=client.state, since=since)
    ClientResellerSpan.objects.of(tenant).create(client=client, reseller=reseller, since=since)
    return client


def make_server(tenant: Tenant, name: str, *, client: Client | None = None, **values: Any) -> tuple[BackupServer, str]:
    """A server and its key; with ``client`` it makes new jobs for that client by itself."""
    values.setdefault("new_jobs", "auto" if client else "hold")
    server: BackupServer = BackupServer.objects.of(tenant).create(
        name=name, client=client, registered_at=START, **values
    )
    return server, make_key(tenant, f"key of {name}", scopes=["ingest"], server_id=server.pk)


def make_key(tenant: Tenant, name: str, *, scopes: list[str], **values: Any) -> str:
    key = new_key("bl")
    row = ApiKey.objects.of(tenant).create(name=name, scopes=scopes, hint=key[:6], created_at=START, **values)
    LookupKey.objects.create(kind="key", value=key_hash(key), tenant=tenant, object_id=row.pk)
    return key


def make_job(tenant: Tenant, server: BackupServer, client: Client, name: str, **values: Any) -> BackupJob:
    """A job with its own selection; runs of (server, name, "") belong to it."""
    since = date(2026, 1, 1)
    selection = Selection.objects.of(tenant).create(client=client, name=f"{server.name}: {name}", registered_at=START)
    SelectionClientSpan.objects.of(tenant).create(selection=selection, client=client, since=since)
    job: BackupJob = BackupJob.objects.of(tenant).create(
        server=server, selection=selection, name=name, **({"registered_at": START} | values)
    )
    JobSelectionSpan.objects.of(tenant).create(job=job, selection=selection, since=since)
    JobState.objects.of(tenant).create(job=job, check_after=START)
    Assignment.objects.of(tenant).create(server=server, source_job=name, item="", job=job, created_at=START)
    return job
