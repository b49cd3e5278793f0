"""Says whether this process can do its work: reaches the database and Redis. For load balancers and ``make run``."""

from __future__ import annotations

from django.core.cache import cache
from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from redis.exceptions import RedisError


def show_health(request: HttpRequest) -> JsonResponse:
    """200 with each part's state, 503 when PostgreSQL cannot be reached (Redis down only slows us)."""
    state = {"database": database_state(), "redis": redis_state()}
    return JsonResponse(state, status=200 if state["database"] == "ok" else 503)


def database_state() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return "down"
    return "ok"


def redis_state() -> str:
    try:
        cache.get("health")
    except (RedisError, OSError):
        return "down"
    return "ok"
