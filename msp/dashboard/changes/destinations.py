"""Destinations: stored with their encrypted configuration, paused, and tried out on the other system itself.

The calls of ``check_destination`` and ``send_test_ticket`` are made outside any transaction; whatever they meet becomes
sentences, with secrets taken out.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from alerts.callback_addresses import give_address
from alerts.failing import hurry, try_again
from alerts.incidents import recheck_tellings
from alerts.models import Destination
from integrations.errors import OutcomeUnknown, PermanentFailure, TemporaryFailure
from integrations.tickets import (
    GATEWAYS,
    BadConfig,
    Call,
    Choice,
    NewTicket,
    Thread,
    TicketText,
    config_from_json,
    config_to_json,
    describe,
    secrets_of,
)
from msp.dashboard.changes.recording import record, store
from msp.dashboard.scope import StaffRequest

#: A person waits for the answer.
SECONDS = 15.0
SWITCHES = ("name", "enabled", "dry_run")
TAKEN = ("name", "There is another destination of this name already.")


@dataclass(frozen=True)
class Tried:
    """What came of a try: ``sentences`` say what is wrong, or what was done."""

    good: bool
    sentences: tuple[str, ...]


def checked_config(gateway: str, values: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, object]:
    """The configuration to store; an empty secret keeps the stored one. Raises BadConfig."""
    described = describe(GATEWAYS[gateway].Config)
    kept = {item.name: stored[item.name] for item in described if item.secret and item.name in stored}
    given = {item.name: values.get(item.name) for item in described}
    given = {name: value for name, value in given.items() if value not in (None, "", [])}
    try:
        return config_to_json(config_from_json(GATEWAYS[gateway].Config, kept | given))
    except (TypeError, AttributeError) as error:
        raise BadConfig("", "These settings do not fit together: look at each of them again.") from error


def store_destination(request: StaffRequest, row: Destination, values: Mapping[str, Any]) -> Destination:
    """A new or changed destination. The audit entry says which plain settings changed, of secrets only that."""
    is_new = row._state.adding
    stored = {} if is_new else row.config
    config = checked_config(row.gateway, values, stored)
    with transaction.atomic():
        if is_new:
            row.created_at = request.now
        switches = {name: values[name] for name in SWITCHES}
        switches |= {name: values.get(name) or getattr(row, name) for name in ("on_persist", "persist_hours")}
        switches |= {name: values.get(name) for name in ("calls_per_minute", "tickets_per_hour")}
        switches["fallback_id"] = _mailbox_id(row, values.get("fallback") or "")
        changed = _told_config(row.gateway, stored), _told_config(row.gateway, config)
        is_other = not is_new and config != stored
        row.config = config
        store(request, row, switches, kind="destination", unique=TAKEN)
        if is_new:
            give_address(row)
        if is_other:
            row.save(update_fields=["config"])
            try_again(row, now=request.now)
        if is_new or is_other:
            before, after = _differences(*changed)
            record(request, "destination configured", row, kind="destination", before=before, after=after)
        recheck_tellings(request.scope.tenant.pk, now=request.now)
    return row


def _mailbox_id(row: Destination, uid: str) -> int | None:
    """The chosen mailbox of the same tenant; the form offers no other."""
    mailboxes = Destination.objects.of(row.tenant_id).filter(gateway="email").exclude(pk=row.pk)
    found: int | None = mailboxes.filter(uid=uid).values_list("pk", flat=True).first() if uid else None
    return found


def set_paused(request: StaffRequest, row: Destination, *, paused: bool, reason: str) -> None:
    """Hold back what is to be sent, or let it go on."""
    with transaction.atomic():
        row.paused_at, row.pause_reason = (request.now, reason) if paused else (None, "")
        row.failing_since, row.failures, row.probe_after = None, 0, None
        row.save(update_fields=["paused_at", "pause_reason", "failing_since", "failures", "probe_after"])
        if not paused:
            hurry(row, now=request.now)
        action = "destination paused" if paused else "destination resumed"
        record(request, action, row, kind="destination", reason=reason)
        recheck_tellings(request.scope.tenant.pk, now=request.now)


def check_destination(row: Destination, *, now: datetime) -> Tried:
    """Ask the other system whether the configuration is good; changes nothing there."""
    gateway = GATEWAYS[row.gateway]
    try:
        config = config_from_json(gateway.Config, row.config)
    except BadConfig as bad:
        return Tried(False, (bad.reason,))
    try:
        problems = gateway.check(config, call=_call(now, "check"))
    except (TemporaryFailure, PermanentFailure, OutcomeUnknown) as failure:
        return Tried(False, (_without_secrets(failure.reason, config),))
    if problems:
        return Tried(False, tuple(_without_secrets(problem, config) for problem in problems))
    return Tried(True, (f"{row.name} answers and takes this configuration.",))


def read_choices(row: Destination, *, now: datetime) -> tuple[dict[str, tuple[Choice, ...]], Tried]:
    """What the system offers for each setting that can be looked up; a sentence for each that could not be read."""
    gateway = GATEWAYS[row.gateway]
    try:
        config = config_from_json(gateway.Config, row.config)
    except BadConfig as bad:
        return {}, Tried(False, (bad.reason,))
    offered: dict[str, tuple[Choice, ...]] = {}
    problems: list[str] = []
    for item in describe(gateway.Config):
        if item.looked_up:
            try:
                offered[item.name] = gateway.choices(config, item.name, call=_call(now, f"choices-{item.name}"))
            except (TemporaryFailure, PermanentFailure, OutcomeUnknown) as failure:
                problems.append(f"{item.label}: {_without_secrets(failure.reason, config)}")
    if problems:
        return offered, Tried(False, tuple(dict.fromkeys(problems)))
    return offered, Tried(True, (f"The values of {row.name} stand in the lists below. Choose, then save.",))


def send_test_ticket(row: Destination, *, tenant_name: str, actor: str, now: datetime) -> Tried:
    """Open a ticket there that says it is a test, and close it again."""
    gateway = GATEWAYS[row.gateway]
    reference = f"BL-TEST-{secrets.token_hex(4)}"
    subject = f"Test ticket of {tenant_name} [{reference}]"
    opening = TicketText(subject=subject, body=f"{actor} is trying this destination out. Nothing is wrong.")
    closing = TicketText(subject=subject, body="The test is over; this ticket can be closed.")
    try:
        config = config_from_json(gateway.Config, row.config)
    except BadConfig as bad:
        return Tried(False, (bad.reason,))
    try:
        made = gateway.create(config, NewTicket(reference, opening, "low"), call=_call(now, f"{reference}-0"))
        thread = Thread(reference, made.external_id)
        gateway.close(config, thread, closing, sequence=1, call=_call(now, f"{reference}-1"))
    except (TemporaryFailure, PermanentFailure, OutcomeUnknown) as failure:
        return Tried(False, (_without_secrets(failure.reason, config),))
    return Tried(True, (f"The test ticket {made.external_id} was opened there and closed again.",))


def _call(now: datetime, key: str) -> Call:
    return Call(
        now=now,
        deadline_seconds=SECONDS,
        idempotency_key=key,
        allow_private=settings.BACKLEDGER.allow_private_destinations,
    )


def _without_secrets(text: str, config: object) -> str:
    for secret in secrets_of(config):
        text = text.replace(secret, "•••")
    return text


def _told_config(gateway: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration as the audit trail may keep it: a header or template may hold a secret too, so no free JSON."""
    told: dict[str, Any] = {}
    for item in describe(GATEWAYS[gateway].Config):
        value = config.get(item.name)
        hidden = item.secret or item.kind == "json"
        told[item.name] = ("set" if value else "not set") if hidden else value
    return told


def _differences(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    names = [name for name in after if before.get(name) != after[name]]
    return {name: before.get(name) for name in names}, {name: after[name] for name in names}
