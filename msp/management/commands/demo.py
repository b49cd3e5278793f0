"""Fills in two demonstration tenants and prints their logins, this once, a line of JSON each."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand

from msp.demo.filling import DAYS, fill


class Command(BaseCommand):
    help = "Fill in two demonstration tenants with 60 days of runs; prints their logins once. A repeat changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, default=DAYS, help="how many days back, at the least")

    def handle(self, *args: Any, **options: Any) -> None:
        filled = fill(now=datetime.now(UTC), days=options["days"])
        if filled.was_there:
            self.stdout.write("The demonstration is there already; nothing was changed. Its logins were printed once.")
            return
        for login in filled.logins:
            self.stdout.write(json.dumps(asdict(login), ensure_ascii=False))
