"""The settings pages, for every role: what they change, what follows from it, and what they refuse."""

from __future__ import annotations

import re
from datetime import time, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from alerts.models import Destination, Route, RuleSetting, Silence
from integrations.errors import PermanentFailure
from integrations.tickets import Created, email
from msp.backups.models import BackupJob, JobState
from msp.dashboard.typing_in import MANY
from msp.estate.models import BackupServer, Client, ClientStateSpan
from msp.tenants.models import ApiKey, AuditEntry, Branding, LookupKey, Membership, Reseller, User
from msp.tenants.secrets import key_hash
from tests.dashboard import scene
from tests.dashboard.scene import browser_of
from tests.world import PASSWORD, World, make_client, make_job, make_key, make_person, make_server

XSS = '<script>alert("x")</script>'
#: Pages for everybody of the tenant, for those who operate it, for its owners.
LOOK = ("settings", "rules", "routes", "routes-try", "destinations", "silences", "servers")
OPERATE = ("silence-new", "connect", "client-new")
OWN = ("route-new", "people", "person-invite", "keys", "key-new", "resellers", "reseller-new", "branding", "audit")


@pytest.fixture
def owner(world: World) -> Browser:
    return browser_of(world.owner)


@pytest.fixture
def technician(world: World) -> Browser:
    return browser_of(world.technician)


@pytest.fixture
def desk(world: World) -> Destination:
    """A destination whose configuration holds a secret."""
    made: Destination = Destination.objects.of(world.tenant).create(
        name="Desk", gateway="email", created_at=scene.now(),
        config={"host": "mail.example", "sender": "b@msp.example", "recipients": ["help@msp.example"],
                "username": "u", "password": "hunter2-secret"},
    )  # fmt: skip
    return made


def objects_of(world: World, desk: Destination) -> dict[str, str]:
    """Pages about one thing."""
    route = Route.objects.of(world.tenant).create(position=1, name="All", destination=desk)
    member = Membership.objects.of(world.tenant).get(user=world.technician)
    tenant = world.tenant
    return {
        "rules of the tenant": reverse("rules-of", args=["tenant", tenant.uid]),
        "rules of a reseller": reverse("rules-of", args=["reseller", world.reseller.uid]),
        "rules of a client": reverse("rules-of", args=["client", world.resold_client.uid]),
        "rules of a selection": reverse("rules-of", args=["selection", world.job.selection.uid]),
        "rules of a job": reverse("rules-of", args=["job", world.job.uid]),
        "server": reverse("server", args=[world.server.uid]),
        "client": reverse("client-edit", args=[world.client.uid]),
        "client state": reverse("client-state", args=[world.client.uid]),
        "client reseller": reverse("client-reseller", args=[world.client.uid]),
        "job": reverse("job-edit", args=[world.job.uid]),
        "route": reverse("route", args=[route.uid]),
        "destination": reverse("destination", args=[desk.uid]),
        "person": reverse("person", args=[member.uid]),
        "reseller": reverse("reseller", args=[world.reseller.uid]),
    }


LOOKED_AT = {
    "rules of the tenant", "rules of a reseller", "rules of a client", "rules of a selection", "rules of a job",
}  # fmt: skip
OWNED = {"route", "destination", "person", "reseller"}


def text_of(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


# ---- who may see and change what ---------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["owner", "technician", "billing", "reader", "reseller_staff"])
def test_lists_open_for_those_they_are_for(world: World, role: str) -> None:
    person = (
        make_person(world.tenant, "reader@northwind.example", role="reader")
        if role == "reader"
        else getattr(world, role)
    )
    browser = browser_of(person)
    beyond = 404 if role == "reseller_staff" else 403
    wanted = dict.fromkeys(LOOK, 404 if role == "reseller_staff" else 200)
    wanted |= dict.fromkeys(OPERATE, 200 if role in ("owner", "technician") else beyond)
    wanted |= dict.fromkeys(OWN, 200 if role == "owner" else beyond)
    assert {name: browser.get(reverse(name)).status_code for name in wanted} == wanted


@pytest.mark.parametrize("role", ["owner", "technician", "billing", "reseller_staff"])
def test_things_open_for_those_they_are_for(world: World, desk: Destination, role: str) -> None:
    browser = browser_of(getattr(world, role))
    for name, address in objects_of(world, desk).items():
        allowed = role == "owner" or name in LOOKED_AT or (role == "technician" and name not in OWNED)
        wanted = 404 if role == "reseller_staff" else 200 if allowed else 403
        assert browser.get(address).status_code == wanted, name


def test_a_foreign_owner_finds_none_of_them(world: World, desk: Destination) -> None:
    browser = browser_of(world.stranger)
    for name, address in objects_of(world, desk).items():
        assert browser.get(address).status_code == 404, name
        assert browser.post(address, {"name": "mine now"}).status_code == 404, name
    assert Destination.objects.of(world.tenant).get(pk=desk.pk).name == "Desk"


@pytest.mark.parametrize("role", ["billing", "reseller_staff"])
def test_money_people_and_resellers_change_no_setting(world: World, desk: Destination, role: str) -> None:
    browser = browser_of(getattr(world, role))
    objects = objects_of(world, desk)
    posts = [
        reverse("rule-change", args=["tenant", world.tenant.uid, "errors"]), objects["route"], objects["destination"],
        reverse("destination-check", args=[desk.uid]), reverse("destination-test", args=[desk.uid]),
        reverse("destination-pause", args=[desk.uid]), reverse("silence-new"),
        reverse("connect-server", args=["restic"]), reverse("connect-ways", args=[world.server.uid, "restic"]),
        reverse("server-key", args=[world.server.uid]), reverse("client-new"), objects["job"], objects["client state"],
        reverse("key-new"), reverse("person-invite"), reverse("branding"),
    ]  # fmt: skip
    for address in posts:
        assert browser.post(address, {"grace": "0"}).status_code in (403, 404), address
    assert not RuleSetting.objects.of(world.tenant).exists()
    assert not AuditEntry.objects.of(world.tenant).exists()


def test_every_change_needs_a_token(world: World, desk: Destination) -> None:
    strict = Browser(enforce_csrf_checks=True)
    strict.force_login(world.owner, backend="django.contrib.auth.backends.ModelBackend")
    for address in (*objects_of(world, desk).values(), reverse("server-key", args=[world.server.uid])):
        assert strict.post(address).status_code == 403, address


# ---- rules --------------------------------------------------------------------------------------------------------


def test_a_rule_is_set_inherited_and_reset(world: World, technician: Browser) -> None:
    tenant_form = reverse("rule-change", args=["tenant", world.tenant.uid, "errors"])
    rules = reverse("rules-of", args=["client", world.client.uid])
    JobState.objects.of(world.tenant).filter(job=world.job).update(check_after=None)
    assert technician.post(tenant_form, {"errors-enabled": "", "errors-severity": "info"}).status_code == 302
    assert JobState.objects.of(world.tenant).get(job=world.job).check_after is not None
    page = text_of(technician.get(rules))
    assert "Inherited: info, from tenant Northwind MSP." in page
    client_form = reverse("rule-change", args=["client", world.client.uid, "errors"])
    assert technician.post(client_form, {"errors-enabled": "no", "errors-severity": ""}).status_code == 302
    row = RuleSetting.objects.of(world.tenant).get(scope_kind="client")
    assert (row.enabled, row.severity, row.parameters) == (False, "", {})
    assert "set here" in text_of(technician.get(rules))
    assert technician.post(client_form, {"do": "reset"}).status_code == 302
    assert not RuleSetting.objects.of(world.tenant).filter(scope_kind="client").exists()
    told = list(AuditEntry.objects.of(world.tenant).order_by("pk").values_list("action", "actor"))
    assert [action for action, _ in told] == ["rule set", "rule set", "rule setting removed"]
    assert {actor for _, actor in told} == {"tech@northwind.example"}


@pytest.mark.parametrize("typed", ["-1", "99999999", "1e3", "١٢", "１２", "4.5", "9" * 5000, "a", "1_0"])
def test_a_parameter_that_cannot_be_is_refused_at_its_field(world: World, technician: Browser, typed: str) -> None:
    page = technician.get(reverse("rules")).content.decode()
    (name,) = re.findall(r'type="number" id="f-(no_recent_backup-\w+)"', page)[:1]
    address = reverse("rule-change", args=["tenant", world.tenant.uid, "no_recent_backup"])
    response = technician.post(address, {name: typed})
    assert response.status_code == 422
    page = response.content.decode()
    assert f'value="{typed}"' in page
    assert f'id="h-{name}"><span class="wrong" role="alert">' in page
    assert not RuleSetting.objects.of(world.tenant).exists()


def test_a_choice_and_a_switch_are_set_in_words(world: World, technician: Browser) -> None:
    address = reverse("rule-change", args=["tenant", world.tenant.uid, "quota_overrun"])
    assert "Inherited: protected size, from the rule itself." in text_of(technician.get(reverse("rules")))
    assert technician.post(address, {"quota_overrun-metric": "stored"}).status_code == 302
    errors = reverse("rule-change", args=["tenant", world.tenant.uid, "errors"])
    assert technician.post(errors, {"errors-only_repeating": "yes"}).status_code == 302
    stored = dict(RuleSetting.objects.of(world.tenant).values_list("kind", "parameters"))
    assert stored == {"quota_overrun": {"metric": "stored"}, "errors": {"only_repeating": True}}
    below = text_of(technician.get(reverse("rules-of", args=["client", world.client.uid])))
    assert "Inherited: stored size, from tenant Northwind MSP." in below
    assert technician.post(address, {"quota_overrun-metric": "eaten"}).status_code == 422


def test_thresholds_the_wrong_way_round_are_refused_at_their_field(world: World, technician: Browser) -> None:
    address = reverse("rule-change", args=["tenant", world.tenant.uid, "quota_overrun"])
    typed = {"quota_overrun-warn_percent": "90", "quota_overrun-second_warn_percent": "80"}
    response = technician.post(address, typed)
    assert response.status_code == 422
    page = response.content.decode()
    assert "The steps of the warning must rise: 80 percent comes after 90." in page
    assert 'id="h-quota_overrun-second_warn_percent"><span class="wrong" role="alert">' in page
    assert not RuleSetting.objects.of(world.tenant).exists()


def test_a_level_or_rule_that_is_not_there(world: World, technician: Browser) -> None:
    for level, uid, kind in (
        ("tenant", world.other.uid, "errors"), ("planet", world.tenant.uid, "errors"),
        ("client", make_client(world.other, "Abroad").uid, "errors"), ("job", world.job.uid, "quota_overrun"),
        ("job", world.job.uid, "nonsense"),
    ):  # fmt: skip
        assert technician.post(reverse("rule-change", args=[level, uid, kind]), {}).status_code == 404


# ---- routes and destinations --------------------------------------------------------------------------------------


def route_form(desk: Destination | None, **values: Any) -> dict[str, Any]:
    base = {"name": "All", "destination": str(desk.uid) if desk else "", "severity_at_least": "info",
            "grouping": "job", "hold_minutes": "0", "repeat_hours": "24", "enabled": "yes"}  # fmt: skip
    return base | values


def test_routes_are_made_moved_tried_and_deleted(world: World, desk: Destination, owner: Browser) -> None:
    quiet = route_form(None, name="Bakery is quiet", client_ids=[str(world.resold_client.uid)])
    assert owner.post(reverse("route-new"), route_form(desk, kinds=["errors"])).status_code == 302
    assert owner.post(reverse("route-new"), quiet).status_code == 302
    first, second = Route.objects.of(world.tenant).order_by("position")
    assert (first.kinds, second.client_ids) == (["errors"], [world.resold_client.pk])
    asked = {"kind": "errors", "severity": "critical", "client": str(world.resold_client.uid), "server": ""}
    assert "To Desk , by route “All”" in text_of(owner.get(reverse("routes-try"), asked))
    assert owner.post(reverse("route-move", args=[second.uid]), {"to": "up"}).status_code == 302
    assert [row.pk for row in Route.objects.of(world.tenant).order_by("position")] == [second.pk, first.pk]
    assert "tells nobody on purpose" in text_of(owner.get(reverse("routes-try"), asked))
    assert owner.post(reverse("route-move", args=[second.uid]), {"to": "up"}).status_code == 302
    assert owner.post(reverse("route-delete", args=[second.uid])).status_code == 302
    page = owner.get(reverse("route", args=[first.uid])).content.decode()
    assert 'value="errors" checked' in page
    told = AuditEntry.objects.of(world.tenant).order_by("pk").values_list("action", flat=True)
    assert list(told) == ["route added", "route added", "route moved", "route deleted"]


def test_a_route_keeps_its_quiet_hours(world: World, desk: Destination, owner: Browser) -> None:
    typed = {"quiet_from": "22:30", "quiet_until": "07:00", "quiet_weekends": "yes", "quiet_unless": "critical"}
    assert owner.post(reverse("route-new"), route_form(desk, **typed)).status_code == 302
    row = Route.objects.of(world.tenant).get()
    assert (row.quiet_from, row.quiet_until, row.quiet_weekends) == (time(22, 30), time(7), True)
    page = owner.get(reverse("route", args=[row.uid])).content.decode()
    assert 'value="22:30"' in page
    assert "quiet 22:30 to 07:00 and on weekends, but for critical" in text_of(owner.get(reverse("routes")))
    assert owner.post(reverse("route", args=[row.uid]), route_form(desk)).status_code == 302
    row.refresh_from_db()
    assert (row.quiet_from, row.quiet_until, row.quiet_weekends) == (None, None, False)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"hold_minutes": "-1"}, "at least 0"),
        ({"hold_minutes": "99999999"}, "at most 10,080"),
        ({"repeat_hours": ""}, "is missing"),
        ({"kinds": ["nonsense"]}, "cannot be"),
        ({"client_ids": ["x"]}, "cannot be"),
        ({"severity_at_least": "loud"}, "cannot be"),
        ({"quiet_from": "22:00"}, "a beginning and an end"),
        ({"quiet_from": "22:00", "quiet_until": "22:00"}, "another time than they begin"),
        ({"quiet_from": "10 pm", "quiet_until": "07:00"}, "written like 22:00"),
        ({"quiet_from": "24:30", "quiet_until": "07:00"}, "written like 22:00"),
        ({"quiet_unless": "loud"}, "cannot be"),
    ],
)
def test_a_route_that_cannot_be_is_refused(
    world: World, desk: Destination, owner: Browser, typed: dict[str, Any], sentence: str
) -> None:
    response = owner.post(reverse("route-new"), route_form(desk, name=XSS) | typed)
    assert response.status_code == 422
    page = response.content.decode()
    assert sentence in text_of(response)
    assert XSS not in page
    assert "&lt;script&gt;" in page
    assert not Route.objects.of(world.tenant).exists()


def test_a_secret_goes_in_and_never_comes_out(world: World, desk: Destination, owner: Browser) -> None:
    address = reverse("destination", args=[desk.uid])
    page = owner.get(address).content.decode()
    assert "hunter2" not in page
    assert 'placeholder="unchanged"' in page
    typed = {"name": "Desk", "enabled": "yes", "host": "mail2.example", "sender": "b@msp.example",
             "recipients": "help@msp.example", "port": "587", "security": "starttls", "username": "u", "password": "",
             "readers": "people", "auto_submitted": "by-reader"}  # fmt: skip
    assert owner.post(address, typed).status_code == 302
    stored = Destination.objects.of(world.tenant).get(pk=desk.pk).config
    assert (stored["host"], stored["password"]) == ("mail2.example", "hunter2-secret")
    assert owner.post(address, typed | {"password": "another-secret"}).status_code == 302
    wrong = owner.post(address, typed | {"password": "typed-secret", "sender": "nobody"})
    assert wrong.status_code == 422
    assert "typed-secret" not in wrong.content.decode()
    trail = str(list(AuditEntry.objects.of(world.tenant).values_list("before", "after")))
    assert "mail2.example" in trail
    assert "secret" not in trail
    assert "hunter2" not in owner.get(reverse("audit")).content.decode()


def test_a_destination_keeps_its_limit_and_the_mailbox_it_falls_back_to(
    world: World, desk: Destination, owner: Browser
) -> None:
    mailboxes = [
        Destination.objects.of(tenant).create(
            name="People", gateway="email", config=desk.config, created_at=scene.now()
        )
        for tenant in (world.tenant, world.other)
    ]  # fmt: skip
    address = reverse("destination", args=[desk.uid])
    assert 'value="60"' in owner.get(reverse("destination-new", args=["email"])).content.decode()
    typed = {"name": "Desk", "enabled": "yes", "host": "mail.example", "sender": "b@msp.example",
             "recipients": "help@msp.example", "port": "587", "security": "starttls", "username": "u",
             "readers": "people", "auto_submitted": "by-reader", "tickets_per_hour": "25"}  # fmt: skip
    assert owner.post(address, typed | {"fallback": str(mailboxes[0].uid)}).status_code == 302
    desk.refresh_from_db()
    assert (desk.tickets_per_hour, desk.fallback_id) == (25, mailboxes[0].pk)
    assert owner.post(address, typed | {"fallback": str(mailboxes[1].uid)}).status_code == 422
    assert owner.post(address, typed | {"fallback": str(desk.uid)}).status_code == 422
    assert owner.post(address, typed | {"tickets_per_hour": ""}).status_code == 302
    desk.refresh_from_db()
    assert (desk.tickets_per_hour, desk.fallback_id) == (None, None)


@pytest.mark.parametrize(
    ("gateway", "typed", "field"),
    [
        ("email", {"host": "not a host", "sender": "b@msp.example", "recipients": "a@b.example"}, "host"),
        ("email", {"host": "m.example", "sender": "b@m.example", "recipients": ""}, "recipients"),
        (
            "email",
            {"host": "m.example", "sender": "b@m.example", "recipients": "a@b.example", "port": "99999"},
            "port",
        ),
        ("email", {"host": "m.example", "sender": "b@m.example", "recipients": "a@b.example", "port": "٥٨٧"}, "port"),
        ("rest", {"base_url": "https://desk.example", "create_path": ""}, "create_path"),
        ("rest", {"base_url": "https://d.example", "create_path": "/t", "create_body": "{"}, "create_body"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused_at_its_field(
    world: World, owner: Browser, gateway: str, typed: dict[str, str], field: str
) -> None:
    base = {"name": "New", "enabled": "yes", "port": "25", "security": "none", "readers": "people",
            "auto_submitted": "never"}  # fmt: skip
    response = owner.post(reverse("destination-new", args=[gateway]), base | typed)
    assert response.status_code == 422
    assert re.search(rf'id="h-{field}"[^>]*><span class="wrong"', response.content.decode())
    assert 'value="New"' in response.content.decode()
    assert not Destination.objects.of(world.tenant).exists()


def test_a_connection_is_tested_and_a_test_ticket_sent(
    world: World, desk: Destination, owner: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Any] = [PermanentFailure("The desk refuses hunter2-secret."), ("The mailbox is full.",), ()]

    def answer(*args: Any, **values: Any) -> tuple[str, ...]:
        said = answers.pop(0)
        if isinstance(said, Exception):
            raise said
        problems: tuple[str, ...] = said
        return problems

    monkeypatch.setattr(email, "check", answer)
    address = reverse("destination-check", args=[desk.uid])
    assert "The desk refuses •••." in text_of(owner.post(address))
    assert "The mailbox is full." in text_of(owner.post(address))
    assert "Desk answers and takes this configuration." in text_of(owner.post(address))

    sent: list[str] = []

    def create(config: Any, ticket: Any, *, call: Any) -> Created:
        sent.append(ticket.text.subject)
        return Created("T-1")

    monkeypatch.setattr(email, "create", create)
    monkeypatch.setattr(email, "close", lambda config, thread, text, **values: sent.append(text.subject))
    said = text_of(owner.post(reverse("destination-test", args=[desk.uid])))
    assert "The test ticket T-1 was opened there and closed again." in said
    assert len(set(sent)) == 1
    assert len(sent) == 2


def test_a_destination_is_paused_and_goes_on(world: World, desk: Destination, owner: Browser) -> None:
    address = reverse("destination-pause", args=[desk.uid])
    assert owner.post(address, {"do": "pause", "reason": "moving"}).status_code == 302
    assert "moving" in text_of(owner.get(reverse("destinations")))
    assert owner.post(address, {"do": "resume"}).status_code == 302
    assert Destination.objects.of(world.tenant).get(pk=desk.pk).paused_at is None


# ---- silences, servers, clients, jobs ----------------------------------------------------------------------------


def test_a_silence_is_set_and_ended(world: World, technician: Browser) -> None:
    start = scene.now()
    typed = {"about": f"job:{world.job.uid}", "starts_at": f"{start - timedelta(minutes=5):%Y-%m-%dT%H:%M}",
             "ends_at": f"{start + timedelta(hours=3):%Y-%m-%dT%H:%M}", "reason": f"new disks {XSS}"}  # fmt: skip
    assert technician.post(reverse("silence-new"), typed).status_code == 302
    row = Silence.objects.of(world.tenant).get()
    assert (row.scope_kind, row.scope_id) == ("job", world.job.pk)
    page = technician.get(reverse("silences")).content.decode()
    assert XSS not in page
    assert "Job files" in page
    assert technician.post(reverse("silence-end", args=[row.uid])).status_code == 302
    assert Silence.objects.of(world.tenant).get().ends_at <= scene.now() + timedelta(seconds=5)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"ends_at": "2026-01-01T00:00"}, "ends after it begins"),
        ({"starts_at": "2020-01-01T00:00", "ends_at": "2020-01-02T00:00"}, "over already"),
        ({"ends_at": "2999-01-01T00:00"}, "at most a year"),
        ({"ends_at": "0001-01-01T00:00"}, "ends after"),
        ({"ends_at": "tomorrow"}, "must be a day and a time"),
        ({"about": "job:00000000-0000-0000-0000-000000000000"}, "cannot be"),
        ({"reason": ""}, "is missing"),
    ],
)
def test_a_silence_that_cannot_be_is_refused(
    world: World, technician: Browser, typed: dict[str, str], sentence: str
) -> None:
    start = scene.now()
    base = {"about": "tenant", "starts_at": f"{start:%Y-%m-%dT%H:%M}",
            "ends_at": f"{start + timedelta(hours=3):%Y-%m-%dT%H:%M}", "reason": "why"}  # fmt: skip
    response = technician.post(reverse("silence-new"), base | typed)
    assert response.status_code == 422
    assert sentence in text_of(response)


def test_a_servers_key_is_replaced_and_revoked(world: World, technician: Browser) -> None:
    address = reverse("server-key", args=[world.server.uid])
    shown = technician.post(address, {"grace": "0"}).content.decode()
    (secret,) = set(re.findall(r"bl_[A-Za-z0-9_-]{43}", shown))
    assert secret != world.server_key
    assert LookupKey.objects.filter(kind="key", value=key_hash(secret)).exists()
    assert secret not in technician.get(reverse("server", args=[world.server.uid])).content.decode()
    (old,) = ApiKey.objects.of(world.tenant).filter(server_id=world.server.pk, revoked_at__isnull=False)
    assert world.server_key.startswith(old.hint)
    fresh = ApiKey.objects.of(world.tenant).get(server_id=world.server.pk, revoked_at__isnull=True)
    assert technician.post(address, {"revoke": str(fresh.uid)}).status_code == 302
    assert not ApiKey.objects.of(world.tenant).filter(server_id=world.server.pk, revoked_at__isnull=True).exists()


def test_a_servers_key_of_another_server_is_not_revoked(world: World, technician: Browser) -> None:
    other, _ = make_server(world.tenant, "backup03")
    key = ApiKey.objects.of(world.tenant).get(server_id=other.pk)
    response = technician.post(reverse("server-key", args=[world.server.uid]), {"revoke": str(key.uid)})
    assert response.status_code == 404


def test_a_client_is_registered_changed_and_suspended(world: World, technician: Browser) -> None:
    typed = {"code": "dock", "name": "Dock & Co", "timezone": "", "quota_gb": "500.5", "tickets_enabled": "yes",
             "notes": "", "state": "trial", "reseller": str(world.reseller.uid)}  # fmt: skip
    assert technician.post(reverse("client-new"), typed).status_code == 302
    client = Client.objects.of(world.tenant).get(code="dock")
    assert (client.quota_bytes, client.reseller_id) == (500_500_000_000, world.reseller.pk)
    taken = technician.post(reverse("client-new"), typed | {"name": "Again"})
    assert taken.status_code == 422
    assert "belongs to the client Dock" in text_of(taken)
    page = technician.get(reverse("client-edit", args=[client.uid])).content.decode()
    assert 'value="500.5"' in page
    change = typed | {"quota_gb": "", "timezone": "Asia/Tokyo"}
    assert technician.post(reverse("client-edit", args=[client.uid]), change).status_code == 302
    client.refresh_from_db()
    assert (client.quota_bytes, client.timezone) == (None, "Asia/Tokyo")
    today = f"{scene.now():%Y-%m-%d}"
    state = reverse("client-state", args=[client.uid])
    assert technician.post(state, {"state": "active", "on": today}).status_code == 302
    assert ClientStateSpan.objects.of(world.tenant).get(client=client, until__isnull=True).state == "active"
    ahead = technician.post(state, {"state": "suspended", "on": "2999-01-01"})
    assert ahead.status_code == 422
    assert "cannot be dated ahead" in text_of(ahead)
    reseller = reverse("client-reseller", args=[client.uid])
    assert technician.post(reseller, {"reseller": "", "on": today}).status_code == 302


@pytest.mark.parametrize("typed", ["0", "-5", "1e99", "9" * 15, "٥"])
def test_a_quota_that_cannot_be_is_refused(world: World, technician: Browser, typed: str) -> None:
    form = {"name": "Acme Dental", "quota_gb": typed, "tickets_enabled": "yes"}
    response = technician.post(reverse("client-edit", args=[world.client.uid]), form)
    assert response.status_code == 422
    assert f'value="{typed}"' in response.content.decode()


def test_a_job_gets_a_schedule(world: World, technician: Browser) -> None:
    address = reverse("job-edit", args=[world.job.uid])
    assert technician.post(address, {"schedule": "daily 22:00", "timezone": "", "state": "active"}).status_code == 302
    assert BackupJob.objects.of(world.tenant).get(pk=world.job.pk).schedule == "daily 22:00"
    refused = technician.post(address, {"schedule": "when I feel like it", "timezone": "", "state": "active"})
    assert refused.status_code == 422
    assert 'value="when I feel like it"' in refused.content.decode()
    assert technician.post(address, {"schedule": "", "timezone": "", "state": "paused"}).status_code == 302


# ---- people, keys, resellers, branding, audit --------------------------------------------------------------------


def test_a_person_is_invited_and_sets_a_password_once(world: World, owner: Browser) -> None:
    typed = {"email": "New@Northwind.example", "name": "Nia", "role": "technician", "reseller": ""}
    shown = owner.post(reverse("person-invite"), typed).content.decode()
    (link,) = re.findall(r"http://testserver(/set-password/[^<\s]+)<", shown)
    guest = Browser()
    form = guest.get(link, follow=True)
    address = form.redirect_chain[-1][0]
    answer = guest.post(address, {"new_password1": PASSWORD, "new_password2": PASSWORD})
    assert answer.status_code == 302
    assert User.objects.get(email="new@northwind.example").check_password(PASSWORD)
    assert "This link is used up" in Browser().get(link, follow=True).content.decode()
    again = owner.post(reverse("person-invite"), typed)
    assert "belongs to Northwind MSP already" in text_of(again)


def test_somebody_of_another_tenant_keeps_their_password(world: World, owner: Browser) -> None:
    typed = {"email": world.stranger.email, "name": "", "role": "billing", "reseller": ""}
    shown = owner.post(reverse("person-invite"), typed).content.decode()
    assert "/set-password/" not in shown
    member = Membership.objects.of(world.tenant).get(user=world.stranger)
    refused = owner.post(reverse("person-link", args=[member.uid]))
    assert refused.status_code == 409
    assert "/set-password/" not in refused.content.decode()


def test_the_last_owner_stays(world: World, owner: Browser) -> None:
    member = Membership.objects.of(world.tenant).get(user=world.owner)
    refused = owner.post(reverse("person", args=[member.uid]), {"role": "reader", "reseller": ""})
    assert refused.status_code == 409
    assert owner.post(reverse("person-remove", args=[member.uid])).status_code == 409
    assert Membership.objects.of(world.tenant).get(pk=member.pk).role == "owner"


def test_a_person_gets_another_role_and_is_taken_off(world: World, owner: Browser) -> None:
    member = Membership.objects.of(world.tenant).get(user=world.technician)
    address = reverse("person", args=[member.uid])
    unbound = owner.post(address, {"role": "reseller", "reseller": ""})
    assert unbound.status_code == 422
    assert "Name the reseller" in text_of(unbound)
    bound = owner.post(address, {"role": "billing", "reseller": str(world.reseller.uid)})
    assert "belongs to a reseller" in text_of(bound)
    assert owner.post(address, {"role": "reseller", "reseller": str(world.reseller.uid)}).status_code == 302
    assert owner.post(reverse("person-remove", args=[member.uid])).status_code == 302
    assert browser_of(world.technician).get(reverse("settings")).status_code == 302


@pytest.mark.parametrize("email", ["nobody", "a@b", XSS, "a@b.example\x00"])
def test_an_address_that_is_none_is_refused(world: World, owner: Browser, email: str) -> None:
    response = owner.post(reverse("person-invite"), {"email": email, "role": "reader"})
    assert response.status_code == 422
    assert XSS not in response.content.decode()


def test_an_api_key_is_shown_once_and_revoked(world: World, owner: Browser) -> None:
    typed = {"name": f"reports {XSS}", "scopes": ["read", "billing"], "reseller": "", "ends_on": "2999-12-31"}
    shown = owner.post(reverse("key-new"), typed).content.decode()
    assert XSS not in shown
    (secret,) = set(re.findall(r"bl_[A-Za-z0-9_-]{43}", shown))
    listed = owner.get(reverse("keys")).content.decode()
    assert secret not in listed
    row = ApiKey.objects.of(world.tenant).get(name__startswith="reports")
    assert row.scopes == ["billing", "read"]
    assert owner.post(reverse("key-revoke", args=[row.uid])).status_code == 302
    assert ApiKey.objects.of(world.tenant).get(pk=row.pk).revoked_at is not None
    wrongs: tuple[dict[str, Any], ...] = (
        {"scopes": []},
        {"ends_on": "2020-01-01"},
        {"scopes": ["everything"]},
        {"name": ""},
    )
    for wrong in wrongs:
        assert owner.post(reverse("key-new"), typed | wrong).status_code == 422


def test_resellers_and_branding_are_stored(world: World, owner: Browser) -> None:
    assert owner.post(reverse("reseller-new"), {"name": "Quay", "code": "quay", "state": "active"}).status_code == 302
    taken = owner.post(reverse("reseller-new"), {"name": "Again", "code": "quay", "state": "active"})
    assert taken.status_code == 422
    assert "another reseller" in text_of(taken)
    assert Reseller.objects.of(world.tenant).filter(code="quay").count() == 1
    good = {"title": "Quay Backup", "colour": "#1d4fd0", "help_url": "https://quay.example", "sender_address": ""}
    assert owner.post(reverse("branding"), good).status_code == 302
    assert owner.post(f"{reverse('branding')}?reseller={world.reseller.uid}", good).status_code == 302
    assert Branding.objects.of(world.tenant).count() == 2
    for wrong in ({"colour": "red;}"}, {"help_url": "javascript:alert(1)"}, {"sender_address": "x"}):
        assert owner.post(reverse("branding"), good | wrong).status_code == 422
    for unknown in ("x", world.other.uid):
        assert owner.get(f"{reverse('branding')}?reseller={unknown}").status_code == 404


def test_the_audit_trail_is_filtered(world: World, owner: Browser) -> None:
    owner.post(reverse("reseller-new"), {"name": XSS, "code": "x", "state": "active"})
    owner.post(reverse("branding"), {"title": "New title"})
    page = owner.get(reverse("audit"), {"kind": "branding"}).content.decode()
    assert "New title" in page
    assert "&lt;script&gt;" not in page
    whole = owner.get(reverse("audit")).content.decode()
    assert XSS not in whole
    assert "&lt;script&gt;" in whole
    assert "Nothing fits" in owner.get(reverse("audit"), {"text": "no such thing"}).content.decode()


# ---- names and numbers of queries --------------------------------------------------------------------------------


def test_names_are_text_on_every_page(world: World, desk: Destination, owner: Browser) -> None:
    tenant = world.tenant
    objects = objects_of(world, desk)
    for model in (Client, BackupServer, BackupJob, Reseller, Destination, Route):
        rows = model.objects.of(tenant)
        rows.filter(pk__in=rows.order_by("pk").values_list("pk", flat=True)[:1]).update(name=XSS)
    for address in (*objects.values(), *(reverse(name) for name in (*LOOK, *OPERATE, *OWN))):
        assert XSS not in owner.get(address).content.decode(), address


def queries_of(browser: Browser, address: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert browser.get(address).status_code == 200
    return len(captured)


@pytest.mark.parametrize(
    "name", ["rules", "routes", "destinations", "silences", "servers", "people", "keys", "resellers", "audit"]
)
def test_longer_lists_need_no_more_queries(world: World, desk: Destination, owner: Browser, name: str) -> None:
    grow(world, desk, 1)
    address = reverse(name)
    queries_of(owner, address)
    before = queries_of(owner, address)
    grow(world, desk, 2)
    grow(world, desk, 3)
    assert queries_of(owner, address) == before


def grow(world: World, desk: Destination, place: int) -> None:
    """One more of everything."""
    tenant = world.tenant
    client = make_client(tenant, f"Further {place}")
    server, _ = make_server(tenant, f"backup1{place}", client=client)
    make_job(tenant, server, client, "disk")
    make_person(tenant, f"person{place}@northwind.example", role="reader")
    make_key(tenant, f"key {place}", scopes=["read"])
    Reseller.objects.of(tenant).create(name=f"R{place}", code=f"r{place}", created_at=scene.now())
    Route.objects.of(tenant).create(position=place, destination=desk, client_ids=[client.pk])
    Destination.objects.of(tenant).create(name=f"D{place}", gateway="email", config={}, created_at=scene.now())
    RuleSetting.objects.of(tenant).create(
        kind="errors", scope_kind="client", scope_id=client.pk, severity="info", updated_at=scene.now()
    )
    for kind, thing in (("client", client), ("server", server)):
        Silence.objects.of(tenant).create(
            scope_kind=kind, scope_id=thing.pk, starts_at=scene.now(), ends_at=scene.now() + timedelta(hours=1)
        )
    AuditEntry.objects.of(tenant).create(at=scene.now(), actor="x", action="y", subject_kind="z", after={"a": place})


def test_ticked_values_hold_no_separator() -> None:
    assert MANY not in "0123456789abcdef-_"
