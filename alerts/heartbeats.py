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


def beat(*, now: datetime) -> None:
    """Note that the sweep works; after an interruption also when it began again.

    A further interruption soon after grants no further patience: else a service that stumbles on and on would call
    nothing overdue, ever. A last beat that lies ahead tells that our clock was set back: what was noted in that future
    is worth nothing, and we begin again now.
    """
    with connection.cursor() as cursor:
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
