"""The kinds of subject with a clock of their own that are no job, client or tenant, and how their facts are loaded.

The sweep asks ``evaluate_kind`` for whatever is due. A kind is added by its loader and one line here; the rules about
it say so by their SUBJECT. Clocks are made due when the subject is made or changed (``alerts.evaluating.mark_due``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from alerts.destination_loading import load_destination_facts
from alerts.estate_loading import load_machine_facts
from alerts.evaluating import evaluate_subjects
from alerts.facts import Facts
from alerts.group_loading import (
    load_channel_facts,
    load_server_facts,
    load_site_facts,
    load_whole_volume_facts,
)
from alerts.models import SubjectState
from alerts.selection_loading import load_selection_facts


class Loader(Protocol):
    """Facts of these subjects of one tenant, in a fixed number of statements; none for those that are gone."""

    def __call__(self, tenant_id: int, ids: Collection[int], now: datetime, /) -> Sequence[Facts]: ...


LOADERS: Mapping[str, Loader] = {
    "selection": load_selection_facts,
    "machine": load_machine_facts,
    "channel": load_channel_facts,
    "destination": load_destination_facts,
    "site": load_site_facts,
    "server": load_server_facts,
    "volume": load_whole_volume_facts,
}
#: Judged before incidents and jobs, in this order: a cause is found before its symptoms.
CAUSES_FIRST = ("channel", "site", "server", "volume")


def evaluate_kind(kind: str, tenant_id: int, ids: Collection[int], *, now: datetime) -> None:
    """Evaluate subjects whose SubjectState rows the caller has locked; the clock of one that is gone goes too."""
    facts = LOADERS[kind](tenant_id, ids, now)
    gone = set(ids) - {one.subject.id for one in facts}
    if gone:
        SubjectState.objects.of(tenant_id).filter(subject_kind=kind, subject_id__in=gone).delete()
    if facts:
        evaluate_subjects(tenant_id, kind, facts, now=now)
