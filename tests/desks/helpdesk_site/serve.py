"""Serves the site: ``python serve.py 127.0.0.1:8080``. Makes tables, users, tokens and queues when it finds none.

All in one process, because starting Django takes most of the time.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import django
from django.apps import apps
from django.core.management import call_command

USERS = (("backledger", "", ""), ("tina", "Tina", "Tech"))
QUEUES = ("Backups", "Networks")


def model(app: str, name: str) -> Any:
    return apps.get_model(app, name)


def make_data() -> None:
    """Staff whose passwords are their names with "-password"; tokens in the order of DESK_TOKENS."""
    call_command("migrate", verbosity=0)
    call_command("loaddata", "emailtemplate.json", verbosity=0)
    people, tokens, queues = model("auth", "User"), model("authtoken", "Token"), model("helpdesk", "Queue")
    for (name, first, last), key in zip(USERS, os.environ["DESK_TOKENS"].split(","), strict=True):
        given = {"is_staff": True, "is_superuser": name != "backledger", "first_name": first, "last_name": last}
        person = people.objects.create_user(name, f"{name}@desk.example", f"{name}-password", **given)
        tokens.objects.create(user=person, key=key)
    for title in QUEUES:
        queues.objects.create(title=title, slug=title.lower(), email_address=f"{title.lower()}@desk.example")


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    django.setup()
    if not Path(os.environ["DESK_FOLDER"], "desk.sqlite3").exists():
        make_data()
    call_command("runserver", sys.argv[1], use_reloader=False, skip_checks=True)
