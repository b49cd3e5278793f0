"""Registers a backup server (and its client, if new) and prints the key it posts its logs with, this once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils.text import slugify

from msp.estate.changing import register_server
from msp.estate.models import Client
from msp.estate.spans import Actor, BadChange, Taken, register_client
from msp.tenants.models import Tenant


class Command(BaseCommand):
    help = "Register a backup server and print its key. With --client it makes new jobs for that client by itself."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="name of the backup server")
        parser.add_argument("--tenant", help="slug of the tenant; not needed while there is only one")
        parser.add_argument("--client", help="client whose jobs run there; registered if it is new")
        parser.add_argument("--timezone", help="zone that local times in its logs are in; the tenant's if left out")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = find_tenant(options["tenant"])
        actor = Actor(name="command line", now=datetime.now(UTC))
        try:
            with transaction.atomic():
                client = find_client(tenant, options["client"], actor=actor) if options["client"] else None
                made = register_server(
                    tenant,
                    name=options["name"],
                    timezone=options["timezone"] or tenant.timezone,
                    new_jobs="auto" if client else "hold",
                    client=client,
                    actor=actor,
                )
        except (BadChange, Taken) as error:
            raise CommandError(error.reason) from error
        self.stdout.write(f"The key of {made.server.name}, shown this once:\n\n    {made.key.secret}\n")
        self.stdout.write("Send a log:\n")
        self.stdout.write(
            f"    restic backup /srv --json 2>&1 | curl --data-binary @- -H 'Authorization: Bearer {made.key.secret}' "
            f"'{settings.BACKLEDGER.base_url}/api/v1/logs?job=nightly'"
        )


def find_tenant(slug: str | None) -> Tenant:
    """The tenant of this slug, or the only one. Raises CommandError."""
    tenants = list(Tenant.objects.filter(slug=slug) if slug else Tenant.objects.all()[:2])
    if len(tenants) == 1:
        return tenants[0]
    known = ", ".join(Tenant.objects.order_by("slug").values_list("slug", flat=True)) or "none yet"
    raise CommandError(f"Name the tenant with --tenant; known are: {known}.")


def find_client(tenant: Tenant, name: str, *, actor: Actor) -> Client:
    """The client of this name, registered if it is new."""
    found = Client.objects.of(tenant).filter(name=name).first()
    if isinstance(found, Client):
        return found
    return register_client(tenant, name=name, code=slugify(name)[:60], timezone=tenant.timezone, actor=actor)
