"""The form of a plan, made from what meters and prices declare of themselves, and what a plan would charge for a size.

Their settings come from ``billing.params.fields_of``; a list of settings (tiers) becomes rows that can be added and
dropped. The meter's inputs are named "meter-<setting>". The preview is computed by the same meter, price and rating
as an invoice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, get_args

from django.http import QueryDict

from billing.days import DayValue, month_of
from billing.metering import METERS, measure, read_meter_params
from billing.metrics import BY_NAME
from billing.models import Plan
from billing.money import CURRENCIES, round_money
from billing.params import BadParams, ParamField, fields_of
from billing.plans import PlanDraft, draft_of, terms_of
from billing.pricing import PRICES
from billing.pricing.priced import Thing
from billing.pricing.rate import Base, Rated, rate, rate_percentage
from billing.taxes import TAX_CLASSES
from billing.units import UNITS, size_of
from billing.working import explain
from msp.dashboard.form_pages import sentence
from msp.dashboard.forms import BadField, Field
from msp.dashboard.typing_in import read_one, read_typed

AMOUNTS = ("allowance", "allowance_each", "minimum", "maximum")
ROWS_AT_FIRST, MOST_ROWS = 2, 30
#: Settings of a row that need not be typed: each band begins where the one before ends.
FOLLOWS = ("above",)
IF_EMPTY = {
    "quantity_places": 3,
    "carry_days": 3,
    "quantity_rounding": "half-up",
    "allowance_per": "selection",
    "tax_class": "standard",
    "charge_suspended": "no",
    "charge_seeding": "first_figure",
}
#: What the names of the meter's inputs begin with, so that they never meet a price's.
OF_METER = "meter-"
MOST_PREVIEWED = Decimal(10) ** 9
#: The month that a preview is computed for: 31 days, every one measured.
PREVIEW_MONTH = month_of(2026, 1)
POOLS = (
    ("subscription", "everything on the subscription added up, then metered"),
    ("selection", "each selection metered by itself, then added up"),
)
METRIC_CHOICES = tuple((name, f"{metric.label}: {metric.help}") for name, metric in BY_NAME.items())
ROUNDING_WORDS = (("half-up", "half up"), ("up", "always up"), ("down", "always down"))
SUSPENDED = (("no", "not charged"), ("yes", "charged by its last figure"))
SEEDING = (
    ("first_figure", "charged from its first figure"),
    ("never", "not charged"),
    ("always", "charged like any other"),
)
TAX_CLASS_WORDS = tuple((each, each) for each in TAX_CLASSES)
STARTS = (("first_good", "the first measurement"), ("agreed", "the day the subscription starts"))


@dataclass(frozen=True)
class ListRows:
    """A setting that is a list: a heading and rows of inputs, each row its own items."""

    name: str
    label: str
    help: str
    rows: tuple[tuple[Field, ...], ...]
    error: str = ""


@dataclass(frozen=True)
class PlanForm:
    """All inputs of a plan. ``meter`` and ``price`` are those of the chosen ones, ``lists`` the price's lists."""

    basics: tuple[Field, ...]
    meter: tuple[Field, ...]
    meter_help: str
    price: tuple[Field, ...]
    lists: tuple[ListRows, ...]
    price_help: str
    problem: str = ""


@dataclass(frozen=True)
class Preview:
    """What a plan would charge for a size that stays the same all month, with its steps; or why it cannot say."""

    amount: Decimal | None = None
    currency: str = ""
    steps: tuple[str, ...] = ()
    problem: str = ""


def start_typed(plan: Plan | None, *, currency: str) -> QueryDict:
    """What a new form holds: the beginning of a new plan, or what the last version says as that of the next."""
    return _typed_of(plan) if plan else _typed_at_first(currency)


def build_form(typed: QueryDict, *, is_new: bool, error: BadField | None = None) -> PlanForm:
    """The form with what was typed; rows are added or dropped as the pressed button says."""
    price = typed.get("price", "per_unit")
    described = fields_of(PRICES[price].Params) if price in PRICES else ()
    at_field = error.field if error else ""
    meter = typed.get("meter", "daily_average")
    form = PlanForm(
        basics=_filled(basic_fields(is_new=is_new), typed, error),
        meter=_filled(_meter_fields(meter), typed, error),
        meter_help=METERS[meter].HELP if meter in METERS else "",
        price=_filled(_price_fields(described), typed, error),
        lists=tuple(_list_rows(each, typed, error) for each in described if each.kind == "list"),
        price_help=PRICES[price].HELP if price in PRICES else "",
    )
    shown = {each.name for each in (*form.basics, *form.meter, *form.price)}
    shown |= {item.name for each in form.lists for row in each.rows for item in row} | {
        each.name for each in form.lists
    }
    return replace(form, problem=error.reason) if error and at_field not in shown else form


def basic_fields(*, is_new: bool) -> tuple[Field, ...]:
    """What every plan has, whatever its price."""
    code = Field(
        "code", "Code", required=True, maximum=60, help="Stands on reports and never changes, such as backup-gb."
    )
    return (*((code,) if is_new else ()), *_BASICS)


def _choices(words: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, module.LABEL) for name, module in words.items())


def _same(values: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return tuple((value, value) for value in values)


_BASICS = (
    Field("name", "Name on the invoice", required=True, maximum=120),
    Field("currency", "Currency", kind="choice", choices=_same(sorted(CURRENCIES)), required=True),
    Field("metric", "What is billed", kind="choice", choices=METRIC_CHOICES, required=True,
          help="As the size contract defines it. What a product does not report holds the invoice."),
    Field("meter", "Measured as", kind="choice", choices=_choices(METERS), required=True),
    Field("unit", "Unit", kind="choice", choices=_same(UNITS), required=True,
          help="GB is 10^9 bytes, GiB is 2^30; each is for what is counted."),
    Field("price", "Price", kind="choice", choices=_choices(PRICES), required=True),
    Field("allowance", "Included free of charge", kind="decimal", minimum=0, help="In the unit; taken off first."),
    Field("allowance_each", "Included for each", kind="decimal", minimum=0,
          help="In the unit, for each selection or machine that is covered; all of it is one pool."),
    Field("allowance_per", "That is, for each", kind="choice", choices=_same(get_args(Thing))),
    Field("minimum", "Least charge a month", kind="decimal", minimum=0),
    Field("maximum", "Largest charge a month", kind="decimal", minimum=0, help="Empty or 0: no such limit."),
    Field("quantity_places", "Decimals of the size", kind="number", minimum=0, maximum=6),
    Field("quantity_rounding", "Rounding of the size", kind="choice", choices=ROUNDING_WORDS,
          help="Once, before the price; the amount is always rounded half up, once a line."),
    Field("carry_days", "Late days that are carried", kind="number", minimum=0, maximum=366, unit="days",
          help="A day that was due and brought no figure is charged by the last one for so long, then it is held."),
    Field("pool", "Several selections", kind="choice", choices=POOLS, required=True),
    Field("starts_with", "Charged from", kind="choice", choices=STARTS, required=True),
    Field("charge_suspended", "What is suspended", kind="choice", choices=SUSPENDED,
          help="A selection, or all of a client, from the day on which a person suspended it."),
    Field("charge_seeding", "What is seeding", kind="choice", choices=SEEDING,
          help="Its first full copy travels on a device."),
    Field("tax_class", "Tax class", kind="choice", choices=TAX_CLASS_WORDS,
          help="Which of the seller's rates in the payer's country it bears. A payer's own tax category comes first."),
)  # fmt: skip


def read_plan(typed: QueryDict, *, is_new: bool) -> tuple[str, PlanDraft]:
    """The code ("" for a further version) and what the plan says. Raises BadField, BadParams."""
    values = read_typed(basic_fields(is_new=is_new), typed)
    code = values.pop("code", "") or ""
    price_params = read_price_inputs(values["price"], typed)
    meter_params = read_meter_inputs(values["meter"], typed)
    defaults: dict[str, Any] = dict.fromkeys(AMOUNTS, Decimal(0)) | IF_EMPTY
    given: dict[str, Any] = {name: defaults.get(name) if value is None else value for name, value in values.items()}
    return code, PlanDraft(price_params=price_params, meter_params=meter_params, **given)


def read_price_inputs(price: str, typed: QueryDict) -> dict[str, Any]:
    """The price's settings as JSON, for ``billing`` to check. Raises BadField for what is no number."""
    described = fields_of(PRICES[price].Params)
    values = {
        each.name: _stored(each, read_one(_price_field(each), typed)) for each in described if each.kind != "list"
    }
    values = {name: value for name, value in values.items() if value is not None}
    return values | {each.name: _read_rows(each, typed) for each in described if each.kind == "list"}


def read_meter_inputs(meter: str, typed: QueryDict) -> dict[str, Any]:
    """The meter's settings as JSON, for ``billing`` to check; what was left empty has its default. Raises BadField."""
    described = _plan_settings(meter)
    values = {each.name: _stored(each, read_one(_price_field(each, prefix=OF_METER), typed)) for each in described}
    return {name: value for name, value in values.items() if value is not None}


def preview(typed: QueryDict, *, is_new: bool) -> Preview:
    """What the plan as typed would charge for the size that was asked for."""
    asked = Field("preview_size", "Size", kind="decimal", minimum=0, required=True)
    try:
        size = read_one(asked, typed)
        if size > MOST_PREVIEWED:
            raise BadField("preview_size", f"Ask for at most {MOST_PREVIEWED:,} units.")
        _, draft = read_plan(_with_names(typed), is_new=is_new)
        return _priced(draft, size)
    except (BadField, BadParams) as refusal:
        return Preview(problem=sentence(f"{_field_words(refusal.field)}{refusal.reason}"))


def _with_names(typed: QueryDict) -> QueryDict:
    """A preview needs neither name nor code."""
    copy = typed.copy()
    for name in ("name", "code"):
        copy[name] = copy.get(name) or "preview"
    return copy


def _priced(draft: PlanDraft, size: Decimal) -> Preview:
    """For one selection on one machine; a percentage is taken of a line of so much money."""
    terms = terms_of(draft)
    if terms.is_percentage:
        lines = Base(name="Lines of the named plans", amount=round_money(size, draft.currency))
        return _shown(rate_percentage([lines], terms=terms, currency=draft.currency), draft)
    quantity = int(Fraction(size) * size_of(draft.unit))
    days = [DayValue(day=day, state="measured", quantity=quantity) for day in PREVIEW_MONTH.days()]
    params = read_meter_params(draft.meter, draft.meter_params)
    measured = measure(draft.meter, days, unit=draft.unit, params=params)
    return _shown(rate(measured, terms=terms, currency=draft.currency), draft)


def _shown(rated: Rated, draft: PlanDraft) -> Preview:
    return Preview(amount=rated.amount, currency=draft.currency, steps=tuple(explain(rated.working)))


def _field_words(name: str) -> str:
    place = re.fullmatch(r"(\w+)\[(\d+)\]\.(\w+)", name)
    if place:
        return f"{place[1].rstrip('s').capitalize()} {place[2]}, {place[3].replace('_', ' ')}: "
    return ""


def field_of_params(refusal: BadParams) -> BadField:
    """A refusal of a price's setting at the input it is about: ``tiers[2].unit_price`` is ``tiers-2-unit_price``."""
    name = re.sub(r"\[(\d+)\]\.", r"-\1-", refusal.field)
    return BadField(name, sentence(refusal.reason))


def _plan_settings(meter: str) -> tuple[ParamField, ...]:
    """The meter's settings but for what is decided for each invoice."""
    described = fields_of(METERS[meter].Params) if meter in METERS else ()
    return tuple(each for each in described if not each.per_invoice)


def _meter_fields(meter: str) -> tuple[Field, ...]:
    """Each shows what holds if nothing is chosen."""
    return tuple(_price_field(each, prefix=OF_METER) for each in _plan_settings(meter))


def _price_fields(described: Sequence[ParamField]) -> tuple[Field, ...]:
    return tuple(_price_field(each) for each in described if each.kind != "list")


def _price_field(each: ParamField, *, prefix: str = "") -> Field:
    return Field(
        name=f"{prefix}{each.name}",
        label=each.name.replace("_", " ").capitalize(),
        kind={"whole": "number", "decimal": "decimal", "choice": "choice"}.get(each.kind, "text"),
        help=each.help,
        choices=tuple((value, value) for value in each.choices),
    )


def _stored(each: ParamField, value: Any) -> Any:
    """As ``billing.params`` reads it: decimals as exact text."""
    return format(value, "f") if each.kind == "decimal" and value is not None else value


def _list_rows(each: ParamField, typed: QueryDict, error: BadField | None) -> ListRows:
    rows = tuple(
        _filled([_price_field(item, prefix=f"{each.name}-{place}-") for item in _row_items(each)], typed, error)
        for place in range(1, _row_count(each, typed) + 1)
    )
    reason = error.reason if error and error.field == each.name else ""
    return ListRows(each.name, each.name.replace("_", " ").capitalize(), each.help, rows, reason)


def _row_items(each: ParamField) -> tuple[ParamField, ...]:
    """A band's end is asked for first; where it begins follows from the one before."""
    return tuple(reversed([item for item in each.fields if item.name not in FOLLOWS]))


def _row_count(each: ParamField, typed: QueryDict) -> int:
    text = typed.get(f"{each.name}-rows", "")
    count = int(text) if re.fullmatch(r"[0-9]{1,3}", text) else ROWS_AT_FIRST
    return max(1, min(count, MOST_ROWS))


def _read_rows(each: ParamField, typed: QueryDict) -> list[dict[str, Any]]:
    rows = []
    for place in range(1, _row_count(each, typed) + 1):
        inputs = {item.name: (item, _price_field(item, prefix=f"{each.name}-{place}-")) for item in _row_items(each)}
        values = {name: _stored(item, read_one(shown, typed)) for name, (item, shown) in inputs.items()}
        rows.append({name: value for name, value in values.items() if value is not None})
    return [row for row in rows if row] if len(_row_items(each)) == 1 else rows


def press(typed: QueryDict) -> QueryDict:
    """What was typed after a button that adds or drops a row."""
    done = re.fullmatch(r"(add|drop):([a-z_]+)(?::([0-9]{1,3}))?", typed.get("do", ""))
    if not done:
        return typed
    copy, name = typed.copy(), done[2]
    text = copy.get(f"{name}-rows", "")
    count = int(text) if re.fullmatch(r"[0-9]{1,3}", text) else ROWS_AT_FIRST
    if done[1] == "drop" and done[3]:
        _close_up(copy, name, int(done[3]), count)
    copy[f"{name}-rows"] = str(max(1, min(count + (1 if done[1] == "add" else -1), MOST_ROWS)))
    return copy


def _close_up(typed: QueryDict, name: str, dropped: int, count: int) -> None:
    """Rows behind the dropped one move up."""
    items = {key.split("-", 2)[2] for key in typed if re.fullmatch(rf"{name}-[0-9]+-\w+", key)}
    for place in range(dropped, min(count, MOST_ROWS) + 1):
        for item in items:
            typed[f"{name}-{place}-{item}"] = typed.get(f"{name}-{place + 1}-{item}", "")


def _filled(fields: Sequence[Field], typed: QueryDict, error: BadField | None) -> tuple[Field, ...]:
    return tuple(
        replace(
            each,
            value=typed.get(each.name, ""),
            error=error.reason if error and error.field == each.name else "",
        )
        for each in fields
    )


def _typed_at_first(currency: str) -> QueryDict:
    typed = QueryDict(mutable=True)
    typed.update(
        {"currency": currency, "metric": "protected", "meter": "daily_average", "unit": "GB", "price": "tiered"}
    )
    typed.update({"quantity_places": "3", "carry_days": "3", "pool": "subscription", "starts_with": "first_good"})
    typed.update({"quantity_rounding": "half-up", "allowance_per": "selection", "tax_class": "standard"})
    typed.update({"tiers-1-up_to": "100", "preview_size": "121"})
    return typed


def _typed_of(plan: Plan) -> QueryDict:
    """A version as it would have been typed."""
    typed = QueryDict(mutable=True)
    for name, value in vars(draft_of(plan)).items():
        if name not in ("price_params", "meter_params"):
            typed[name] = format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)
    typed.update({f"{OF_METER}{name}": str(value) for name, value in plan.meter_params.items() if value is not None})
    for name, value in plan.price_params.items():
        if isinstance(value, list):
            typed[f"{name}-rows"] = str(len(value))
            for place, row in enumerate(value, start=1):
                typed.update({f"{name}-{place}-{item}": each for item, each in row.items() if each is not None})
        elif value is not None:
            typed[name] = str(value)
    typed["preview_size"] = "121"
    return typed
