"""Template filters and tags of the dashboard: sizes, times, outcomes, money."""

from __future__ import annotations

from django import template

register = template.Library()
