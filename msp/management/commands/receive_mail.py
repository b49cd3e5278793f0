"""``receive_mail``: the mail listener, until it is told to stop.

Takes mail for the addresses of backup servers and tickets on BACKLEDGER_SMTP_HOST and _PORT, offers STARTTLS when there
is a certificate, and wakes the worker that reads it. Run by ``make run`` and by the deployments as a process.
"""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from msp.channels.listening import Certificate, Gate, Limits, Listener, Receiving
from msp.configuration import Configuration
from msp.tasks import wake_looking, wake_processing


class Command(BaseCommand):
    help = "Take mail for the addresses of backup servers, until stopped."

    def handle(self, *args: Any, **options: Any) -> None:
        configuration: Configuration = settings.BACKLEDGER
        if configuration.smtp_port == 0:
            self.stdout.write("BACKLEDGER_SMTP_PORT is 0: no mail is taken.")
            return
        asyncio.run(self.listen(configuration))

    async def listen(self, configuration: Configuration) -> None:
        """Raises CommandError when the port cannot be had or the certificate cannot be used."""
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, told.set)
        listener = listener_of(configuration)
        try:
            port = await listener.start()
        except OSError as error:
            where = f"{configuration.smtp_host}:{configuration.smtp_port}"
            raise CommandError(f"Mail cannot be taken at {where}: {error}.") from error
        self.stdout.write(f"Mail is taken at {configuration.smtp_host}:{port}.")
        self.stdout.flush()
        await told.wait()
        await listener.stop()


def listener_of(configuration: Configuration) -> Listener:
    """The listener these settings ask for."""
    certificate = None
    if configuration.smtp_certificate is not None and configuration.smtp_key is not None:
        certificate = Certificate(configuration.smtp_certificate, configuration.smtp_key)
    limits = Limits(mail_bytes=configuration.max_body_bytes)
    return Listener(
        host=configuration.smtp_host,
        port=configuration.smtp_port,
        name=configuration.mail_domain,
        receiving=Receiving(
            gate=Gate(limits), now=lambda: datetime.now(UTC), wake=wake_processing, wake_answers=wake_looking
        ),
        certificate=certificate,
    )
