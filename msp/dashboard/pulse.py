"""Whether the service itself can be believed now: does data come in, is it read, does the sweep run, do tickets go out.

The overview never says "all quiet" on stale data: ``Pulse.doubts`` has a sentence for each reason to distrust it.
One statement reads it all; the census numbers must be zero and are shown when they are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from alerts.facts import PROCESSING_PATIENCE
from alerts.models import Heartbeat
from alerts.wording import count_words, duration_words
from msp.estate.queries import Reach

#: No log at all from anywhere for this long is doubtful, however few clients there are.
SILENCE = timedelta(hours=26)
#: The sweep runs every few seconds; later than this it is not running.
SWEEP_PATIENCE = timedelta(minutes=5)
#: How long a call to a ticket system may be due without being made.
DELIVERY_PATIENCE = timedelta(minutes=10)


@dataclass(frozen=True)
class Pulse:
    """The service's own state for one tenant. Counts of things without a client are 0 for a reseller."""

    now: datetime
    last_received_at: datetime | None
    waiting: int
    waiting_since: datetime | None
    swept_at: datetime | None
    due_since: datetime | None
    inbox: int
    stuck: int
    undelivered_since: datetime | None
    without_clock: int

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why silence is not to be believed; empty when it is."""
        return tuple(
            sentence for sentence in (self._silence(), self._backlog(), self._sweep(), self._delivery()) if sentence
        )

    def _silence(self) -> str:
        if self.last_received_at is None:
            return "No log has come in yet: nothing can be said about any backup."
        age = self.now - self.last_received_at
        return f"No log has come in for {duration_words(age)}: a way in may be broken." if age > SILENCE else ""

    def _backlog(self) -> str:
        age = self.now - (self.waiting_since or self.now)
        if age <= PROCESSING_PATIENCE:
            return ""
        return f"{count_words(self.waiting, 'log')} not read yet, the oldest for {duration_words(age)}."

    def _sweep(self) -> str:
        if self.swept_at is None:
            return "The sweep that finds overdue backups has not run yet."
        age = self.now - self.swept_at
        if age > SWEEP_PATIENCE:
            return f"The sweep that finds overdue backups last ran {duration_words(age)} ago."
        late = self.now - (self.due_since or self.now)
        return f"The sweep is {duration_words(late)} behind." if late > PROCESSING_PATIENCE else ""

    def _delivery(self) -> str:
        age = self.now - (self.undelivered_since or self.now)
        return f"Tickets have waited to be sent for {duration_words(age)}." if age > DELIVERY_PATIENCE else ""


PULSE = """
SELECT (SELECT max(received_at) FROM ingest_receipt WHERE tenant_id = %(tenant)s),
       (SELECT count(*) FROM ingest_receiptqueue WHERE tenant_id = %(tenant)s),
       (SELECT min(received_at) FROM ingest_receiptqueue WHERE tenant_id = %(tenant)s),
       (SELECT min(check_after) FROM backups_jobstate WHERE tenant_id = %(tenant)s AND check_after <= %(now)s),
       (SELECT count(*) FROM ingest_inboxitem WHERE tenant_id = %(tenant)s AND state = 'open'),
       (SELECT count(*) FROM outbox_lane WHERE tenant_id = %(tenant)s AND kind = 'ticket' AND stuck),
       (SELECT min(next_attempt_at) FROM outbox_lane WHERE tenant_id = %(tenant)s AND kind = 'ticket' AND NOT stuck
            AND wanted > confirmed AND next_attempt_at <= %(now)s),
       (SELECT count(*) FROM backups_backupjob job
            JOIN estate_selection selection ON selection.id = job.selection_id
            JOIN estate_client client ON client.id = selection.client_id
            JOIN estate_backupserver server ON server.id = job.server_id
            LEFT JOIN backups_jobstate state ON state.job_id = job.id
            WHERE job.tenant_id = %(tenant)s AND job.state IN ('active', 'proposed') AND selection.state = 'active'
              AND server.state = 'active' AND client.state IN ('trial', 'active') AND state.check_after IS NULL)
"""


def read_pulse(reach: Reach, *, now: datetime, newest_run: datetime | None = None) -> Pulse:
    """Two queries. A reseller sees only ``newest_run`` (of its own jobs) and the sweep."""
    swept_at = Heartbeat.objects.filter(name="sweep").values_list("at", flat=True).first()
    if not reach.whole_tenant:
        return Pulse(now, newest_run, 0, None, swept_at, None, 0, 0, None, 0)
    with connection.cursor() as cursor:
        cursor.execute(PULSE, {"tenant": reach.tenant_id, "now": now})
        received, waiting, waiting_since, due_since, inbox, stuck, undelivered, clockless = cursor.fetchone()
    return Pulse(now, received, waiting, waiting_since, swept_at, due_since, inbox, stuck, undelivered, clockless)
