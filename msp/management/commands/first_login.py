"""Makes the first tenant and its owner when there is no person yet, and prints the password this once."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from msp.tenants.models import User
from msp.tenants.onboarding import onboard_tenant


class Command(BaseCommand):
    help = "Create the first tenant and login if there is none; prints them once as JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--email", default="owner@backledger.example", help="address to log in with")
        parser.add_argument("--tenant", default="My MSP", help="name of the managed service provider")

    def handle(self, *args: Any, **options: Any) -> None:
        if User.objects.exists():
            return
        password = secrets.token_urlsafe(12)
        onboard_tenant(options["tenant"], owner_email=options["email"], password=password, now=datetime.now(UTC))
        self.stdout.write(json.dumps({"email": options["email"].lower(), "password": password}))
