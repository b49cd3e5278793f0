"""The site by mail alone: ``mail.py take`` reads the mails in its mailbox, ``mail.py say|resolve 1 WORDS`` are Tina's.

Makes its tables when it finds none. Sends over SMTP to DESK_SMTP_PORT.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone
from django.utils.module_loading import import_string

RESOLVED = 3


def model(app: str, name: str) -> Any:
    return apps.get_model(app, name)


def take() -> None:
    """What the system's own timer runs; the mailbox counts as not looked into since yesterday."""
    folder = os.path.join(os.environ["DESK_FOLDER"], "mailbox") + os.sep
    model("helpdesk", "Queue").objects.filter(slug="backups").update(
        allow_email_submission=True,
        email_box_type="local",
        email_box_local_dir=folder,
        email_box_last_check=timezone.now() - timedelta(days=1),
    )
    call_command("get_email")


def write(ticket_id: str, words: str, *, status: int | None) -> None:
    """As the page of a ticket does it."""
    tina = model("auth", "User").objects.get(username="tina")
    ticket = model("helpdesk", "Ticket").objects.get(pk=int(ticket_id))
    update_ticket = import_string("helpdesk.update_ticket.update_ticket")
    update_ticket(tina, ticket, comment=words, public=True, new_status=status)


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", int(os.environ["DESK_SMTP_PORT"])
    django.setup()
    if not Path(os.environ["DESK_FOLDER"], "desk.sqlite3").exists():
        import_string("serve.make_data")()
    action, *rest = sys.argv[1:]
    if action == "take":
        take()
    else:
        write(*rest, status=RESOLVED if action == "resolve" else None)
