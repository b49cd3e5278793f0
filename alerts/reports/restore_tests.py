"""Restore tests that people made: kept, and counted by the rules about restores like those that logs tell of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from alerts.models import RestoreTest, SubjectState
from alerts.params import BadParams
from alerts.report_models import TEST_RESULTS
from msp.estate.models import Selection
from msp.estate.spans import Actor
from msp.tenants import audit
from msp.tenants.models import Tenant

#: A clock beside ours may be ahead by so much.
AHEAD = timedelta(minutes=5)
LONGEST_AGO = timedelta(days=3660)
LARGEST = 2**62


@dataclass(frozen=True, kw_only=True)
class RestoreValues:
    """What a person tells of a test. ``seconds`` and ``restored_bytes`` None: not measured."""

    tested_by: str
    tested_at: datetime
    what: str
    result: str
    seconds: int | None = None
    restored_bytes: int | None = None
    proof: str = ""


def record_restore_test(tenant: Tenant, selection: Selection, values: RestoreValues, *, actor: Actor) -> RestoreTest:
    """Keep it and have the selection looked at now. Raises BadParams."""
    check_test(values, now=actor.now)
    with transaction.atomic():
        row: RestoreTest = RestoreTest.objects.of(tenant).create(
            selection=selection, client_id=selection.client_id, tested_by=values.tested_by[:200],
            tested_at=values.tested_at, what=values.what, result=values.result, seconds=values.seconds,
            restored_bytes=values.restored_bytes, proof=values.proof, recorded_by=actor.name[:200],
            recorded_at=actor.now,
        )  # fmt: skip
        audit.record(
            tenant, actor=actor.name, actor_id=actor.id, action="restore test recorded", subject_kind="selection",
            subject_id=selection.pk, subject=selection.name, now=actor.now,
            after={"result": row.result, "tested_by": row.tested_by, "tested_at": row.tested_at.isoformat()},
        )  # fmt: skip
        clock = SubjectState.objects.of(tenant).filter(subject_kind="selection", subject_id=selection.pk)
        clock.filter(check_after__gt=actor.now).update(check_after=actor.now)
    return row


def check_test(values: RestoreValues, *, now: datetime) -> None:
    """Raises BadParams with the field and a sentence."""
    if values.result not in TEST_RESULTS:
        raise BadParams("result", "The result is good, partial or failed.")
    if values.tested_at > now + AHEAD:
        raise BadParams("tested_at", "A test that has not been made yet proves nothing.")
    if values.tested_at < now - LONGEST_AGO:
        raise BadParams("tested_at", "This is more than ten years ago.")
    for name, figure, most in (("seconds", values.seconds, 2**31 - 1), ("bytes", values.restored_bytes, LARGEST)):
        if figure is not None and not 0 <= figure <= most:
            raise BadParams(name, "This figure is out of range.")


def newest_tests(tenant_id: int, selection_id: int, *, limit: int) -> list[Any]:
    """The newest tests of a selection; the caller has made sure that it may be seen."""
    rows = RestoreTest.objects.of(tenant_id).filter(selection_id=selection_id)
    return list(rows.order_by("-tested_at", "-pk")[:limit])
