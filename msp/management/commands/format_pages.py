"""``format_pages``: write the pages under docs/formats from the guides that the log formats hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from integrations.logs import FORMATS
from integrations.logs.guide_page import page_of, table_of

BEGIN, END = "<!-- formats: written by format_pages -->", "<!-- end of formats -->"


class Command(BaseCommand):
    help = "Write docs/formats/*.md and the table in docs/formats.md from the formats' guides."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        docs = Path(settings.BASE_DIR) / "docs"
        pages = {docs / "formats" / f"{name}.md": page_of(name, module) for name, module in FORMATS.items()}
        pages[docs / "formats.md"] = with_table((docs / "formats.md").read_text(encoding="utf-8"))
        (docs / "formats").mkdir(exist_ok=True)
        for path, text in pages.items():
            path.write_text(text, encoding="utf-8")
        for stale in set((docs / "formats").glob("*.md")) - set(pages):
            stale.unlink()
        self.stdout.write(f"{len(pages)} pages are written.")


def with_table(page: str) -> str:
    """The page with the table of all formats between its marks. Raises ValueError where they are missing."""
    before, rest = page.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    return f"{before}{BEGIN}\n{table_of(FORMATS)}\n{END}{after}"
