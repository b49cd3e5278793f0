"""The wall between tenants: a forgotten tenant raises, a foreign row is never found, read or written."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import IntegrityError, transaction
from django.db.utils import InternalError

from msp.estate.models import Client
from msp.tenants import audit
from msp.tenants.models import AuditEntry
from msp.tenants.secrets import EncryptedJSONField
from msp.tenants.wall import TenantForgotten, TenantMismatch, WalledManager
from tests.world import START, World


def test_a_query_that_forgets_the_tenant_raises(world: World) -> None:
    with pytest.raises(TenantForgotten):
        Client.objects.all()
    with pytest.raises(TenantForgotten):
        Client.objects.filter(pk=1)
    with pytest.raises(TenantForgotten):
        Client.objects.create(name="x")
    with pytest.raises(TenantForgotten):
        Client.objects.of(None)  # type: ignore[arg-type]


def test_only_rows_of_the_tenant_are_found(world: World) -> None:
    assert set(Client.objects.of(world.tenant)) == {world.client, world.resold_client}
    assert not Client.objects.of(world.other).filter(pk=world.client.pk).exists()
    assert Client.objects.of(world.other).filter(pk=world.client.pk).update(name="mine") == 0


def test_writing_through_another_tenants_query_is_refused(world: World) -> None:
    with pytest.raises(TenantMismatch):
        Client.objects.of(world.other).create(tenant=world.tenant, name="x", code="x", registered_at=START)
    with pytest.raises(TenantMismatch):
        Client.objects.of(world.other).bulk_create([world.client])


def test_every_model_with_a_tenant_stands_behind_the_wall() -> None:
    open_models = {"tenants.LookupKey"}  # read before the tenant is known
    for model in apps.get_models():
        columns = {field.column for field in model._meta.concrete_fields if hasattr(field, "column")}
        if "tenant_id" in columns and model._meta.label not in open_models:
            assert isinstance(model._default_manager, WalledManager), model._meta.label


def test_every_key_of_a_tenant_owned_table_begins_with_the_tenant() -> None:
    """Clocks and what waits to be read are the exception: workers look for them across tenants."""
    across = {
        "jobstate_due",
        "subject_due",
        "incident_due",
        "ticket_due",
        "lane_due",
        "mailbox_due",
        "pullsource_due",
        "morningreport_due",
        "inbound_waiting",
    }
    for model in apps.get_models():
        if not isinstance(model._default_manager, WalledManager):
            continue
        for key in [*model._meta.indexes, *model._meta.constraints]:
            fields = list(getattr(key, "fields", ()))
            if fields and key.name not in across:
                assert fields[0] in ("tenant", "tenant_id"), (model._meta.label, key.name)


def test_the_audit_trail_cannot_be_changed_or_deleted(world: World) -> None:
    audit.record(world.tenant, actor="a", action="b", now=START)
    for change in (lambda rows: rows.update(actor="c"), lambda rows: rows.delete()):
        with pytest.raises((IntegrityError, InternalError), match="only inserted"), transaction.atomic():
            change(AuditEntry.objects.of(world.tenant))  # type: ignore[no-untyped-call]


def test_secrets_are_not_readable_in_the_database(world: World) -> None:
    from django.db import connection

    from alerts.models import Destination

    Destination.objects.of(world.tenant).create(
        name="desk", gateway="rest", config={"authorization": "Token very-secret"}, created_at=START
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT config FROM alerts_destination")
        stored = cursor.fetchone()[0]
    assert "very-secret" not in stored
    assert Destination.objects.of(world.tenant).get().config == {"authorization": "Token very-secret"}
    assert isinstance(Destination._meta.get_field("config"), EncryptedJSONField)
