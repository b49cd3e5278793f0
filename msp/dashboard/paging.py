"""Pages of a list by number: what the toolbar below a list shows."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest


@dataclass(frozen=True)
class Page:
    """Rows ``offset`` + 1 to ``offset`` + ``size`` of ``total``; ``number`` begins at 1."""

    number: int
    size: int
    total: int = 0

    @property
    def offset(self) -> int:
        """Rows before this page."""
        return (self.number - 1) * self.size

    @property
    def first(self) -> int:
        """Number of the first row shown, 0 when there is none."""
        return min(self.offset + 1, self.total)

    @property
    def last(self) -> int:
        """Number of the last row shown."""
        return min(self.offset + self.size, self.total)

    @property
    def previous(self) -> int | None:
        """Number of the page before, None on the first."""
        return self.number - 1 if self.number > 1 else None

    @property
    def next(self) -> int | None:
        """Number of the next page, None on the last."""
        return self.number + 1 if self.last < self.total else None


def asked_page(request: HttpRequest, *, size: int) -> Page:
    """The page named in the address; whatever is no number is the first page."""
    typed = request.GET.get("page", "1")
    number = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 7 else 1
    return Page(number=max(number, 1), size=size)
