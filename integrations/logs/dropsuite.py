"""Dropsuite (NinjaOne SaaS Backup): the accounts of an organisation, as its reseller API answers them.

The accounts of an organisation are one run, each mailbox, drive or calendar a component with its last backup. The API
does not document the words of ``current_backup_status``: only what ``errors`` and ``last_backup`` say for certain is
used.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from integrations.logs.api_rows import amount, listed_under, moment, words
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Component, Delivery, JobLog, Outcome, UnreadableLog
from integrations.logs.json_documents import nested
from integrations.logs.troubles import Troubles

LABEL = "Dropsuite"
MARKS = ('"last_backup"',)
GUIDE = Guide(
    releases="REST API for sub-resellers 1.0 (accounts, onedrives, calendars, contacts, tasks, sharepoints, teams)",
    written_from="data types of public clients of the API, written after the vendor's document; no real answer",
    operations=("backup",),
    sizes=(("stored_bytes", "the sum of storage of the accounts"),),
    cannot_tell=(
        "The size of the source, and each account's runs before the last one.",
        "Whether an account's last backup is too old: the run's time is that of the newest account.",
        "What current_backup_status means, beyond words such as completed, failed or running.",
        "The report mails: their layout is not documented, so they wait in the inbox.",
    ),
    ways=(
        Way(
            "http",
            "Ask for each organisation's accounts every day and send the answer (cron)",
            'curl -sS -H "X-Reseller-Token: $RESELLER" -H "X-Access-Token: $ORGANISATION_TOKEN" \\\n'
            "  https://dropsuite.us/api/accounts \\\n"
            "  | jq '[.[] | del(.user.authentication_token, .user.reseller_token)]' \\\n"
            '  | curl -sS -H "Authorization: Bearer @KEY@" --data-binary @- "@URL@/api/v1/logs?format=dropsuite"',
            note="The tokens in the answer are cut out before it is sent.",
        ),
    ),
)

_KINDS = {
    "msg_count": ("mailbox", "mail"), "file_count": ("data-source", "files"),
    "calendar_schedule_count": ("data-source", "calendar"), "contact_count": ("data-source", "contacts"),
    "task_count": ("data-source", "tasks"), "site_count": ("data-source", "sites"),
    "group_count": ("data-source", "groups"), "group_type": ("data-source", "groups"),
}  # fmt: skip


def recognises(head: Head) -> bool:
    """Rows of accounts with their last backup and what only Dropsuite's have beside it."""
    return bool(_rows(head.document))


def _rows(document: Any) -> list[dict[str, Any]]:
    found = listed_under(document, "accounts", "data", "onedrives", "sharepoints", "teams")
    return [row for row in found if "last_backup" in row and "added_on" in row and "errors" in row]


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run for each organisation of the answer."""
    rows = _rows(context.head.document)
    if not rows:
        raise UnreadableLog("this JSON holds no accounts of Dropsuite")
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((_organisation(row), _kind(row)[1]), []).append(row)
    return tuple(_job_log(group, organisation, kind, context) for (organisation, kind), group in groups.items())


def _organisation(row: Mapping[str, Any]) -> str:
    return words(nested(dict(row), "user"), "organization_id") or words(row, "organization_id")


def _kind(row: Mapping[str, Any]) -> tuple[str, str]:
    return next((kind for key, kind in _KINDS.items() if key in row), ("data-source", "accounts"))


def _name(row: Mapping[str, Any]) -> str:
    return words(row, "email", "domain_name", "sp_site", "group_name", "display_name", "id")


def _kept(row: Mapping[str, Any]) -> bool:
    return row.get("flg_deleted") is not True and not words(row, "deactivated_since")


def _job_log(rows: list[dict[str, Any]], organisation: str, kind: str, context: Context) -> JobLog:
    active = [row for row in rows if _kept(row)]
    times = [at for row in active if (at := moment(row.get("last_backup"), context.zone)) is not None]
    components = tuple(_component(row) for row in active)
    outcome = _whole([one.outcome for one in components])
    troubles = Troubles()
    for one in components:
        if one.outcome == "failure":
            troubles.add(f"{one.name}: {one.message}", component=one.name)
    stored = [size for row in rows if (size := amount(row.get("storage"))) is not None]
    return JobLog(
        product="dropsuite",
        operation="backup",
        outcome=outcome,
        run_id=_run_id(organisation, kind, times),
        source_job=kind,
        item=f"organisation {organisation}" if organisation else "",
        account=organisation,
        ended_at=max(times) if times and outcome != "running" else None,
        stored_bytes=sum(stored) if stored else None,
        sources={"stored_bytes": "storage"} if stored else {},
        complete={"success": True, "warning": False, "failure": False}.get(outcome),
        files={"total": len(active), "failed": sum(one.outcome == "failure" for one in components)},
        errors=troubles.kept,
        errors_total=troubles.total,
        components=components,
        notes=(f"oldest last backup of an account: {min(times):%Y-%m-%d %H:%M} UTC",) if times else (),
    )


def _run_id(organisation: str, kind: str, times: list[datetime]) -> str:
    return f"{organisation}-{kind}-{int(max(times).timestamp())}" if times else ""


def _component(row: Mapping[str, Any]) -> Component:
    outcome = _outcome(row)
    errors = row.get("errors")
    told = (
        "; ".join(str(value) for value in list(errors.values())[:5])
        if isinstance(errors, dict)
        else words(row, "errors")
    )
    return Component(
        type=_kind(row)[0],
        name=_name(row),
        outcome=outcome,
        stored_bytes=amount(row.get("storage")),
        message=told or words(row, "current_backup_status"),
    )


def _outcome(row: Mapping[str, Any]) -> Outcome:
    status = words(row, "current_backup_status").lower()
    errors = row.get("errors")
    if (isinstance(errors, dict | list) and errors) or words(row, "errors") or "fail" in status or "error" in status:
        return "failure"
    if not words(row, "last_backup"):
        return "running" if "running" in status or "progress" in status else "unknown"
    return "success"


def _whole(outcomes: list[Outcome]) -> Outcome:
    """All alike: that; some failed: a warning, as the others have their backup; else unknown."""
    found = set(outcomes)
    if len(found) == 1:
        return found.pop()
    if "failure" in found:
        return "warning" if "success" in found else "failure"
    return "skipped" if not found else "unknown"
