"""Stores a row that a form has filled in, with its audit entry: what changed, of secrets only that."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction

from msp.dashboard.forms import BadField
from msp.dashboard.scope import StaffRequest
from msp.tenants import audit


def store(
    request: StaffRequest,
    row: Any,
    values: Mapping[str, Any],
    *,
    kind: str,
    unique: tuple[str, str] | None = None,
    secret: Collection[str] = (),
) -> Any:
    """Set the values on the row (new or known) and save it. ``unique``: (field, sentence) when the name is taken.

    Nothing is written when nothing changes. Raises BadField for a name in use.
    """
    is_new = row.pk is None
    before = {} if is_new else {name: getattr(row, name) for name in values}
    changed = [name for name, value in values.items() if is_new or before[name] != value]
    if not changed:
        return row
    for name in changed:
        setattr(row, name, values[name])
    try:
        with transaction.atomic():
            row.save() if is_new else row.save(update_fields=changed)
            record(
                request,
                f"{kind} {'added' if is_new else 'changed'}",
                row,
                kind=kind,
                before={name: told(before[name], is_secret=name in secret) for name in changed} if before else None,
                after={name: told(values[name], is_secret=name in secret) for name in changed},
            )
    except IntegrityError as error:
        if unique is None:
            raise
        raise BadField(*unique) from error
    return row


def record(
    request: StaffRequest,
    action: str,
    row: Any,
    *,
    kind: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> None:
    """The audit entry of a change by the person of this request."""
    audit.record(
        request.scope.tenant,
        actor=request.scope.actor,
        actor_id=request.scope.actor_id,
        action=action,
        subject_kind=kind,
        subject_id=row.pk,
        subject=subject_of(row, kind=kind),
        before=before,
        after=after,
        reason=reason,
        now=request.now,
    )


def subject_of(row: Any, *, kind: str) -> str:
    """What people call the row."""
    for name in ("name", "legal_name", "number", "title", "user", "position"):
        if getattr(row, name, ""):
            return str(getattr(row, name))
    return kind


def told(value: Any, *, is_secret: bool = False) -> Any:
    """A value as the audit trail keeps it."""
    if is_secret:
        return "set" if value else "not set"
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    return value if isinstance(value, str | int | bool | list | dict | None) else str(value)
