"""The Celery application: two queues, so that a hung ticket system never stops ingest and sweep.

Tasks carry no data and no time: PostgreSQL knows what is due, Redis only says "look now". A lost or repeated task is
harmless; the beat below looks again.
"""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "msp.settings")

from django.conf import settings

app = Celery("backledger")
app.conf.update(
    broker_url=settings.BACKLEDGER.redis_url,
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
    task_acks_late=False,
    task_default_queue="line",
    task_routes={
        "msp.tasks.deliver": {"queue": "delivery"},
        "msp.tasks.poll": {"queue": "polling"},
        "msp.tasks.look": {"queue": "polling"},
    },
    worker_hijack_root_logger=False,
    worker_prefetch_multiplier=1,
    timezone="UTC",
    beat_schedule={
        "process receipts": {"task": "msp.tasks.process_receipts", "schedule": 20.0, "options": {"expires": 60}},
        "sweep": {"task": "msp.tasks.sweep", "schedule": 15.0, "options": {"expires": 60}},
        "deliver": {"task": "msp.tasks.deliver", "schedule": 10.0, "options": {"expires": 60, "queue": "delivery"}},
        "poll": {"task": "msp.tasks.poll", "schedule": 15.0, "options": {"expires": 60, "queue": "polling"}},
        "look": {"task": "msp.tasks.look", "schedule": 20.0, "options": {"expires": 60, "queue": "polling"}},
        "judge nights": {"task": "msp.tasks.judge_nights", "schedule": 3600.0, "options": {"expires": 1800}},
        "write reports": {"task": "msp.tasks.write_reports", "schedule": 30.0, "options": {"expires": 60}},
        "give clocks": {"task": "msp.tasks.give_clocks", "schedule": 300.0, "options": {"expires": 300}},
        "reconcile payments": {
            "task": "msp.tasks.reconcile_payments",
            "schedule": 3600.0,
            "options": {"expires": 1800, "queue": "delivery"},
        },
        "make partitions": {"task": "msp.tasks.ensure_partitions", "schedule": 6 * 3600.0, "options": {"expires": 600}},
    },
)
app.conf.include = ["msp.tasks"]
