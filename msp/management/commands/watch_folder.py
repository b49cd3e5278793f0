"""``watch_folder``: takes the logs that are dropped below BACKLEDGER_DROP_FOLDER, until it is told to stop.

``--once`` looks twice, a pause apart, and ends; ``--make SERVER`` makes the folder of a server and prints it. It only
asks the file system, so that mounted folders (SFTP, SMB, NFS) do as well. Run by ``make run`` and the deployments.
"""

from __future__ import annotations

import signal
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError, close_old_connections

from integrations.logs.bytes_to_text import clean
from msp.configuration import Configuration
from msp.estate.models import BackupServer
from msp.ingest.dropping import Taken, Watch, folder_of
from msp.management.commands.add_server import find_tenant
from msp.management.commands.ingest import find_server
from msp.tasks import wake_processing


class Command(BaseCommand):
    help = "Take the logs that are dropped below BACKLEDGER_DROP_FOLDER."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="look twice, a pause apart, then end")
        parser.add_argument("--make", metavar="SERVER", help="make the folder of this server, print it, and end")
        parser.add_argument("--tenant", help="slug of the tenant, for --make; not needed while there is only one")

    def handle(self, *args: Any, **options: Any) -> None:
        configuration: Configuration = settings.BACKLEDGER
        root = configuration.drop_folder
        if root is None:
            self.stdout.write("BACKLEDGER_DROP_FOLDER is not set: no folder is watched.")
        elif options["make"]:
            self.make(root, options["make"], slug=options["tenant"])
        else:
            self.watch(root, configuration, once=options["once"])

    def make(self, root: Path, name: str, *, slug: str | None) -> None:
        tenant = find_tenant(slug)
        server = BackupServer.objects.of(tenant).get(pk=find_server(tenant, name))
        path = folder_of(root, server, tenant=tenant)
        try:
            path.mkdir(mode=0o770, parents=True, exist_ok=True)
        except OSError as error:
            raise CommandError(f"{path} cannot be made: {error.strerror}.") from error
        self.stdout.write(str(path))

    def watch(self, root: Path, configuration: Configuration, *, once: bool) -> None:
        """Look, tell, pause. A database that is away is waited for: what is not stored is not moved."""
        if not root.is_dir():
            raise CommandError(f"BACKLEDGER_DROP_FOLDER names {root}, which is no folder: make it, or mount it.")
        told = threading.Event()
        if not once:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: told.set())
            self.stdout.write(f"Watching {root}.")
            self.stdout.flush()
        watch = Watch(root, most=configuration.max_body_bytes, keep=timedelta(days=configuration.drop_keep_days))
        earlier: list[set[str]] = [set(), set()]  # what does not change is tried again at every second look
        looks = 0
        while not told.is_set():
            earlier = [earlier[1], self.look(watch, earlier[0] | earlier[1])]
            looks += 1
            if once and looks == 2:
                return
            told.wait(configuration.drop_seconds)

    def look(self, watch: Watch, said: set[str]) -> set[str]:
        """One look; answers its problems. What was ``said`` is not told again while it lasts."""
        close_old_connections()
        try:
            taken = watch.look(now=datetime.now(UTC))
        except (DatabaseError, InterfaceError) as error:
            taken = Taken(problems=[f"the database cannot take what was dropped, which stays where it is: {error}"])
        if taken.stored:
            wake_processing()
            self.stdout.write(f"{taken.stored} stored.")
        for line in taken.refused:
            self.stderr.write(f"refused: {clean(line)}")
        for line in taken.problems:
            if line not in said:
                self.stderr.write(clean(line))
        self.stdout.flush()
        return set(taken.problems)
