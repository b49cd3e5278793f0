"""When the service last worked, and since when without a break: an interruption of ours says nothing about backups.

The sweep beats; the line reads. After an interruption the line may work before the sweep does: a heart that has not
beaten for a while is as good as one that begins again now.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection

from alerts.models import Heartbeat

#: The sweep runs every 15 seconds; a longer break than this is an interruption of ours.
INTERRUPTION = timedelta(minutes=5)
#: Interruptions nearer to each other than this count as one, unless the next is a long one: longer than the patience
#: that the first was granted (``alerts.patience``).
STUMBLING, LONG = timedelta(hours=4), timedelta(hours=1)
#: Where clocks stand, and the key of each.
CLOCKS = (("backups_jobstate", "job_id"), ("alerts_subjectstate", "id"), ("alerts_incident", "id"))


def beat(*, now: datetime) -> None:
    """Note that the sweep works; after an interruption also when it began again.

    A further interruption soon after grants no further patience: else a service that stumbles on and on would call
    nothing overdue, ever. A last beat that lies ahead tells that our clock was set back: what was noted in that future
    is worth nothing, we begin again now, and everything is looked at whose clock was set by that time.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT at > %s FROM alerts_heartbeat WHERE name = 'sweep'", [now + INTERRUPTION])
        if cursor.fetchone() == (True,):
            bring_clocks_back(now=now)
        cursor.execute(
            "INSERT INTO alerts_heartbeat (name, at, resumed_at) VALUES ('sweep', %(now)s, NULL) "
            "ON CONFLICT (name) DO UPDATE SET at = CASE WHEN alerts_heartbeat.at > %(ahead)s THEN excluded.at "
            "ELSE greatest(alerts_heartbeat.at, excluded.at) END, resumed_at = CASE "
            "WHEN alerts_heartbeat.at > %(ahead)s OR (alerts_heartbeat.at < %(late)s AND (alerts_heartbeat.at < "
            "%(long)s OR coalesce(alerts_heartbeat.resumed_at < %(lately)s, true))) "
            "THEN excluded.at ELSE alerts_heartbeat.resumed_at END",
            {
                "now": now,
                "ahead": now + INTERRUPTION,
                "late": now - INTERRUPTION,
                "lately": now - STUMBLING,
                "long": now - LONG,
            },
        )


def bring_clocks_back(*, now: datetime) -> None:
    """Whatever is to be looked at later is due now. What is locked is being looked at anyway, and is passed over."""
    with connection.cursor() as cursor:
        for table, key in CLOCKS:
            cursor.execute(
                f"UPDATE {table} SET check_after = %(now)s WHERE {key} = ANY(ARRAY(SELECT {key} FROM {table} "  # noqa: S608
                f"WHERE check_after > %(now)s ORDER BY {key} FOR NO KEY UPDATE SKIP LOCKED))",
                {"now": now},
            )


def load_resumed_at(*, now: datetime | None = None) -> datetime | None:
    """When we began again after the newest interruption of ours; ``now`` itself while it lasts, if that is given."""
    row = Heartbeat.objects.filter(name="sweep").values_list("at", "resumed_at").first()
    if row is None:
        return None
    at, resumed_at = row
    if now is None or at >= now - INTERRUPTION:
        return resumed_at
    begins_anew = at < now - LONG or resumed_at is None or resumed_at < now - STUMBLING
    return now if begins_anew else resumed_at
