"""Writes docs/billing-golden.md from the cases."""

from __future__ import annotations

from tests.billing.golden import PAGE, page

PAGE.write_text(page(), encoding="utf-8")
