"""Registers, changes, waives and retires machines, and says which selection lies on which.

Called by the API and the dashboard, which then make the machine's clock due. A machine is waived with a reason, a
signature and an end that may be open; each waiver is a row of its own, so that what was agreed when stays known. Each
change locks its row and writes its audit entry in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.db import IntegrityError, transaction

from msp.estate.models import Client, Machine, Selection, Site, Waiver
from msp.estate.spans import Actor, BadChange, Taken, record_change, today_of
from msp.tenants.models import Tenant

MACHINE_VALUES = ("name", "machine_class", "expectation", "site", "state")
CLASSES = ("server", "laptop", "seasonal", "occasional", "cloud", "other")
#: What is said of a machine by hand; "waived" needs a signature and comes with it.
EXPECTED = ("protected", "unknown")
STATES = ("active", "retired")


def register_machine(
    tenant: Tenant, *, client: Client, name: str, actor: Actor, machine_class: str = "server",
    expectation: str = "protected", site: Site | None = None,
) -> Machine:  # fmt: skip
    """A new machine of the client. Raises Taken when the client has one of this name, BadChange."""
    values = {"name": name.strip(), "machine_class": machine_class, "expectation": expectation, "site": site}
    _check(values, client_id=client.pk)
    try:
        with transaction.atomic():
            machine: Machine = Machine.objects.of(tenant).create(client=client, registered_at=actor.now, **values)
            record_change(tenant, machine, "machine registered", {}, _told(values), actor=actor)
    except IntegrityError:
        raise _taken(tenant, client.pk, name) from None
    return machine


def change_machine(tenant: Tenant, machine_id: int, values: Mapping[str, Any], *, actor: Actor) -> Machine:
    """Set some of MACHINE_VALUES. A machine that was waived and is expected again keeps its waivers as history."""
    machine: Machine = Machine.objects.of(tenant).get(pk=machine_id)
    try:
        with transaction.atomic():
            machine = _lock(tenant, machine_id)
            _check(values, client_id=machine.client_id)
            before = {name: getattr(machine, name) for name in values if getattr(machine, name) != values[name]}
            for name in before:
                setattr(machine, name, values[name])
            if before:
                machine.save(update_fields=sorted(before))
                after = {name: values[name] for name in before}
                record_change(tenant, machine, "machine changed", _told(before), _told(after), actor=actor)
    except IntegrityError:
        raise _taken(tenant, machine.client_id, values["name"]) from None
    return machine


def waive_machine(
    tenant: Tenant, machine_id: int, *, reason: str, signed_by: str, ends_on: date | None, actor: Actor
) -> Waiver:
    """Nobody expects it to be protected, up to and with that day; earlier waivers end the day before. BadChange."""
    if not reason.strip():
        raise BadChange("reason", "Say why it is not protected: the reason goes into the client's report.")
    if not signed_by.strip():
        raise BadChange("signed_by", "Say who signed that it is not protected.")
    if ends_on is not None and ends_on < today_of(tenant, actor.now):
        raise BadChange("ends_on", "The waiver would have ended already: choose today or a later day, or none.")
    with transaction.atomic():
        machine = _lock(tenant, machine_id)
        earlier = Waiver.objects.of(tenant).filter(subject_kind="machine", subject_id=machine.pk)
        earlier.exclude(ends_on__lt=today_of(tenant, actor.now)).update(ends_on=today_of(tenant, actor.now))
        waiver: Waiver = Waiver.objects.of(tenant).create(
            subject_kind="machine",
            subject_id=machine.pk,
            reason=reason.strip(),
            signed_by=signed_by.strip(),
            signed_at=actor.now,
            ends_on=ends_on,
        )
        before, machine.expectation = machine.expectation, "waived"
        machine.save(update_fields=["expectation"])
        after = {"expectation": "waived", "reason": reason, "signed_by": signed_by, "ends_on": str(ends_on or "")}
        record_change(tenant, machine, "machine waived", {"expectation": before}, after, actor=actor)
    return waiver


def place_selection(tenant: Tenant, selection_id: int, *, machine: Machine | None, actor: Actor) -> Selection:
    """The selection lies on this machine, or on none that is known. Raises BadChange for one of another client."""
    with transaction.atomic():
        rows = Selection.objects.of(tenant).select_for_update(of=("self",), no_key=True).select_related("machine")
        selection: Selection = rows.get(pk=selection_id)
        if machine is not None and machine.client_id != selection.client_id:
            raise BadChange("machine", f'"{machine.name}" is a machine of another client.')
        if selection.machine_id == (machine.pk if machine else None):
            return selection
        before = selection.machine.name if selection.machine else ""
        selection.machine = machine
        selection.save(update_fields=["machine"])
        after = {"machine": machine.name if machine else ""}
        record_change(tenant, selection, "selection placed", {"machine": before}, after, actor=actor)
    return selection


def _lock(tenant: Tenant, machine_id: int) -> Machine:
    rows = Machine.objects.of(tenant).select_for_update(of=("self",), no_key=True).select_related("site")
    machine: Machine = rows.get(pk=machine_id)
    return machine


def _check(values: Mapping[str, Any], *, client_id: int) -> None:
    unknown = sorted(set(values) - set(MACHINE_VALUES))
    if unknown:
        raise TypeError(f"not to be changed here: {', '.join(unknown)}")
    if "name" in values and not values["name"].strip():
        raise BadChange("name", "A machine has a name.")
    for name, known in (("machine_class", CLASSES), ("expectation", EXPECTED), ("state", STATES)):
        if name in values and values[name] not in known:
            raise BadChange(name, f'This is one of {", ".join(known)}, not "{values[name]}".')
    site = values.get("site")
    if site is not None and site.client_id != client_id:
        raise BadChange("site", f'"{site.name}" is a site of another client.')


def _told(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.name if isinstance(value, Site) else value for name, value in values.items()}


def _taken(tenant: Tenant, client_id: int, name: str) -> Taken:
    existing = Machine.objects.of(tenant).get(client_id=client_id, name=name.strip())
    return Taken(f'This client has a machine named "{name.strip()}" already.', existing.uid)
