"""What a demonstration tenant is made of, as values: people, resellers, servers, clients, jobs and what befalls them.

``msp.demo.northern`` and ``msp.demo.hudson`` fill these in; ``msp.demo.nights`` turns jobs into runs. Nothing here
knows a clock or the database: days are counted back from the moment the demonstration is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from msp.demo.logs.told import Trouble

GB = 10**9

What = Trouble | Literal["silent"]


@dataclass(frozen=True, kw_only=True)
class Story:
    """Something that befalls a job. Exactly one of the conditions is set; "silent" means that no log comes at all.

    ``last_runs``: its newest runs; ``since_days``: every run later than that; ``days_ago``: runs of these days (older
    first); ``month_days``: runs on these days of the last whole month; ``alternating``: every second one of its newest
    runs, so that it is bad, good, bad.
    """

    what: What
    last_runs: int = 0
    since_days: float = 0
    days_ago: tuple[int, int] | None = None
    month_days: tuple[int, int] | None = None
    alternating: int = 0


@dataclass(frozen=True, kw_only=True)
class JobPlan:
    """A backup job. ``product`` names a writer of ``msp.demo.logs``; ``size`` is in bytes at the beginning.

    ``daily_growth`` and ``churn`` are parts per million of the size: what it grows by on a working day, what is sent.
    ``restores`` is the schedule of restore tests; a job that is ``cared_for`` is checked and pruned each weekend.
    ``copy_of`` names the job whose selection this one copies. Of 1000 runs ``mishaps`` fail for no lasting reason.
    """

    name: str
    server: str
    product: str
    schedule: str
    root: str
    size: int
    files: int
    minutes: int = 18
    daily_growth: int = 700
    churn: int = 9000
    mishaps: int = 11
    restores: str = ""
    cared_for: bool = False
    copy_of: str = ""
    target: str = "Backup vault"
    stories: tuple[Story, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ClientPlan:
    """A client with its jobs. ``plan``: the code of the plan it is billed by itself ("": by its reseller)."""

    name: str
    code: str
    jobs: tuple[JobPlan, ...]
    machines: tuple[str, ...] = ()
    city: str = ""
    state: str = "active"
    reseller: str = ""
    quota: int | None = None
    plan: str = ""
    joined_days_ago: int | None = None
    suspended_days_ago: int | None = None
    notes: str = ""


@dataclass(frozen=True, kw_only=True)
class ServerPlan:
    """A backup server and its volumes as (name, capacity in bytes, share used in percent)."""

    name: str
    volumes: tuple[tuple[str, int, int], ...]
    new_jobs: str = "hold"


@dataclass(frozen=True, kw_only=True)
class ResellerPlan:
    name: str
    code: str
    staff: tuple[str, str]
    wholesale: str = ""


@dataclass(frozen=True, kw_only=True)
class PlanPlan:
    """A price list entry: what ``billing.plans.PlanDraft`` takes."""

    code: str
    draft: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Act:
    """What a person does, so many days ago at an hour of the tenant's wall clock.

    Of "acknowledge", "assign", "snooze" and "close" the subject is the open incident of ``kind`` of this client's job;
    "silence" opens a maintenance window of ``hours`` for the client, "every week" one on each Sunday. "restore" is a
    restore test of the job's selection, "review" signs the morning's list.
    """

    what: Literal["acknowledge", "assign", "snooze", "close", "silence", "every week", "restore", "review"]
    days_ago: int
    hour: int
    note: str
    client: str = ""
    job: str = ""
    kind: str = ""
    hours: int = 0


@dataclass(frozen=True, kw_only=True)
class Stray:
    """A log that ends in the inbox: nobody knows its job, or nobody can read it."""

    server: str
    days_ago: int
    hour: int
    content: str
    job: str = ""
    format: str = ""


@dataclass(frozen=True, kw_only=True)
class SellerPlan:
    legal_name: str
    address: str
    country: str
    tax_id: str
    bank: str
    email: str
    tax_percent: int
    number_format: str = "{year}-{number:05d}"


@dataclass(frozen=True, kw_only=True)
class MspPlan:
    """One tenant. ``people`` are (role, name, address); the first is the owner. ``invoiced_on`` is a day of the month.

    ``finals`` is how many invoices are made final; the others stay drafts. ``pause_days_ago``: on that night our own
    reading of logs stood still for a while.
    """

    name: str
    zone: str
    currency: str
    people: tuple[tuple[str, str, str], ...]
    resellers: tuple[ResellerPlan, ...]
    servers: tuple[ServerPlan, ...]
    clients: tuple[ClientPlan, ...]
    plans: tuple[PlanPlan, ...]
    seller: SellerPlan
    desk_host: str
    targets: tuple[tuple[str, str, bool], ...] = (("Backup vault", "local", False),)
    acts: tuple[Act, ...] = ()
    strays: tuple[Stray, ...] = ()
    reseller_desk: str = ""
    invoiced_on: int = 2
    finals: int = 99
    pause_days_ago: int | None = None

    @property
    def owner(self) -> tuple[str, str, str]:
        return self.people[0]
