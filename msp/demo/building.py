"""Builds a demonstration tenant before its first night: people, resellers, servers, policies, rules, routes, prices.

Called by ``msp.demo.filling``. The product's own functions are used wherever there is one; clients and jobs come when
they join.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from alerts.acting import settings_changed
from alerts.callback_addresses import give_address
from alerts.configuring import RuleScope, RuleValues, put_setting
from alerts.models import Destination, Route
from billing.models import Agreement, BillTo, Plan, Seller
from billing.plans import PlanDraft, make_plan
from billing.subscribing import subscribe
from msp.backups.models import BackupJob, JobSelectionSpan, JobState
from msp.demo.desk import Desk
from msp.demo.scenario import ClientPlan, JobPlan, MspPlan, ResellerPlan
from msp.estate.changing import register_server
from msp.estate.models import (
    BackupServer,
    Client,
    Machine,
    MachineIdentity,
    Policy,
    PolicyAssignment,
    Selection,
    SelectionClientSpan,
    Site,
    Target,
    Volume,
)
from msp.estate.spans import Actor, register_client, today_of
from msp.ingest.models import Assignment
from msp.tenants.models import Branding, Membership, Reseller, Tenant, User
from msp.tenants.onboarding import onboard_tenant

PRODUCTS = {"borg-json": "borg", "own": "pg_dump"}


@dataclass(frozen=True)
class Login:
    """Who may log in and how; the password is known here and nowhere else afterwards."""

    msp: str
    role: str
    name: str
    email: str
    password: str


@dataclass
class Built:
    """What was built, by the names the scenario uses."""

    tenant: Tenant
    plan: MspPlan
    seller: Seller
    plans: Mapping[str, Plan]
    resellers: Mapping[str, Reseller]
    servers: Mapping[str, BackupServer]
    targets: Mapping[str, Target]
    policies: Mapping[str, Policy]
    destinations: tuple[Destination, ...]
    logins: tuple[Login, ...]
    billed_from: date
    clients: dict[str, Client] = field(default_factory=dict)
    jobs: dict[str, BackupJob] = field(default_factory=dict)

    @property
    def technician(self) -> str:
        """Who acts in the dashboard."""
        return self.plan.people[1][2]

    @property
    def bookkeeper(self) -> str:
        return self.plan.people[2][2]

    def actor(self, now: datetime) -> Actor:
        return Actor(name=self.technician, now=now)


def build_msp(plan: MspPlan, desk: Desk, *, billed_from: date, now: datetime) -> Built:
    """The tenant with everything but its clients. ``billed_from`` is the first day that is charged."""
    tenant, logins = build_people(plan, now=now)
    resellers = {each.code: build_reseller(tenant, each, now=now) for each in plan.resellers}
    logins += tuple(build_staff(tenant, plan, each, resellers[each.code], now=now) for each in plan.resellers)
    built = Built(
        tenant=tenant,
        plan=plan,
        seller=build_seller(tenant, plan),
        plans={
            each.code: make_plan(tenant, code=each.code, draft=draft_of(each.draft), actor=plan.people[2][2], now=now)
            for each in plan.plans
        },
        resellers=resellers,
        servers=build_servers(tenant, plan, now=now),
        targets={
            name: Target.objects.of(tenant).create(name=name, kind=kind, immutable=immutable)
            for name, kind, immutable in plan.targets
        },
        policies=build_policies(tenant, now=now),
        destinations=build_routes(tenant, plan, desk, resellers=resellers, now=now),
        logins=logins,
        billed_from=billed_from,
    )
    set_rules(built, now=now)
    for each in plan.resellers:
        if each.wholesale:
            bill(built, resellers[each.code], plan_code=each.wholesale, payer=f"{each.name} e.K.", now=now)
    return built


# --- people -------------------------------------------------------------------------------------------------------


def build_people(plan: MspPlan, *, now: datetime) -> tuple[Tenant, tuple[Login, ...]]:
    role, name, email = plan.owner
    owner = Login(plan.name, role, name, email, secrets.token_urlsafe(12))
    tenant = onboard_tenant(
        plan.name,
        owner_email=email,
        password=owner.password,
        now=now,
        timezone=plan.zone,
        currency=plan.currency,
        observe_new=False,
    )
    User.objects.filter(email=email).update(name=name)
    return tenant, (owner, *(build_person(tenant, plan, *person, now=now) for person in plan.people[1:]))


def build_person(
    tenant: Tenant, plan: MspPlan, role: str, name: str, email: str, *, now: datetime, reseller: Reseller | None = None
) -> Login:
    login = Login(plan.name, role, name, email, secrets.token_urlsafe(12))
    user = User.objects.create_user(email, password=login.password, name=name)
    Membership.objects.of(tenant).create(user=user, role=role, reseller=reseller, created_at=now)
    return login


def build_staff(tenant: Tenant, plan: MspPlan, each: ResellerPlan, reseller: Reseller, *, now: datetime) -> Login:
    name, email = each.staff
    return build_person(tenant, plan, "reseller", name, email, now=now, reseller=reseller)


def build_reseller(tenant: Tenant, each: ResellerPlan, *, now: datetime) -> Reseller:
    reseller: Reseller = Reseller.objects.of(tenant).create(name=each.name, code=each.code, created_at=now)
    Branding.objects.of(tenant).create(reseller=reseller, title=each.name)
    return reseller


# --- what is there before the first night --------------------------------------------------------------------------


def build_servers(tenant: Tenant, plan: MspPlan, *, now: datetime) -> dict[str, BackupServer]:
    actor = Actor(name=plan.people[1][2], now=now)
    servers = {}
    for each in plan.servers:
        made = register_server(tenant, name=each.name, actor=actor, timezone=plan.zone, new_jobs=each.new_jobs)
        servers[each.name] = made.server
    return servers


def measure_volumes(built: Built, *, now: datetime) -> None:
    """How full the volumes are, as last reported."""
    for each in built.plan.servers:
        for name, capacity, percent in each.volumes:
            Volume.objects.of(built.tenant).create(
                server=built.servers[each.name],
                name=name,
                capacity_bytes=capacity,
                used_bytes=capacity * percent // 100,
                measured_at=now,
            )


def build_policies(tenant: Tenant, *, now: datetime) -> dict[str, Policy]:
    standard = Policy.objects.of(tenant).create(
        name="Standard", retention_days=90, copies=1, test_interval_days=180, tolerated_files=5, created_at=now
    )
    strict = Policy.objects.of(tenant).create(
        name="Two places", retention_days=365, copies=2, test_interval_days=90, tolerated_files=0, created_at=now
    )
    PolicyAssignment.objects.of(tenant).create(policy=standard, scope_kind="tenant", scope_id=tenant.pk)
    return {"standard": standard, "strict": strict}


def build_routes(
    tenant: Tenant, plan: MspPlan, desk: Desk, *, resellers: Mapping[str, Reseller], now: datetime
) -> tuple[Destination, ...]:
    """Everything goes to the provider's own desk, in a group of its own for sizes; one reseller has a desk too."""
    own = build_destination(tenant, "Demonstration desk (nothing is sent)", desk, now=now)
    routes: list[dict[str, Any]] = [
        {"name": "Sizes", "kinds": ["quota_overrun"], "grouping": "client", "repeat_hours": 0, "destination": own},
        {"name": "All the rest", "destination": own},
    ]
    destinations = [own]
    if plan.reseller_desk:
        reseller = resellers[plan.reseller_desk]
        theirs = build_destination(tenant, f"Demonstration desk of {reseller.name} (nothing is sent)", desk, now=now)
        routes.insert(0, {"name": reseller.name, "reseller_ids": [reseller.pk], "destination": theirs})
        destinations.append(theirs)
    for position, route in enumerate(routes, start=1):
        Route.objects.of(tenant).create(position=position, **route)
    return tuple(destinations)


def build_destination(tenant: Tenant, name: str, desk: Desk, *, now: datetime) -> Destination:
    made: Destination = Destination.objects.of(tenant).create(
        name=name[:120], gateway="rest", config=desk.config, created_at=now
    )
    give_address(made)
    return made


def set_rules(built: Built, *, now: datetime) -> None:
    """A grace that fits the length of the nights, and an earlier warning about sizes."""
    scope = RuleScope("tenant", built.tenant.pk, built.tenant.name)
    for kind, parameters in (("no_recent_backup", {"grace_minutes": 90}), ("quota_overrun", {"warn_percent": 85})):
        put_setting(built.tenant, kind, scope, RuleValues(parameters=parameters), actor=built.technician, now=now)


# --- prices --------------------------------------------------------------------------------------------------------


def draft_of(values: Mapping[str, Any]) -> PlanDraft:
    amounts = {name: Decimal(values[name]) for name in ("allowance", "minimum") if name in values}
    return PlanDraft(**{**values, **amounts})


def build_seller(tenant: Tenant, plan: MspPlan) -> Seller:
    made: Seller = Seller.objects.of(tenant).create(
        legal_name=plan.seller.legal_name,
        address=plan.seller.address,
        country=plan.seller.country,
        tax_id=plan.seller.tax_id,
        bank=plan.seller.bank,
        email=plan.seller.email,
        number_format=plan.seller.number_format,
    )
    return made


def bill(built: Built, subject: Client | Reseller, *, plan_code: str, payer: str, now: datetime) -> None:
    """A bill-to, an agreement and a subscription from the first charged day on."""
    tenant, seller = built.tenant, built.plan.seller
    bill_to = BillTo.objects.of(tenant).create(
        legal_name=payer,
        address=f"{payer}\n{seller.country}",
        country=seller.country,
        tax_rate=Decimal(seller.tax_percent) / 100,
        currency=built.plan.currency,
        terms_days=14,
        email=f"invoices@{subject.code}.example",
    )
    agreement = Agreement.objects.of(tenant).create(
        seller=built.seller,
        bill_to=bill_to,
        number=f"{built.billed_from:%Y}-{subject.code}",
        starts_on=built.billed_from,
    )
    subscribe(
        subject,
        tenant=tenant,
        plan=built.plans[plan_code],
        agreement=agreement,
        starts_on=built.billed_from,
        actor=built.bookkeeper,
        now=now,
    )


# --- clients -------------------------------------------------------------------------------------------------------


def join(built: Built, plan: ClientPlan, *, now: datetime) -> None:
    """A client joins: its site and machines, its jobs, its subscription."""
    tenant = built.tenant
    client = register_client(
        tenant,
        name=plan.name,
        code=plan.code,
        actor=built.actor(now),
        state=plan.state,
        reseller=built.resellers.get(plan.reseller),
        timezone=built.plan.zone,
        quota_bytes=plan.quota,
        notes=plan.notes,
    )
    built.clients[plan.code] = client
    site = Site.objects.of(tenant).create(client=client, name=plan.city, timezone=built.plan.zone)
    machines = [build_machine(tenant, client, site, name, now=now) for name in plan.machines]
    for place, job in enumerate(plan.jobs):
        built.jobs[job.name] = build_job(built, client, job, machine=machines[min(place, len(machines) - 1)], now=now)
    if any(job.copy_of for job in plan.jobs):
        strict = built.policies["strict"]
        PolicyAssignment.objects.of(tenant).create(policy=strict, scope_kind="client", scope_id=client.pk)
    if plan.plan:
        bill(built, client, plan_code=plan.plan, payer=plan.name, now=now)
    settings_changed(tenant, now=now)


def build_machine(tenant: Tenant, client: Client, site: Site, name: str, *, now: datetime) -> Machine:
    machine: Machine = Machine.objects.of(tenant).create(
        client=client, site=site, name=name, machine_class="server", expectation="protected"
    )
    host = f"{name.lower()}.{client.code}.example"
    MachineIdentity.objects.of(tenant).create(machine=machine, kind="hostname", value=host, since=today_of(tenant, now))
    return machine


def build_job(built: Built, client: Client, plan: JobPlan, *, machine: Machine, now: datetime) -> BackupJob:
    """A job as a person sets it up who knows its name at the server; a copy shares the selection it copies."""
    tenant, since = built.tenant, today_of(built.tenant, now)
    selection = (
        built.jobs[plan.copy_of].selection
        if plan.copy_of
        else build_selection(tenant, client, plan, machine=machine, now=now)
    )
    server = built.servers[plan.server]
    job: BackupJob = BackupJob.objects.of(tenant).create(
        server=server,
        selection=selection,
        target=built.targets[plan.target],
        name=plan.name,
        product=PRODUCTS.get(plan.product, plan.product),
        role="copy" if plan.copy_of else "primary",
        schedule=plan.schedule,
        registered_at=now,
    )
    JobSelectionSpan.objects.of(tenant).create(job=job, selection=selection, since=since)
    JobState.objects.of(tenant).create(job=job, check_after=now)
    Assignment.objects.of(tenant).create(server=server, source_job=plan.name, item="", job=job, created_at=now)
    return job


def build_selection(tenant: Tenant, client: Client, plan: JobPlan, *, machine: Machine, now: datetime) -> Selection:
    selection: Selection = Selection.objects.of(tenant).create(
        client=client, machine=machine, name=plan.name, roots=[plan.root], registered_at=now
    )
    SelectionClientSpan.objects.of(tenant).create(selection=selection, client=client, since=today_of(tenant, now))
    return selection
