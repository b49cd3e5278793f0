"""Dated changes: spans and the column beside them move together, never before what holds now began, never ahead."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from msp.estate.models import (
    Client,
    ClientResellerSpan,
    ClientStateSpan,
    Machine,
    Selection,
    SelectionClientSpan,
)
from msp.estate.spans import (
    Actor,
    BadChange,
    Taken,
    move_selection,
    register_client,
    set_client_reseller,
    set_client_state,
)
from msp.tenants.models import AuditEntry, Reseller, Tenant
from tests.world import World, make_client, make_reseller_of

NOW = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
ACTOR = Actor(name="tech@northwind.example", id=7, now=NOW, reason="They asked for it.")
BEGAN = date(2026, 1, 1)

pytestmark = pytest.mark.django_db


def states(world: World) -> list[tuple[str, date, date | None]]:
    rows = ClientStateSpan.objects.of(world.tenant).filter(client=world.client).order_by("since")
    return list(rows.values_list("state", "since", "until"))


def test_a_state_ends_the_one_before(world: World) -> None:
    changed = set_client_state(world.tenant, world.client.pk, state="suspended", on=date(2026, 3, 10), actor=ACTOR)
    assert changed.state == "suspended"
    set_client_state(world.tenant, world.client.pk, state="active", on=date(2026, 4, 1), actor=ACTOR)
    assert states(world) == [
        ("active", BEGAN, date(2026, 3, 10)),
        ("suspended", date(2026, 3, 10), date(2026, 4, 1)),
        ("active", date(2026, 4, 1), None),
    ]
    world.client.refresh_from_db()
    assert world.client.state == "active"


def test_a_second_change_on_the_same_day_replaces_the_first(world: World) -> None:
    for state in ("suspended", "trial"):
        set_client_state(world.tenant, world.client.pk, state=state, on=date(2026, 3, 10), actor=ACTOR)
    assert states(world) == [("active", BEGAN, date(2026, 3, 10)), ("trial", date(2026, 3, 10), None)]


def test_the_same_state_again_writes_nothing(world: World) -> None:
    set_client_state(world.tenant, world.client.pk, state="active", on=date(2026, 3, 10), actor=ACTOR)
    assert states(world) == [("active", BEGAN, None)]
    assert not AuditEntry.objects.of(world.tenant).exists()


def test_a_day_before_what_holds_now_is_refused(world: World) -> None:
    set_client_state(world.tenant, world.client.pk, state="suspended", on=date(2026, 3, 10), actor=ACTOR)
    with pytest.raises(BadChange, match="what holds now began on 2026-03-10") as refused:
        set_client_state(world.tenant, world.client.pk, state="active", on=date(2026, 3, 9), actor=ACTOR)
    assert refused.value.field == "on"
    assert len(states(world)) == 2
    world.client.refresh_from_db()
    assert world.client.state == "suspended"


def test_a_day_ahead_is_refused_by_the_tenants_calendar(world: World) -> None:
    with pytest.raises(BadChange, match="dated ahead"):
        set_client_state(world.tenant, world.client.pk, state="trial", on=date(2026, 11, 23), actor=ACTOR)
    # 23:30 UTC is half past midnight of the 23rd in Berlin.
    Tenant.objects.filter(pk=world.tenant.pk).update(timezone="Europe/Berlin")
    world.tenant.refresh_from_db()
    set_client_state(world.tenant, world.client.pk, state="trial", on=date(2026, 11, 23), actor=ACTOR)
    assert states(world)[-1] == ("trial", date(2026, 11, 23), None)


def test_an_unknown_state_is_refused(world: World) -> None:
    with pytest.raises(BadChange, match='not "gone"'):
        set_client_state(world.tenant, world.client.pk, state="gone", on=BEGAN, actor=ACTOR)


def test_a_change_is_audited_with_who_and_why(world: World) -> None:
    set_client_state(world.tenant, world.client.pk, state="suspended", on=date(2026, 3, 10), actor=ACTOR)
    entry = AuditEntry.objects.of(world.tenant).get()
    assert (entry.actor, entry.actor_id, entry.reason, entry.at) == (ACTOR.name, 7, ACTOR.reason, NOW)
    assert (entry.subject_kind, entry.subject_id) == ("client", world.client.pk)
    assert (entry.before, entry.after) == ({"state": "active"}, {"state": "suspended", "on": "2026-03-10"})


def test_a_client_changes_its_reseller(world: World) -> None:
    set_client_reseller(world.tenant, world.client.pk, reseller=world.reseller, on=date(2026, 3, 10), actor=ACTOR)
    changed = set_client_reseller(world.tenant, world.client.pk, reseller=None, on=date(2026, 4, 1), actor=ACTOR)
    assert changed.reseller_id is None
    rows = ClientResellerSpan.objects.of(world.tenant).filter(client=world.client).order_by("since")
    assert list(rows.values_list("reseller_id", "since", "until")) == [
        (None, BEGAN, date(2026, 3, 10)),
        (world.reseller.pk, date(2026, 3, 10), date(2026, 4, 1)),
        (None, date(2026, 4, 1), None),
    ]


def test_another_tenants_reseller_or_client_is_none(world: World) -> None:
    foreign = make_reseller_of(world.other, "Foreign")
    with pytest.raises(Reseller.DoesNotExist):
        set_client_reseller(world.tenant, world.client.pk, reseller=foreign, on=BEGAN, actor=ACTOR)
    theirs = Client.objects.of(world.other).get()
    with pytest.raises(Client.DoesNotExist):
        move_selection(world.tenant, world.job.selection_id, client=theirs, on=BEGAN, actor=ACTOR)
    with pytest.raises(Client.DoesNotExist):
        set_client_state(world.tenant, theirs.pk, state="trial", on=BEGAN, actor=ACTOR)


def test_a_selection_moves_and_leaves_its_machine(world: World) -> None:
    machine = Machine.objects.of(world.tenant).create(client=world.client, name="files01")
    Selection.objects.of(world.tenant).filter(pk=world.job.selection_id).update(machine=machine)
    moved = move_selection(
        world.tenant, world.job.selection_id, client=world.resold_client, on=date(2026, 4, 1), actor=ACTOR
    )
    assert (moved.client_id, moved.machine_id) == (world.resold_client.pk, None)
    rows = SelectionClientSpan.objects.of(world.tenant).filter(selection=moved).order_by("since")
    assert list(rows.values_list("client_id", "since", "until")) == [
        (world.client.pk, BEGAN, date(2026, 4, 1)),
        (world.resold_client.pk, date(2026, 4, 1), None),
    ]


def test_a_selection_does_not_move_to_where_its_name_is_taken(world: World) -> None:
    name = world.job.selection.name
    there = Selection.objects.of(world.tenant).create(client=world.resold_client, name=name, registered_at=NOW)
    with pytest.raises(Taken) as taken:
        move_selection(world.tenant, world.job.selection_id, client=world.resold_client, on=BEGAN, actor=ACTOR)
    assert taken.value.uid == there.uid


class TestRegistering:
    def test_a_client_begins_today_in_the_tenants_zone(self, world: World) -> None:
        Tenant.objects.filter(pk=world.tenant.pk).update(timezone="Europe/Berlin")
        world.tenant.refresh_from_db()
        client = register_client(world.tenant, name="New", code="new", reseller=world.reseller, actor=ACTOR)
        assert (client.timezone, client.registered_at) == ("Europe/Berlin", NOW)
        state = ClientStateSpan.objects.of(world.tenant).get(client=client)
        owner = ClientResellerSpan.objects.of(world.tenant).get(client=client)
        assert (state.state, state.since, state.until) == ("active", date(2026, 11, 23), None)
        assert (owner.reseller_id, owner.since, owner.until) == (world.reseller.pk, date(2026, 11, 23), None)

    def test_a_code_is_used_once_in_a_tenant(self, world: World) -> None:
        with pytest.raises(Taken, match="Acme Dental") as taken:
            register_client(world.tenant, name="New", code="acme-dental", actor=ACTOR)
        assert taken.value.uid == world.client.uid
        make_client(world.other, "Acme Dental")

    def test_a_zone_that_is_none(self, world: World) -> None:
        for zone in ("Mars/Olympus", "../secrets", "a\x00b", "/etc/passwd"):
            with pytest.raises(BadChange) as refused:
                register_client(world.tenant, name="New", code="new", timezone=zone, actor=ACTOR)
            assert refused.value.field == "timezone"
