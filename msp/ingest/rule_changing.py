"""Changes assignment rules: stores, moves and deletes them, each with its audit entry; nothing is decided anew by it.

Called by the dashboard and the API, which offer to read the waiting logs again. What a rule decided stands in
``Assignment`` and stays when the rule changes or goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Max

from integrations.logs import FORMATS
from msp.estate.spans import Actor, BadChange, record_change
from msp.ingest.matching import CLIENT, FIELDS, BadPattern, check_patterns, check_template
from msp.ingest.models import RULE_ACTIONS, AssignmentRule
from msp.tenants.models import Tenant

RULE_VALUES = (
    "name", "enabled", "server", "format", "patterns", "action", "client", "job", "make_on", "name_template",
)  # fmt: skip
#: Rules of one tenant: each is tried on every run that nobody decided yet.
MOST_RULES = 200


def rule_of(tenant: Tenant, row: AssignmentRule | None, values: Mapping[str, Any]) -> AssignmentRule:
    """The rule with these values, checked and not stored; a new one stands at the end. Raises BadChange."""
    rule = row or AssignmentRule(tenant=tenant, position=_last(tenant) + 1)
    for name, value in values.items():
        if name not in RULE_VALUES:
            raise TypeError(f"not to be changed here: {name}")
        setattr(rule, name, value)
    rule.patterns = {name: text.strip() for name, text in rule.patterns.items() if text.strip()}
    _check(rule)
    return rule


def store_rule(
    tenant: Tenant, row: AssignmentRule | None, values: Mapping[str, Any], *, actor: Actor
) -> AssignmentRule:
    """A new rule at the end, or a changed one where it is. Raises BadChange."""
    with transaction.atomic():
        number = len(lock_rules(tenant))
        if row is None and number >= MOST_RULES:
            raise BadChange("name", f"There are {MOST_RULES} rules already, and each is tried on every unknown job.")
        before = {} if row is None else _told(AssignmentRule.objects.of(tenant).get(pk=row.pk))
        rule = rule_of(tenant, row, values)
        after = _told(rule)
        if before == after:
            return rule
        rule.save()
        changed = {name: value for name, value in after.items() if before.get(name) != value}
        action = "assignment rule added" if row is None else "assignment rule changed"
        record_change(tenant, rule, action, {name: before[name] for name in changed if before}, changed, actor=actor)
    return rule


def move_rule(tenant: Tenant, rule: AssignmentRule, *, up: bool, actor: Actor) -> None:
    """Let it change places with its neighbour; at the end of the list nothing happens."""
    with transaction.atomic():
        rows = lock_rules(tenant)
        place = next((place for place, row in enumerate(rows) if row.pk == rule.pk), None)
        if place is None or not 0 <= (other := place - 1 if up else place + 1) < len(rows):
            return
        mine, theirs = rows[place], rows[other]
        mine.position, theirs.position = theirs.position, mine.position
        mine.save(update_fields=["position"])
        theirs.save(update_fields=["position"])
        before, after = {"position": theirs.position}, {"position": mine.position}
        record_change(tenant, mine, "assignment rule moved", before, after, actor=actor)


def delete_rule(tenant: Tenant, rule: AssignmentRule, *, actor: Actor) -> None:
    """Take it away; what it decided stays."""
    with transaction.atomic():
        lock_rules(tenant)
        record_change(tenant, rule, "assignment rule deleted", _told(rule), {}, actor=actor)
        rule.delete()


def lock_rules(tenant: Tenant) -> list[AssignmentRule]:
    """In their order; a batch that reads them does not wait for that."""
    rows = AssignmentRule.objects.of(tenant).select_for_update(of=("self",), no_key=True)
    return list(rows.order_by("position", "pk"))


def _check(rule: AssignmentRule) -> None:
    if not rule.name.strip():
        raise BadChange("name", "Give the rule a name: it stands wherever it decides.")
    if rule.action not in RULE_ACTIONS:
        raise BadChange("action", f"A rule does one of {', '.join(RULE_ACTIONS)}.")
    if rule.format and rule.format not in FORMATS:
        raise BadChange("format", f'There is no format "{rule.format}".')
    if "\0" in rule.name + rule.name_template + "".join(rule.patterns.values()):
        raise BadChange("name", "It holds a character that cannot be kept.")
    try:
        check_patterns(rule.patterns)
        check_template(rule.name_template)
    except BadPattern as bad:
        raise BadChange(bad.field, bad.reason) from bad
    captures = any(CLIENT in pattern for pattern in rule.patterns.values())
    if rule.action == "new_job" and rule.client_id is None and not captures:
        raise BadChange("client", f"Say whose the new jobs are: choose a client, or write {CLIENT} into a pattern.")
    if rule.action == "job" and rule.job_id is None:
        raise BadChange("job", "Say which job it is.")


def _told(rule: AssignmentRule) -> dict[str, Any]:
    """Its values as the audit keeps them, rows by their names."""
    return {
        "name": rule.name,
        "enabled": rule.enabled,
        "server": rule.server.name if rule.server else "",
        "format": rule.format,
        "patterns": {name: rule.patterns[name] for name in FIELDS if name in rule.patterns},
        "action": rule.action,
        "client": rule.client.name if rule.client else "",
        "job": rule.job.name if rule.job else "",
        "make_on": rule.make_on.name if rule.make_on else "",
        "name_template": rule.name_template,
    }


def _last(tenant: Tenant) -> int:
    last: int | None = AssignmentRule.objects.of(tenant).aggregate(last=Max("position"))["last"]
    return last or 0
