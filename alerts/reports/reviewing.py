"""A technician looks through the morning's list and signs: kept with the list as it was and a digest of all of it.

Reviews are only inserted; a second one of the same day stands beside the first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import orjson
from django.db import transaction

from alerts.models import Review
from alerts.params import BadParams
from alerts.reports.morning import MorningList
from msp.estate.spans import Actor
from msp.tenants import audit
from msp.tenants.models import Tenant

LONGEST_NOTE = 4000


def sign_review(
    tenant: Tenant, morning: MorningList, *, day: date, nothing_left: bool, note: str, actor: Actor
) -> Review:
    """Keep that this person looked through the list. Raises BadParams: what is left must be told in the note."""
    note = note.strip()
    if not nothing_left and not note:
        raise BadParams("note", "Say what is left and who does it, or sign that nothing is left.")
    if len(note) > LONGEST_NOTE:
        raise BadParams("note", f"A note is at most {LONGEST_NOTE:,} characters long.")
    listed, counts = morning.listed(), dict(morning.counts)
    digest = digest_of(
        day=day, listed=listed, counts=counts, nothing_left=nothing_left, note=note, who=actor.name, when=actor.now
    )
    with transaction.atomic():
        review: Review = Review.objects.of(tenant).create(
            day=day, signed_by=actor.name[:200], user_id=actor.id, signed_at=actor.now, nothing_left=nothing_left,
            note=note, counts=counts, listed=listed, digest=digest,
        )  # fmt: skip
        audit.record(
            tenant, actor=actor.name, actor_id=actor.id, action="morning reviewed", subject_kind="review",
            subject_id=review.pk, subject=day.isoformat(), reason=note, now=actor.now,
            after={"nothing_left": nothing_left, "counts": counts, "digest": digest},
        )  # fmt: skip
    return review


def digest_of(
    *,
    day: date,
    listed: Sequence[Mapping[str, Any]],
    counts: Mapping[str, int],
    nothing_left: bool,
    note: str,
    who: str,
    when: datetime,
) -> str:
    """SHA-256 over the canonical JSON (sorted names, no spaces, UTF-8) of everything that is signed."""
    signed = {
        "day": day.isoformat(),
        "listed": listed,
        "counts": counts,
        "nothing_left": nothing_left,
        "note": note,
        "signed_by": who[:200],
        "signed_at": when.astimezone(UTC).isoformat(),
    }
    return hashlib.sha256(orjson.dumps(signed, option=orjson.OPT_SORT_KEYS)).hexdigest()


def is_intact(review: Review) -> bool:
    """Whether the stored row still is what was signed."""
    return review.digest == digest_of(
        day=review.day,
        listed=review.listed,
        counts=review.counts,
        nothing_left=review.nothing_left,
        note=review.note,
        who=review.signed_by,
        when=review.signed_at,
    )
