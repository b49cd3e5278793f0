"""The ASGI application of the web process: the ingest door, and Django behind it."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "msp.settings")

django_application = get_asgi_application()

from django.conf import settings  # noqa: E402  (after Django is set up)

from msp.ingest.door import Door  # noqa: E402
from msp.tasks import wake_processing  # noqa: E402

application = Door(
    django_application,
    most=settings.BACKLEDGER.max_body_bytes,
    queue_size=settings.BACKLEDGER.door_queue,
    wake=wake_processing if settings.BACKLEDGER.process_in_door else None,
)
