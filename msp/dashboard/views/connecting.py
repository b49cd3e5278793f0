"""Connect a server: pick the product, name the server, copy the snippet, see the first log arrive.

The key is in the answer to the form and nowhere else: the browser's address moves on to the page without it, so that a
reload shows the same and offers a new key. What arrives is asked for by htmx, ever more rarely, and then no more.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import available_timezones

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from integrations.logs import FORMATS, Format
from msp.channels.addressing import addresses_of
from msp.channels.models import MailAddress
from msp.dashboard.arrivals import Arrival, read_arrivals, troubles_of
from msp.dashboard.changes.connecting import Wanted, connect_server, make_new_key
from msp.dashboard.form_pages import REFUSALS, FormPage, show, show_refused
from msp.dashboard.forms import BadField, Field
from msp.dashboard.permits import OPERATE, needs
from msp.dashboard.scope import Refused, StaffRequest, found
from msp.dashboard.sending import filling_of, list_products, needs_address, ways_of
from msp.dashboard.typing_in import free_text, read_typed
from msp.dashboard.views.settings_servers import actor_of
from msp.estate.models import BackupServer, Client
from msp.estate.spans import Taken
from msp.ingest.dropping import folder_of
from msp.tenants.models import ApiKey

NEW_JOBS = (
    ("", "make them for its client; of several clients, hold them in the inbox"),
    ("hold", "hold them in the inbox"),
    ("refuse", "refuse them (kept in the inbox)"),
)
#: Seconds between two looks for arrivals, each for so many looks: half an hour in all; then no more.
LOOKS = ((2, 45), (5, 60), (20, 70))
MOST_LOOKS = sum(times for _, times in LOOKS)
#: So long a page shows all that came since the server was registered; later what comes while it is open.
FRESH = timedelta(hours=12)


@needs(OPERATE)
def pick_product(request: StaffRequest) -> HttpResponse:
    """Step 1: all products; for a client, or for a server that is there already, if one is named."""
    client, server = _client(request, request.GET.get("client", "")), None
    if request.GET.get("server"):
        server = _server(request, _uid(request.GET["server"]))
    text = free_text(request.GET, "text", most=100)
    words = text.casefold().split()
    products = [each for each in list_products() if all(word in each.words for word in words)]
    context = {"products": products, "text": text, "client": client, "server": server, "step": 1}
    return render(request, "connect/pick.html", context)


@needs(OPERATE)
def name_server(request: StaffRequest, name: str) -> HttpResponse:
    """Step 2: one short form. Answers with step 3, the only page that holds the key."""
    product = _product(name)
    fields = _fields(request, _client(request, request.GET.get("client", "")))
    if request.method != "POST":
        return show(request, _form_page(request, name, product), fields)
    try:
        wanted = _wanted(request, fields, product)
        made = connect_server(request.scope.tenant, wanted, actor=actor_of(request))
    except (BadField, *REFUSALS) as refusal:
        taken = refusal.uid if isinstance(refusal, Taken) else None
        shown = BadField("name", str(refusal)) if isinstance(refusal, Taken) else refusal
        return show_refused(request, _form_page(request, name, product, taken=taken), fields, shown)
    return _show_ways(request, made.server, name, secret=made.secret, address=made.address)


@needs(OPERATE)
def show_ways(request: StaffRequest, uid: uuid.UUID, name: str) -> HttpResponse:
    """Step 3 without the key; a POST makes another key and shows it."""
    server = _server(request, uid)
    _product(name)
    secret = ""
    if request.method == "POST":
        secret = make_new_key(request.scope.tenant, server, actor=actor_of(request)).secret
    return _show_ways(request, server, name, secret=secret)


@needs(OPERATE)
def show_arrivals(request: StaffRequest, uid: uuid.UUID, name: str) -> HttpResponse:
    """What arrived since the moment that the page carries; says itself when it is to be asked again."""
    server = _server(request, uid)
    _product(name)
    looks = _whole(request.GET.get("looks", ""), most=MOST_LOOKS)
    context = _live(request, server, name, since=_since(request, server), looks=looks + 1)
    context["unchanged"] = context["seen"] == request.GET.get("seen", "")
    return render(request, "connect/arrivals.html", context)


# --- step 3 ------------------------------------------------------------------------------------------------------


def _show_ways(
    request: StaffRequest, server: BackupServer, name: str, *, secret: str, address: MailAddress | None = None
) -> HttpResponse:
    product, tenant = FORMATS[name], request.scope.tenant
    if address is None:
        address = next(reversed(addresses_of(tenant, server)), None)
    filling = filling_of(server, secret=secret, address=address)
    keys = ApiKey.objects.of(tenant).filter(server_id=server.pk, revoked_at__isnull=True)
    working = keys.exclude(expires_at__lte=request.now).order_by("-pk")
    context = {
        "server": server,
        "name": name,
        "product": product,
        "guide": product.GUIDE,
        "tabs": ways_of(name, filling),
        "secret": secret,
        "address": filling.address,
        "wants_address": needs_address(product.GUIDE),
        "listens": settings.BACKLEDGER.smtp_port != 0,
        "folder": _folder(request, server),
        "key": working.first(),
        "step": 3,
        **_live(request, server, name, since=_since(request, server), looks=0),
    }
    return render(request, "connect/send.html", context)


def _folder(request: StaffRequest, server: BackupServer) -> str:
    root = settings.BACKLEDGER.drop_folder
    return "" if root is None else str(folder_of(root, server, tenant=request.scope.tenant))


def _live(request: StaffRequest, server: BackupServer, name: str, *, since: datetime, looks: int) -> dict[str, Any]:
    """What the live part shows, and when it looks again (None: no more)."""
    tenant = request.scope.tenant
    arrivals, troubles = read_arrivals(tenant, server, since=since, picked=name), troubles_of(tenant, server)
    return {
        "server": server,
        "name": name,
        "arrivals": arrivals,
        "troubles": troubles,
        "since": f"{since.timestamp():.6f}",
        "looks": looks,
        "wait": _wait(looks),
        "seen": _fingerprint(arrivals, troubles, stopped=_wait(looks) is None),
    }


def _wait(looks: int) -> int | None:
    """Seconds until the next look, after so many."""
    for seconds, times in LOOKS:
        if looks < times:
            return seconds
        looks -= times
    return None


def _fingerprint(arrivals: tuple[Arrival, ...], troubles: tuple[str, ...], *, stopped: bool) -> str:
    """Changes with what is shown: what did not change is not drawn again, nor read out again."""
    shown = repr(([asdict(each) for each in arrivals], troubles, stopped))
    return hashlib.sha256(shown.encode()).hexdigest()[:16]


def _since(request: StaffRequest, server: BackupServer) -> datetime:
    """The moment from which logs count as arrived: what the page says, the server's registration, or now."""
    oldest = max(server.registered_at, request.now - FRESH)
    try:
        asked = datetime.fromtimestamp(float(request.GET.get("since", "")), UTC)
    except (ValueError, OverflowError, OSError):
        return oldest if server.registered_at >= request.now - FRESH else request.now
    return min(max(asked, oldest), request.now)


# --- step 2 ------------------------------------------------------------------------------------------------------


def _form_page(request: StaffRequest, name: str, product: Format, *, taken: uuid.UUID | None = None) -> FormPage:
    back = reverse("connect")
    return FormPage(
        title=f"Connect {product.LABEL}",
        back=back,
        submit="Register and show how to send",
        crumbs=(("Servers", reverse("servers")), ("Connect", back)),
        template="connect/form.html",
        more={"step": 2, "name": name, "product": product, "taken": taken},
    )


def _fields(request: StaffRequest, client: Client | None) -> tuple[Field, ...]:
    tenant = request.scope.tenant
    clients = Client.objects.of(tenant).exclude(state="deleted").order_by("name")
    choices = (("", "several, or a new one"), *((str(each.uid), each.name) for each in clients))
    zone = client.timezone if client else tenant.timezone
    return (
        Field("name", "Name of the server", required=True, maximum=200, placeholder="backup01",
              help="Any name: that of the machine, or of the console that reports."),
        Field("client", "Client", kind="choice", choices=choices, value=str(client.uid) if client else "",
              help="Whose backups it runs. Choose several if its logs are of more than one client."),
        Field("new_client", "Or a new client", maximum=200, help="Registered with the server; leave it empty if not."),
        Field("timezone", "Time zone", kind="choice", choices=_zones(zone), value=zone, required=True,
              help="Of times in its logs that name none."),
        Field("new_jobs", "Jobs nobody knows yet", kind="choice", choices=NEW_JOBS),
    )  # fmt: skip


def _zones(shown: str) -> tuple[tuple[str, str], ...]:
    """Places, not abbreviations, and the one that is set."""
    places = {zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "SystemV/"))}
    return tuple((zone, zone) for zone in sorted({"UTC", shown} | places))


def _wanted(request: StaffRequest, fields: tuple[Field, ...], product: Format) -> Wanted:
    values = read_typed(fields, request.POST)
    if values["client"] and values["new_client"]:
        raise BadField("new_client", "Choose a client or name a new one, not both.")
    return Wanted(
        name=values["name"],
        timezone=values["timezone"],
        client=_client(request, values["client"] or ""),
        new_client=values["new_client"] or "",
        new_jobs=values["new_jobs"] or "",
        needs_address=needs_address(product.GUIDE),
    )


# --- finding -----------------------------------------------------------------------------------------------------


def _product(name: str) -> Format:
    return found(FORMATS.get(name), "product")


def _server(request: StaffRequest, uid: uuid.UUID) -> BackupServer:
    rows = BackupServer.objects.of(request.scope.tenant).select_related("client").filter(uid=uid)
    row: BackupServer = found(rows.first(), "server")
    return row


def _client(request: StaffRequest, typed: str) -> Client | None:
    """The client that an address or a form names, None for none."""
    if not typed:
        return None
    rows = Client.objects.of(request.scope.tenant).exclude(state="deleted").filter(uid=_uid(typed))
    row: Client = found(rows.first(), "client")
    return row


def _uid(typed: str) -> uuid.UUID:
    try:
        return uuid.UUID(typed)
    except ValueError as error:
        raise Refused("There is no such page, or it is not yours to see.", status=404) from error


def _whole(typed: str, *, most: int) -> int:
    return min(int(typed), most) if typed.isascii() and typed.isdigit() and len(typed) < 6 else 0
