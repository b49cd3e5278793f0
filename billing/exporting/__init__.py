"""Exports of final documents for accounting programs. One file each, listed in ``EXPORTS``; pure but for ``making``."""

from __future__ import annotations

from billing.exporting import datev, plain, quickbooks, usage_report, xero
from billing.exporting.contract import Exporter, ExportFile, Span

__all__ = ["EXPORTS", "ExportFile", "Exporter", "Span"]

EXPORTS: dict[str, Exporter] = {
    "xero": xero,
    "quickbooks": quickbooks,
    "datev": datev,
    "csv": plain,
    "usage": usage_report,
}
