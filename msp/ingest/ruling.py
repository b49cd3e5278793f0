"""Rule: which assignment rules there are, and which of them keys fall under that nobody decided yet.

Asked by assigning for such keys only: two statements at most, however many runs and rules. The rules are locked against
deletion until the batch ends, so that what is written about one holds; a change made meanwhile counts from the next
batch on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import connection

from integrations.logs.opening import open_delivery
from msp.estate.models import Client
from msp.ingest.known import Key, Wanted
from msp.ingest.matching import Match, Rule, Seen, first_match
from msp.ingest.models import AssignmentRule
from msp.ingest.normalising import NormalisedReceipt, open_receipt


def load_rules(tenant_id: int, *, lock: bool = False) -> tuple[Rule, ...]:
    """Those in use, in order; ``lock`` keeps them from being deleted until the transaction ends."""
    rows = AssignmentRule.objects.of(tenant_id).filter(enabled=True).order_by("position", "pk")
    if lock:
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM ingest_assignmentrule WHERE tenant_id = %s FOR KEY SHARE", [tenant_id])
            rows = rows.filter(pk__in=[row[0] for row in cursor.fetchall()])
    return tuple(as_rule(row) for row in rows)


def as_rule(row: AssignmentRule) -> Rule:
    """A row, stored or not, as it is matched."""
    return Rule(
        id=row.pk or 0,
        name=row.name,
        action=row.action,
        server_id=row.server_id,
        format=row.format,
        patterns={name: pattern for name, pattern in row.patterns.items() if pattern},
        client_id=row.client_id,
        job_id=row.job_id,
        make_on_id=row.make_on_id,
        name_template=row.name_template,
    )


def load_codes(tenant_id: int, rules: Iterable[Rule]) -> dict[str, int]:
    """Ids of clients by their codes in lower case; none where no rule looks at them."""
    if not any(rule.captures for rule in rules):
        return {}
    rows = Client.objects.of(tenant_id).exclude(state="deleted").order_by("-pk")
    return {code.casefold(): client_id for client_id, code in rows.values_list("pk", "code")}


def match_rules(tenant_id: int, missing: Sequence[Wanted]) -> dict[Key, Match]:
    """The rule of each of these keys that falls under one; the first run of a key speaks for it."""
    rules = load_rules(tenant_id, lock=True)
    if not rules:
        return {}
    codes = load_codes(tenant_id, rules)
    mails = any({"sender", "subject"} & set(rule.patterns) for rule in rules)
    found: dict[Key, Match] = {}
    for one in missing:
        match = None if one.key in found else first_match(rules, seen_of(one, mails=mails), codes=codes)
        if match is not None:
            found[one.key] = match
    return found


def seen_of(one: Wanted, *, mails: bool) -> Seen:
    """A run as rules see it; ``mails``: whether sender and subject matter, which takes opening the mail once more."""
    sender, subject = mail_of(one.receipt) if mails else ("", "")
    return Seen(
        server_id=one.key[0],
        format=one.receipt.reading.format or "",
        host=one.host,
        account=one.log.account,
        job=one.key[1],
        item=one.key[2],
        sender=sender,
        subject=subject,
    )


def mail_of(receipt: NormalisedReceipt) -> tuple[str, str]:
    """Sender and subject of a delivery that is a mail."""
    if receipt.receipt.meta.get("content_type") != "message/rfc822":
        return "", ""
    opened = open_delivery(open_receipt(receipt.receipt.content, receipt.receipt.meta))
    return opened.sender[:320], opened.subject[:500]
