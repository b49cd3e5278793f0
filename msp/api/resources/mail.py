"""``/servers/.../mail-addresses`` and ``/mailboxes``: mail as a way in. Secrets go in and never come out.

Mailboxes may hold mails of every client, so that a reseller's key finds none; addresses it makes for its own servers.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.configuration import describe
from integrations.imap import Config
from msp.api import queries
from msp.api.authentication import Caller
from msp.api.paging import BY_ID
from msp.api.reading import StrictSerializer
from msp.api.resources.base import ApiView, found
from msp.api.resources.shapes import NamedSerializer
from msp.api.schema import WordField, changed, described, page_example, page_of
from msp.channels.addressing import addresses_of, make_address, revoke_address, written
from msp.channels.configuring import EVERY_MINUTES, LONGEST_EVERY, Wanted, remove_mailbox, set_paused, store_mailbox
from msp.channels.configuring import stored_values as values_of
from msp.channels.mailboxes import SECRETS, check_mailbox
from msp.channels.models import AFTERS, AUTHS, POLLED_STATES, SECURITIES, MailAddress, Mailbox
from msp.estate.models import BackupServer

GRANTS = ("refresh_token", "client_credentials")


class MailAddressSerializer(serializers.Serializer[Any]):
    """An address that a server may send its mails to."""

    uid = serializers.UUIDField()
    address = serializers.SerializerMethodField(help_text="Anything before a plus sign may precede the token.")
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="To the hour.")

    def get_address(self, row: MailAddress) -> str:
        return written(row, domain=settings.BACKLEDGER.mail_domain)


class MailAddressesSerializer(serializers.Serializer[Any]):
    """All addresses of a server that work."""

    items = MailAddressSerializer(many=True)


class MailboxSerializer(serializers.Serializer[Any]):
    """A mailbox that is read by IMAP, without its secrets."""

    uid = serializers.UUIDField()
    host = serializers.CharField()
    port = serializers.IntegerField()
    security = WordField(SECURITIES)
    username = serializers.CharField()
    auth = WordField(AUTHS)
    oauth = serializers.DictField(help_text="grant, token_url, client_id and scope, where auth is oauth2.")
    folder = serializers.CharField()
    after = WordField(AFTERS, help_text="What becomes of a mail that is stored.")
    move_to = serializers.CharField()
    server = NamedSerializer(allow_null=True, help_text="Null: the server whose address a mail was for.")
    every_minutes = serializers.IntegerField()
    state = WordField(POLLED_STATES)
    last_success_at = serializers.DateTimeField(allow_null=True)
    last_error = serializers.CharField(help_text="Why it could not be read last time; empty if it could.")
    failures = serializers.IntegerField(help_text="In a row.")
    check_after = serializers.DateTimeField(help_text="When it is read next.")


class MailboxCheckSerializer(serializers.Serializer[Any]):
    """What came of trying a mailbox."""

    good = serializers.BooleanField()
    problems = serializers.ListField(child=serializers.CharField())


class MailboxChange(StrictSerializer):
    """Any of these; a secret that is not given stays, unless the mailbox moves to another server."""

    host = serializers.CharField(required=False, max_length=253)
    port = serializers.IntegerField(required=False)
    security = WordField(SECURITIES, required=False)
    username = serializers.CharField(required=False, max_length=320)
    auth = WordField(AUTHS, required=False)
    password = serializers.CharField(required=False, max_length=4000, trim_whitespace=False)
    grant = WordField(GRANTS, required=False)
    token_url = serializers.CharField(required=False, max_length=1000)
    client_id = serializers.CharField(required=False, max_length=1000)
    client_secret = serializers.CharField(required=False, max_length=4000)
    refresh_token = serializers.CharField(required=False, max_length=8000)
    scope = serializers.CharField(required=False, max_length=1000)
    folder = serializers.CharField(required=False, max_length=255)
    after = WordField(AFTERS, required=False)
    move_to = serializers.CharField(required=False, max_length=255, allow_blank=True)
    server = serializers.UUIDField(required=False, allow_null=True)
    every_minutes = serializers.IntegerField(required=False, min_value=1, max_value=LONGEST_EVERY)
    state = WordField(POLLED_STATES, required=False)


class MailboxCreation(MailboxChange):
    """A new mailbox; port 993 with TLS, INBOX and a password if nothing else is said."""

    host = serializers.CharField(max_length=253)
    username = serializers.CharField(max_length=320)


ADDRESS = {
    "uid": "5d0c4b1e-3d64-4a3f-9c4b-1c5a0f4f7a11",
    "address": "k3v7q2mzp5xw4c6taodn@backups.example.com",
    "created_at": "2026-01-05T09:15:02Z",
    "last_used_at": None,
}
MAILBOX: dict[str, Any] = {
    "uid": "0b4f5a55-7e0e-4a51-9d60-2a4f7b7a7a10",
    "host": "outlook.office365.com",
    "port": 993,
    "security": "tls",
    "username": "backups@msp.example",
    "auth": "password",
    "oauth": {},
    "folder": "INBOX",
    "after": "seen",
    "move_to": "",
    "server": None,
    "every_minutes": 5,
    "state": "active",
    "last_success_at": "2026-11-23T07:55:00Z",
    "last_error": "",
    "failures": 0,
    "check_after": "2026-11-23T08:00:00Z",
}


class MailAddressesView(ApiView):
    @described(
        "List a server's mail addresses",
        "The addresses that mail for this server is taken at, oldest first.",
        name="mail_addresses_list",
        tag="Mail",
        answer=MailAddressesSerializer,
        shows={"items": [ADDRESS]},
        refuses=(404,),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        self.query()
        server = server_of(self.caller, uid)
        return Response(MailAddressesSerializer({"items": addresses_of(self.caller.tenant, server)}).data)

    @described(
        "Make a mail address for a server",
        "A further address: whatever is mailed there is a log of this server. The ones there are go on working.",
        name="mail_addresses_create",
        tag="Mail",
        answer=MailAddressSerializer,
        shows=ADDRESS,
        status=201,
        refuses=(404,),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        self.query()
        row = make_address(self.caller.tenant, server_of(self.caller, uid), actor=self.actor())
        return Response(MailAddressSerializer(row).data, status=201)


class MailAddressView(ApiView):
    @described(
        "Revoke a mail address",
        "Mail to it is refused from now on. Revoking it again is no error.",
        name="mail_addresses_delete",
        tag="Mail",
        answer=None,
        status=204,
        refuses=(404,),
    )
    def delete(self, request: Request, uid: UUID, address: UUID) -> Response:
        self.query()
        server = server_of(self.caller, uid)
        rows = MailAddress.objects.of(self.caller.tenant).select_related("server")
        revoke_address(self.caller.tenant, found(rows.filter(server=server, uid=address).first()), actor=self.actor())
        return Response(status=204)


class MailboxesView(ApiView):
    @described(
        "List mailboxes",
        "The mailboxes that are read, in the order in which they were set up, each with what went wrong last.",
        name="mailboxes_list",
        tag="Mail",
        answer=page_of(MailboxSerializer),
        shows=page_example(MAILBOX),
        paged=True,
    )
    def get(self, request: Request) -> Response:
        self.query(paged=True)
        return self.page(mailboxes(self.caller), BY_ID, MailboxSerializer)

    @described(
        "Set up a mailbox",
        "It is read from two days back, at once. The same folder of the same mailbox twice is answered 409.",
        name="mailboxes_create",
        tag="Mail",
        answer=MailboxSerializer,
        shows=changed(MAILBOX, last_success_at=None),
        status=201,
        sends=MailboxCreation,
        sent={"host": "imap.example.com", "username": "backups@msp.example", "password": "…", "after": "seen"},
        refuses=(404, 409),
    )
    def post(self, request: Request) -> Response:
        self.query()
        if not self.caller.reach.whole_tenant:
            found(None)
        row = store(self.caller, None, self.body(MailboxCreation), actor=self.actor())
        return Response(MailboxSerializer(row).data, status=201)


class MailboxView(ApiView):
    @described(
        "Get a mailbox",
        "Its settings without secrets, and when it was read.",
        name="mailboxes_get",
        tag="Mail",
        answer=MailboxSerializer,
        shows=MAILBOX,
        refuses=(404,),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        self.query()
        return Response(MailboxSerializer(mailbox_of(self.caller, uid)).data)

    @described(
        "Change a mailbox",
        "What is not given stays. With another host, port or token_url the password or secret must be given again.",
        name="mailboxes_change",
        tag="Mail",
        answer=MailboxSerializer,
        shows=changed(MAILBOX, state="paused"),
        sends=MailboxChange,
        sent={"state": "paused"},
        refuses=(404, 409),
    )
    def patch(self, request: Request, uid: UUID) -> Response:
        self.query()
        row = mailbox_of(self.caller, uid)
        store(self.caller, row, self.body(MailboxChange), actor=self.actor())
        return Response(MailboxSerializer(mailbox_of(self.caller, uid)).data)

    @described(
        "Remove a mailbox",
        "It is read no more; what was read of it stays.",
        name="mailboxes_delete",
        tag="Mail",
        answer=None,
        status=204,
        refuses=(404,),
    )
    def delete(self, request: Request, uid: UUID) -> Response:
        self.query()
        remove_mailbox(self.caller.tenant, mailbox_of(self.caller, uid), actor=self.actor())
        return Response(status=204)


class MailboxCheckView(ApiView):
    @described(
        "Try a mailbox",
        "Logs in and opens the folder with the stored settings; reads nothing. May take 20 seconds.",
        name="mailboxes_check",
        tag="Mail",
        answer=MailboxCheckSerializer,
        shows={"good": False, "problems": ["imap.example.com refused the user name or password: no."]},
        refuses=(404,),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        self.query()
        problems = check_mailbox(mailbox_of(self.caller, uid), now=self.now)
        return Response(MailboxCheckSerializer({"good": not problems, "problems": problems}).data)


def server_of(caller: Caller, uid: UUID) -> BackupServer:
    server: BackupServer = found(queries.servers(caller.reach, {}).filter(uid=uid).first())
    return server


def mailboxes(caller: Caller) -> QuerySet[Any]:
    rows = Mailbox.objects.of(caller.tenant).select_related("server")
    return rows if caller.reach.whole_tenant else rows.none()


def mailbox_of(caller: Caller, uid: UUID) -> Mailbox:
    row: Mailbox = found(mailboxes(caller).filter(uid=uid).first())
    return row


def store(caller: Caller, row: Mailbox | None, given: dict[str, Any], *, actor: Any) -> Mailbox:
    """A new mailbox, or one with what was given changed. Raises BadConfig, Taken."""
    names = [item.name for item in describe(Config)]
    if row is None or set(given) - {"state"}:
        kept = {} if row is None else {name: value for name, value in values_of(row).items() if name not in SECRETS}
        server = None if row is None else row.server
        if "server" in given:
            server = None if given["server"] is None else server_of(caller, given["server"])
        every = given.get("every_minutes", EVERY_MINUTES if row is None else row.every_minutes)
        values = {name: given.get(name, kept.get(name)) for name in names}
        row = store_mailbox(caller.tenant, row, Wanted(values, server, every), actor=actor)
    if "state" in given and given["state"] != row.state:
        set_paused(caller.tenant, row, paused=given["state"] == "paused", actor=actor)
    return row
