"""The environment of the tests, set before Django's settings are read (pytest loads this by ``-p``).

``make test`` brings PostgreSQL and Redis and names them in DATABASE_URL and REDIS_URL.
"""

from __future__ import annotations

import os

os.environ["BACKLEDGER_SECRET_KEY"] = "only-for-tests-" * 5
os.environ["BACKLEDGER_ENCRYPTION_KEYS"] = "dGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtISE="
os.environ["BACKLEDGER_ALLOW_PRIVATE_DESTINATIONS"] = "true"
os.environ["BACKLEDGER_ALLOWED_HOSTS"] = "*"
os.environ["BACKLEDGER_BASE_URL"] = "http://testserver"
