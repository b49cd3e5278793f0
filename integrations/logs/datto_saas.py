"""Datto SaaS Protection: applications and domains, as Datto's REST API answers them.

Each customer is a run: its applications are components, judged by how many of their active services have a backup in
the newest window. A domain tells only how many services have a recent backup.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from integrations.logs.api_rows import amount, listed_under, moment, rows_of, words
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Component, Delivery, JobLog, Outcome, UnreadableLog
from integrations.logs.json_documents import listed, nested
from integrations.logs.troubles import Troubles

LABEL = "Datto SaaS Protection"
MARKS = ('"appTypes"', '"saasCustomerId"')
GUIDE = Guide(
    releases="Datto REST API v1 (saas/{id}/applications, saas/domains)",
    written_from="data types and examples in public clients of the API; no real answer",
    operations=("backup",),
    sizes=(("stored_bytes", "usedBytes of a customer"),),
    cannot_tell=(
        "The size of the source.",
        "Which mailbox failed: the answer counts services only.",
        "Windows before the newest one: ask every day.",
        "The report mails: their layout is not documented, so they wait in the inbox.",
    ),
    ways=(
        Way(
            "http",
            "Ask for each customer's applications every day and send the answer (cron)",
            'curl -sS -u "$DATTO_PUBLIC:$DATTO_SECRET" https://api.datto.com/v1/saas/$CUSTOMER/applications \\\n'
            '  | curl -sS -H "Authorization: Bearer @KEY@" --data-binary @- "@URL@/api/v1/logs?format=datto-saas"',
            note="Customers and their ids are in the answer of https://api.datto.com/v1/saas/domains; it is read, too.",
        ),
    ),
)


def recognises(head: Head) -> bool:
    """A list of customers with suites of applications, or of domains with their backup statistics."""
    return bool(_customers(head.document) or _domains(head.document))


def _customers(document: Any) -> list[dict[str, Any]]:
    rows = [document] if isinstance(document, dict) and "suites" in document else listed_under(document, "items")
    return [row for row in rows if "suites" in row and ("customerId" in row or "customerName" in row)]


def _domains(document: Any) -> list[dict[str, Any]]:
    rows = listed_under(document, "items")
    return [row for row in rows if "saasCustomerId" in row and isinstance(row.get("backupStats"), dict)]


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run for each customer, or for each domain."""
    document = context.head.document
    runs = [_from_customer(row) for row in _customers(document)] + [_from_domain(row) for row in _domains(document)]
    if not runs:
        raise UnreadableLog("this JSON holds neither applications nor domains of SaaS Protection")
    return tuple(runs)


def _judged(active: int | None, backed_up: int | None, perfect: int | None) -> Outcome:
    """All services perfect: success; each or some backed up: warning; none: failure; nothing to back up: skipped."""
    if active is None or backed_up is None:
        return "unknown"
    if active == 0:
        return "skipped"
    if backed_up <= 0:
        return "failure"
    return "success" if backed_up >= active and (perfect is None or perfect >= active) else "warning"


def _newest(app: Mapping[str, Any]) -> dict[str, Any]:
    """The window that ends last; the API's windows are days before the question."""
    windows = rows_of(listed(dict(app), "backupHistory"))
    return max(windows, key=lambda one: amount(one.get("endTime")) or 0, default={})


def _component(suite: Mapping[str, Any], app: Mapping[str, Any]) -> Component:
    window = _newest(app)
    active, backed_up = amount(window.get("activeServiceCount")), amount(window.get("activeServiceWithBackupCount"))
    outcome = _judged(active, backed_up, amount(window.get("activeServiceWithPerfectBackupCount")))
    if outcome == "unknown" and words(window, "status") == "Perfect":
        outcome = "success"
    counts = f": {backed_up} of {active} services have a backup" if active is not None and backed_up is not None else ""
    return Component(
        type="data-source",
        name=" ".join(filter(None, (words(suite, "suiteType"), words(app, "appType")))),
        outcome=outcome,
        message=(words(window, "status") or "no window") + counts,
    )


def _whole(components: list[Component]) -> Outcome:
    """A customer fails where every application with something to back up failed; else what is short is a warning."""
    outcomes = {one.outcome for one in components if one.outcome != "skipped"}
    if not outcomes:
        return "skipped" if components else "unknown"
    if len(outcomes) == 1:
        return outcomes.pop()
    return "warning" if outcomes & {"failure", "warning"} else "unknown"


def _from_customer(row: Mapping[str, Any]) -> JobLog:
    apps = [
        (suite, app) for suite in rows_of(listed(dict(row), "suites")) for app in rows_of(listed(suite, "appTypes"))
    ]
    components = [_component(suite, app) for suite, app in apps]
    outcome = _whole(components)
    ends = [at for _, app in apps if (at := moment(_newest(app).get("endTime"))) is not None]
    at = max(ends) if ends else None
    used = amount(row.get("usedBytes"))
    troubles = _troubles(components)
    name = words(row, "customerName", "customerId")
    return JobLog(
        product="datto-saas",
        operation="backup",
        outcome=outcome,
        run_id=f"{words(row, 'customerId')}-{int(at.timestamp())}" if at else "",
        source_job="SaaS Protection",
        item=name,
        account=name,
        ended_at=at,
        stored_bytes=used,
        sources={"stored_bytes": "usedBytes"} if used is not None else {},
        complete={"success": True, "warning": False, "failure": False}.get(outcome),
        errors=troubles.kept,
        errors_total=troubles.total,
        components=tuple(components),
    )


def _troubles(components: list[Component]) -> Troubles:
    troubles = Troubles()
    for one in components:
        if one.outcome in ("failure", "warning"):
            severity: Any = "error" if one.outcome == "failure" else "warning"
            troubles.add(f"{one.name}: {one.message}", severity=severity, component=one.name)
    return troubles


def _from_domain(row: Mapping[str, Any]) -> JobLog:
    stats = nested(dict(row), "backupStats")
    active, recent = amount(stats.get("activeServicesCount")), amount(stats.get("activeServicesWithRecentBackupCount"))
    outcome = _judged(active, recent, None)
    troubles = Troubles()
    if outcome in ("failure", "warning"):
        severity: Any = "error" if outcome == "failure" else "warning"
        troubles.add(f"{recent} of {active} services have a recent backup", severity=severity)
    return JobLog(
        product="datto-saas",
        operation="backup",
        outcome=outcome,
        source_job=words(row, "productType") or "SaaS Protection",
        item=words(row, "domain", "saasCustomerName", "saasCustomerId"),
        account=words(row, "organizationName", "saasCustomerName"),
        complete={"success": True, "warning": False, "failure": False}.get(outcome),
        errors=troubles.kept,
        errors_total=troubles.total,
        notes=("the answer tells no time: it is of when it was asked for",),
    )
