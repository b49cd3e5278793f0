"""Whether the settings of a rule make sense together, level by level: asked before one of them is stored.

A value may be fine by itself and contradict one that is inherited from above, or one that is set further below. Each
level that the change reaches is resolved as a job there would see it, and the first contradiction is refused with the
level's name; a rule's own defaults yield to what people set. What contradicted itself before, or comes to do so when
a client moves, is the rule's own to bear.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from alerts.inheritance import DEFAULT, Setting, resolve
from alerts.models import RuleSetting
from alerts.params import BadParams, check_together
from alerts.rules import RULES
from msp.backups.models import BackupJob
from msp.estate.models import Client, Selection
from msp.tenants.models import Reseller, Tenant

Level = tuple[str, int]


@dataclass(frozen=True)
class Place:
    """A level at which something is set: its name, and the levels it inherits from, itself among them."""

    name: str
    chain: frozenset[Level]


def check_agreement(tenant: Tenant, changed: Setting) -> None:
    """Raise BadParams where this setting, once stored, contradicts others of its rule above or below it.

    At most six statements, however many levels set something; none for a rule whose values cannot contradict.
    """
    if not hasattr(RULES[changed.kind].Params, "check_together"):
        return
    here: Level = (changed.scope, changed.scope_id)
    others = [row for row in _stored(tenant, changed.kind) if (row.scope, row.scope_id) != here]
    settings = [*others, changed]
    places = find_places(tenant, [(row.scope, row.scope_id) for row in settings])
    for level, place in sorted(places.items(), key=lambda item: item[0] != here):
        if here in place.chain:
            _check_place(changed, [row for row in settings if (row.scope, row.scope_id) in place.chain], place, level)


def _check_place(changed: Setting, settings: Sequence[Setting], place: Place, level: Level) -> None:
    resolved = resolve(changed.kind, settings)
    chosen = [name for name, source in resolved.sources.items() if source != DEFAULT]
    try:
        check_together(resolved.params, chosen=chosen)
    except BadParams as refused:
        if level == (changed.scope, changed.scope_id):
            raise
        raise BadParams(
            refused.field, f"It contradicts what is set for {level[0]} {place.name}: {refused.reason}"
        ) from None


def _stored(tenant: Tenant, kind: str) -> list[Setting]:
    rows = RuleSetting.objects.of(tenant).filter(kind=kind)
    return [
        Setting(kind=row.kind, scope=row.scope_kind, scope_id=row.scope_id, parameters=row.parameters) for row in rows
    ]


def find_places(tenant: Tenant, levels: Iterable[Level]) -> dict[Level, Place]:
    """Of each level that is still there: its name and what it inherits from."""
    wanted = _by_kind(levels)
    found: dict[Level, Place] = {}
    top: Level = ("tenant", tenant.pk)
    if tenant.pk in wanted.get("tenant", ()):
        found[top] = Place(tenant.name, frozenset([top]))
    for reseller in Reseller.objects.of(tenant).filter(pk__in=wanted.get("reseller", ())):
        found["reseller", reseller.pk] = Place(reseller.name, frozenset([top, ("reseller", reseller.pk)]))
    for client in Client.objects.of(tenant).filter(pk__in=wanted.get("client", ())):
        found["client", client.pk] = Place(client.name, _of_client(top, client))
    for selection in Selection.objects.of(tenant).filter(pk__in=wanted.get("selection", ())).select_related("client"):
        found["selection", selection.pk] = Place(selection.name, _of_selection(top, selection))
    jobs = BackupJob.objects.of(tenant).filter(pk__in=wanted.get("job", ())).select_related("selection__client")
    for job in jobs:
        found["job", job.pk] = Place(job.name, _of_selection(top, job.selection) | {("job", job.pk)})
    return found


def _by_kind(levels: Iterable[Level]) -> Mapping[str, set[int]]:
    wanted: dict[str, set[int]] = {}
    for kind, identity in levels:
        wanted.setdefault(kind, set()).add(identity)
    return wanted


def _of_client(top: Level, client: Client) -> frozenset[Level]:
    reseller = [] if client.reseller_id is None else [("reseller", client.reseller_id)]
    return frozenset([top, *reseller, ("client", client.pk)])


def _of_selection(top: Level, selection: Selection) -> frozenset[Level]:
    return _of_client(top, selection.client) | {("selection", selection.pk)}
