"""``ensure_partitions``: makes the partitions ahead; the scheduler does the same four times a day."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand

from msp.partitions import count_strays, ensure_partitions


class Command(BaseCommand):
    help = "Make the partitions of runs (a month each) and bodies (a day each) ahead of time."

    def handle(self, *args: Any, **options: Any) -> None:
        made = ensure_partitions(datetime.now(UTC))
        self.stdout.write(f"{made} partitions made.")
        strays = count_strays()
        if strays:
            self.stderr.write(f"{strays} rows lie in the default partitions: they came before theirs was made.")
