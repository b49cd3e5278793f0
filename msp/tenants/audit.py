"""The audit trail: who changed what, when and why. Called by whatever a person can change; rows are only inserted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msp.tenants.models import AuditEntry, Tenant


def record(
    tenant: Tenant | int,
    *,
    actor: str,
    action: str,
    now: datetime,
    actor_id: int | None = None,
    subject_kind: str = "",
    subject_id: int | None = None,
    subject: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> None:
    """Write one entry in the caller's transaction. ``before`` and ``after`` are JSON-able and hold no secret."""
    AuditEntry.objects.of(tenant).create(
        at=now,
        actor=actor[:200],
        actor_id=actor_id,
        action=action,
        subject_kind=subject_kind,
        subject_id=subject_id,
        subject=subject[:200],
        before=before,
        after=after,
        reason=reason,
    )


def record_several(
    tenant: Tenant | int,
    subjects: Mapping[int, str],
    *,
    actor: str,
    action: str,
    subject_kind: str,
    reason: str,
    now: datetime,
) -> None:
    """The same done to several things (id: name), an entry each, in one statement."""
    AuditEntry.objects.of(tenant).bulk_create(
        AuditEntry(
            at=now,
            actor=actor[:200],
            action=action,
            subject_kind=subject_kind,
            subject_id=subject_id,
            subject=name[:200],
            reason=reason,
        )
        for subject_id, name in subjects.items()
    )
