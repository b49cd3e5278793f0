"""Mail as a way in: the addresses of backup servers, and mailboxes that are read. Secrets go in and never come out."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from integrations.configuration import BadConfig, describe
from integrations.imap import Config
from msp.channels.addressing import addresses_of, make_address, revoke_address, written
from msp.channels.configuring import (
    EVERY_MINUTES,
    LONGEST_EVERY,
    Wanted,
    remove_mailbox,
    set_paused,
    store_mailbox,
    stored_values,
)
from msp.channels.mailboxes import check_mailbox
from msp.channels.models import MailAddress, Mailbox
from msp.dashboard.form_pages import FormPage, edit
from msp.dashboard.forms import Field, fields_of_config
from msp.dashboard.permits import OPERATE, OWN, SETTINGS, action, needs
from msp.dashboard.scope import StaffRequest, found
from msp.dashboard.views.settings_servers import actor_of
from msp.estate.models import BackupServer

#: What stands before the plus sign where an existing mailbox is used.
PLUS = "backup"


@needs(SETTINGS)
def show_addresses(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """The addresses a server may send its mails to."""
    server = _server(request, uid)
    domain = settings.BACKLEDGER.mail_domain
    rows = addresses_of(request.scope.tenant, server)
    context = {
        "server": server,
        "addresses": [
            {"row": row, "written": written(row, domain=domain), "plus": written(row, domain="…", plus=PLUS)}
            for row in rows
        ],
        "listens": settings.BACKLEDGER.smtp_port != 0,
        "may_change": OPERATE.holds(request.scope),
    }
    return render(request, "settings/mail_addresses.html", context)


@action(OPERATE)
def change_addresses(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Make a further address, or revoke one."""
    server, tenant = _server(request, uid), request.scope.tenant
    revoked = request.POST.get("revoke")
    if revoked:
        rows = MailAddress.objects.of(tenant).filter(server=server, token=revoked[:40])
        row: MailAddress = found(rows.select_related("server").first(), "mail address")
        revoke_address(tenant, row, actor=actor_of(request))
        messages.success(request, "Mail to this address is refused from now on.")
    else:
        make_address(tenant, server, actor=actor_of(request))
        messages.success(request, "The address is ready.")
    return redirect("mail-addresses", uid)


@needs(SETTINGS)
def list_mailboxes(request: StaffRequest) -> HttpResponse:
    """All of them, with what went wrong last."""
    rows = Mailbox.objects.of(request.scope.tenant).select_related("server").defer("secrets").order_by("username", "pk")
    return render(request, "settings/mailboxes.html", {"mailboxes": rows, "may_change": OWN.holds(request.scope)})


@needs(OWN)
def new_mailbox(request: StaffRequest) -> HttpResponse:
    return _edit(request, None)


@needs(OWN)
def edit_mailbox(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    return _edit(request, _mailbox(request, uid))


@action(OWN)
def check(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Try the stored settings: log in and open the folder, read nothing."""
    row = _mailbox(request, uid)
    try:
        problems = check_mailbox(row, now=request.now)
    except BadConfig as bad:
        problems = (bad.reason,)
    for problem in problems:
        messages.error(request, problem)
    if not problems:
        messages.success(request, f"{row} answers, and its folder can be read.")
    return redirect("mailbox", uid)


@action(OWN)
def pause(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Pause it, go on, or read it no more."""
    row, tenant, actor = _mailbox(request, uid), request.scope.tenant, actor_of(request)
    wanted = request.POST.get("do")
    if wanted == "remove":
        remove_mailbox(tenant, row, actor=actor)
        messages.success(request, f"{row} is read no more.")
        return redirect("mailboxes")
    set_paused(tenant, row, paused=wanted == "pause", actor=actor)
    messages.success(request, f"{row} is paused." if wanted == "pause" else f"{row} is read again.")
    return redirect("mailbox", uid)


def _edit(request: StaffRequest, row: Mailbox | None) -> HttpResponse:
    def apply(values: dict[str, Any]) -> str:
        chosen = values["server"]
        wanted = Wanted(
            values={item.name: values[item.name] for item in describe(Config)},
            server=BackupServer.objects.of(request.scope.tenant).get(uid=chosen) if chosen else None,
            every_minutes=values["every_minutes"] or EVERY_MINUTES,
        )
        stored = store_mailbox(request.scope.tenant, row, wanted, actor=actor_of(request))
        return reverse("mailbox", args=[stored.uid])

    page = FormPage(
        title=str(row) if row else "New mailbox",
        back=reverse("mailboxes"),
        crumbs=(("Mailboxes", reverse("mailboxes")),),
        template="settings/mailbox.html",
        more={"mailbox": row},
    )
    return edit(request, page, _fields(request, row), apply=apply, done="The mailbox is stored and will be read.")


def _fields(request: StaffRequest, row: Mailbox | None) -> tuple[Field, ...]:
    servers = BackupServer.objects.of(request.scope.tenant).filter(state="active").order_by("name")
    choices = (("", "the one whose address they were for"), *((str(each.uid), each.name) for each in servers))
    return (
        *fields_of_config(Config, {} if row is None else stored_values(row)),
        Field("server", "Its mails are of the server", kind="choice", choices=choices,
              value=str(row.server.uid) if row and row.server else ""),
        Field("every_minutes", "Look for mails every", kind="number", unit="minutes", minimum=1, maximum=LONGEST_EVERY,
              value=str(row.every_minutes if row else EVERY_MINUTES), required=True),
    )  # fmt: skip


def _server(request: StaffRequest, uid: uuid.UUID) -> BackupServer:
    row: BackupServer = found(BackupServer.objects.of(request.scope.tenant).filter(uid=uid).first(), "server")
    return row


def _mailbox(request: StaffRequest, uid: uuid.UUID) -> Mailbox:
    rows = Mailbox.objects.of(request.scope.tenant).select_related("server").filter(uid=uid)
    row: Mailbox = found(rows.first(), "mailbox")
    return row
