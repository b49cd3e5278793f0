"""One form on one page: shown, read, applied; a refusal is shown at its field with everything that was typed.

The views of money and settings say which fields there are and what is done with the values; every kind of refusal that
the parts below raise (BadParams, BadConfig, BadChange, Taken, Refused) becomes a sentence here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

import alerts.params
import billing.params
import billing.refusals
from billing.money import UnknownCurrency
from integrations.configuration import BadConfig
from msp.dashboard.forms import BadField, Field
from msp.dashboard.scope import StaffRequest
from msp.dashboard.typing_in import read_typed, refill_typed
from msp.estate.spans import BadChange, Taken

#: Whatever says no to what a person typed, besides BadField.
REFUSALS = (
    alerts.params.BadParams,
    billing.params.BadParams,
    billing.refusals.Refused,
    UnknownCurrency,
    BadConfig,
    BadChange,
    Taken,
)


@dataclass(frozen=True, kw_only=True)
class FormPage:
    """What stands around the fields. ``back`` is where "Cancel" leads; ``crumbs`` are (text, address) pairs."""

    title: str
    back: str
    submit: str = "Save"
    lead: str = ""
    crumbs: Sequence[tuple[str, str]] = ()
    template: str = "settings/form.html"
    more: Mapping[str, Any] = field(default_factory=dict)


def edit(
    request: StaffRequest,
    page: FormPage,
    fields: Sequence[Field],
    *,
    apply: Callable[[dict[str, Any]], str],
    done: str,
) -> HttpResponse:
    """Show the form, or apply it and go to the address that ``apply`` answers, saying ``done``."""
    if request.method != "POST":
        return show(request, page, fields)
    try:
        target = apply(read_typed(fields, request.POST))
    except (BadField, *REFUSALS) as refusal:
        return show_refused(request, page, fields, refusal)
    messages.success(request, done)
    return redirect(target)


def show(request: StaffRequest, page: FormPage, fields: Sequence[Field], *, problem: str = "") -> HttpResponse:
    """The form's page; ``problem`` is a sentence that belongs to no single field."""
    context = {**page.more, "form_page": page, "fields": fields, "problem": problem}
    return render(request, page.template, context, status=422 if request.method == "POST" else 200)


def show_refused(request: StaffRequest, page: FormPage, fields: Sequence[Field], refusal: Exception) -> HttpResponse:
    """The form again with what was typed and the sentence where it belongs."""
    bad = as_bad_field(refusal)
    at_field = bad.field in {each.name for each in fields}
    shown = refill_typed(fields, request.POST, error=bad)
    return show(request, page, shown, problem="" if at_field else bad.reason)


def as_bad_field(refusal: Exception) -> BadField:
    """A refusal as one of a field, "" where it names none; the reason as a sentence."""
    if isinstance(refusal, BadField):
        return refusal
    return BadField(str(getattr(refusal, "field", "")), sentence(str(getattr(refusal, "reason", refusal))))


def sentence(text: str) -> str:
    """The text with a capital at its beginning and a stop at its end."""
    text = text.strip()
    ended = text if text.endswith((".", "!", "?", "…")) else f"{text}."
    return ended[:1].upper() + ended[1:]
