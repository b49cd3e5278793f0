"""Sellers, bill-tos, agreements, plans, subscriptions; the usage ledger; invoice runs, invoices and their numbers.

The ledger and final documents are only inserted (triggers refuse the rest). Money is Decimal, sizes are whole bytes.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import Q

from billing.exact import ROUNDINGS
from billing.metrics import ENTERED, METRICS
from billing.taxes import TAX_CATEGORIES, TAX_CLASSES
from msp.estate.models import Client, Selection
from msp.tenants.models import Reseller
from msp.tenants.secrets import EncryptedJSONField
from msp.tenants.wall import TenantOwned, WalledManager, one_of, uid_key

#: Whether a plan charges what is suspended (by its last figure) and what is seeding.
CHARGE_SUSPENDED = ("no", "yes")
CHARGE_SEEDING = ("first_figure", "never", "always")
#: Usage of a subscription, a percentage of such lines, a one-off charge, a discount, a credit, a late correction.
LINE_KINDS = ("usage", "percentage", "charge", "discount", "credit", "delta")


class Seller(TenantOwned):
    """Who invoices: a legal entity with its own number series; of the tenant (reseller empty) or of a reseller.

    ``stripe`` is the encrypted configuration of ``integrations.payments.stripe``, empty without Stripe. ``note`` is
    printed on every document. ``callbacks_refused`` counts callbacks that Stripe did not sign, ``last_refusal`` says
    why the last one was.
    A month is made final ``grace_days`` after its end; it corrects months that began up to ``late_days`` before it, by
    more than ``late_most`` only if a person says so.
    """

    reseller = models.ForeignKey(Reseller, on_delete=models.PROTECT, related_name="+", db_index=False, null=True)
    legal_name = models.CharField(max_length=200)
    address = models.TextField(blank=True)
    country = models.CharField(max_length=2, blank=True)
    tax_id = models.CharField(max_length=40, blank=True)
    bank = models.TextField(blank=True)
    email = models.EmailField(blank=True)
    note = models.TextField(blank=True)
    number_format = models.CharField(max_length=60, default="{year}-{number:05d}")
    credit_number_format = models.CharField(max_length=60, default="CN-{year}-{number:05d}")
    second_person_above = models.DecimalField(max_digits=18, decimal_places=4, null=True)
    stripe = EncryptedJSONField(null=True)
    mail = EncryptedJSONField(null=True)
    callbacks_refused = models.IntegerField(default=0, db_default=0)
    last_refusal = models.CharField(max_length=500, blank=True, db_default="")
    grace_days = models.IntegerField(default=0)
    late_days = models.IntegerField(default=62)
    late_most = models.DecimalField(max_digits=18, decimal_places=4, default=0)

    class Meta(TenantOwned.Meta):
        constraints = [
            models.CheckConstraint(
                condition=Q(grace_days__range=(0, 60), late_days__range=(0, 366), late_most__gte=0), name="seller_late"
            ),
            uid_key("seller"),
            models.UniqueConstraint(fields=["tenant", "legal_name"], name="seller_name"),
        ]

    def __str__(self) -> str:
        return self.legal_name


class BillTo(TenantOwned):
    """Who pays; ``tax_rate`` is a share (0.19), ``terms_days`` from the invoice's date.

    ``tax_category`` "" is standard where there is a rate, else zero rated. ``language`` is that of its documents.

    ``customer_number`` is its number in the seller's books (in DATEV the debtor's account).
    """

    legal_name = models.CharField(max_length=200)
    address = models.TextField(blank=True)
    country = models.CharField(max_length=2, blank=True)
    tax_id = models.CharField(max_length=40, blank=True)
    tax_rate = models.DecimalField(max_digits=6, decimal_places=5, default=0)
    tax_category = models.CharField(max_length=2, blank=True)
    tax_note = models.CharField(max_length=200, blank=True)
    language = models.CharField(max_length=8, blank=True)
    currency = models.CharField(max_length=3, default="EUR")
    terms_days = models.IntegerField(default=14)
    order_number = models.CharField(max_length=80, blank=True)
    customer_number = models.CharField(max_length=20, blank=True)
    email = models.EmailField(blank=True)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("billto"),
            models.UniqueConstraint(fields=["tenant", "legal_name"], name="billto_name"),
            models.CheckConstraint(condition=Q(tax_rate__gte=0, tax_rate__lt=1), name="billto_tax_rate"),
            one_of("billto", "tax_category", ("", *TAX_CATEGORIES)),
            models.CheckConstraint(condition=Q(tax_rate=0) | Q(tax_category__in=("", "S")), name="billto_untaxed"),
            models.CheckConstraint(condition=Q(terms_days__gte=0), name="billto_terms"),
        ]

    def __str__(self) -> str:
        return self.legal_name


class Agreement(TenantOwned):
    """What a bill-to signed with a seller; holds subscriptions."""

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="+", db_index=False)
    bill_to = models.ForeignKey(BillTo, on_delete=models.PROTECT, related_name="+", db_index=False)
    number = models.CharField(max_length=60)
    starts_on = models.DateField()
    ends_on = models.DateField(null=True)
    notice_days = models.IntegerField(default=30)
    document_hash = models.CharField(max_length=64, blank=True)
    size_contract = models.CharField(max_length=20, default="1")

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("agreement"),
            models.UniqueConstraint(fields=["tenant", "number"], name="agreement_number"),
        ]


class Plan(TenantOwned):
    """A versioned choice of meter, price and unit; a version never changes (a trigger refuses it).

    ``pool``: the meter sees one sum a day of all that a subscription covers, or each selection by itself, added after.
    """

    code = models.CharField(max_length=60)
    version = models.IntegerField(default=1)
    name = models.CharField(max_length=120)
    metric = models.CharField(max_length=20, default="protected")
    meter = models.CharField(max_length=40, default="daily_average")
    meter_params = models.JSONField(default=dict)
    price = models.CharField(max_length=40)
    price_params = models.JSONField(default=dict)
    pool = models.CharField(max_length=12, default="subscription")
    unit = models.CharField(max_length=8, default="GB")
    quantity_places = models.IntegerField(default=3)
    quantity_rounding = models.CharField(max_length=8, default="half-up")
    allowance = models.DecimalField(max_digits=18, decimal_places=6, default=0)
    allowance_each = models.DecimalField(max_digits=18, decimal_places=6, default=0)
    allowance_per = models.CharField(max_length=12, default="selection")
    minimum = models.DecimalField(max_digits=18, decimal_places=4, default=0)
    maximum = models.DecimalField(max_digits=18, decimal_places=4, default=0)
    tax_class = models.CharField(max_length=10, default="standard")
    currency = models.CharField(max_length=3)
    carry_days = models.IntegerField(default=3)
    starts_with = models.CharField(max_length=12, default="first_good")
    charge_suspended = models.CharField(max_length=12, default="no", db_default="no")
    charge_seeding = models.CharField(max_length=12, default="first_figure", db_default="first_figure")
    created_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("plan"),
            models.UniqueConstraint(fields=["tenant", "code", "version"], name="plan_version"),
            one_of("plan", "metric", METRICS),
            one_of("plan", "starts_with", ("first_good", "agreed")),
            one_of("plan", "charge_suspended", CHARGE_SUSPENDED),
            one_of("plan", "charge_seeding", CHARGE_SEEDING),
            one_of("plan", "tax_class", TAX_CLASSES),
            one_of("plan", "pool", ("subscription", "selection")),
            one_of("plan", "quantity_rounding", ROUNDINGS),
            one_of("plan", "allowance_per", ("selection", "machine")),
            models.CheckConstraint(
                condition=Q(allowance__gte=0, minimum__gte=0, carry_days__gte=0, quantity_places__range=(0, 6)),
                name="plan_bounds",
            ),
            models.CheckConstraint(condition=Q(allowance_each__gte=0, maximum__gte=0), name="plan_limits"),
        ]

    def __str__(self) -> str:
        return f"{self.name} (version {self.version})"


class Subscription(TenantOwned):
    """Who is on which plan from when: a client or one selection (retail), or a reseller (wholesale)."""

    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, related_name="+", db_index=False)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="+", db_index=False)
    layer = models.CharField(max_length=10, default="retail")
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+", db_index=False, null=True)
    reseller = models.ForeignKey(Reseller, on_delete=models.PROTECT, related_name="+", db_index=False, null=True)
    selection = models.ForeignKey(Selection, on_delete=models.PROTECT, related_name="+", db_index=False, null=True)
    starts_on = models.DateField()
    ends_on = models.DateField(null=True)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("subscription"),
            one_of("subscription", "layer", ("retail", "wholesale")),
            models.CheckConstraint(
                condition=Q(layer="retail", client__isnull=False, reseller__isnull=True)
                | Q(layer="wholesale", client__isnull=True, reseller__isnull=False),
                name="subscription_owner",
            ),
            models.CheckConstraint(
                condition=Q(ends_on__isnull=True) | Q(ends_on__gt=models.F("starts_on")), name="subscription_forward"
            ),
        ]
        indexes = [models.Index(fields=["tenant", "client"], name="subscription_client")]


class UsageEntry(models.Model):
    """The ledger: one figure of one source, append-only; a correction is a further entry with the next revision.

    ``source`` names where it came from ("run:<id>", "inventory:<id>", "agreed:<id>"). ``quantity`` is null in an entry
    that withdraws the source's figure. ``local_day`` is the day in the tenant's zone, fixed at writing with selection,
    client and reseller. ``measured_at`` is when it was true, ``known_at`` when we learned it. The highest revision
    counts.
    """

    id = models.BigAutoField(primary_key=True)
    uid = models.UUIDField(default=uuid.uuid4, db_default=RandomUUID(), editable=False)
    tenant_id = models.BigIntegerField()
    source = models.CharField(max_length=240)
    metric = models.CharField(max_length=20)
    revision = models.IntegerField(default=0)
    quantity = models.BigIntegerField(null=True)
    unit = models.CharField(max_length=8, default="byte")
    basis = models.CharField(max_length=16, blank=True)
    selection_id = models.BigIntegerField()
    client_id = models.BigIntegerField()
    reseller_id = models.BigIntegerField(null=True)
    job_id = models.BigIntegerField(null=True)
    run_key = models.CharField(max_length=200, blank=True)
    run_month = models.DateField(null=True)
    local_day = models.DateField()
    measured_at = models.DateTimeField()
    known_at = models.DateTimeField()
    reason = models.CharField(max_length=60, blank=True)

    objects = WalledManager()
    unwalled: models.Manager[Any] = models.Manager()

    class Meta:
        base_manager_name = "unwalled"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "source", "metric", "revision"], name="usage_source"),
            one_of("usage", "metric", ENTERED),
            models.CheckConstraint(condition=Q(quantity__isnull=True) | Q(quantity__gte=0), name="usage_quantity"),
        ]
        indexes = [
            models.Index(fields=["tenant_id", "selection_id", "metric", "local_day"], name="usage_day"),
            models.Index(fields=["tenant_id", "client_id", "local_day"], name="usage_client_day"),
        ]


class MeasuringChoice(TenantOwned):
    """Which job measures a selection, and how it counts (basis), from a local day on; only inserted.

    The first measurable run makes the first one (``actor`` empty), a person makes each further one. Of the choices that
    began on or before a day the latest counts; days before the first one go by the first.
    """

    selection = models.ForeignKey(Selection, on_delete=models.PROTECT, related_name="+", db_index=False)
    job_id = models.BigIntegerField()
    basis = models.CharField(max_length=16, blank=True)
    since = models.DateField()
    decided_at = models.DateTimeField()
    actor = models.CharField(max_length=200, blank=True)
    reason = models.TextField(blank=True)

    class Meta(TenantOwned.Meta):
        constraints = [uid_key("measuringchoice")]
        indexes = [models.Index(fields=["tenant", "selection", "since"], name="measuringchoice_since")]


class InvoiceRun(TenantOwned):
    """A month of one seller: ``first_day`` to ``last_day`` (exclusive) in a frozen zone, as known at ``cut_off``."""

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="+", db_index=False)
    first_day = models.DateField()
    last_day = models.DateField()
    timezone = models.CharField(max_length=64)
    cut_off = models.DateTimeField()
    state = models.CharField(max_length=10, default="draft")
    started_by = models.CharField(max_length=200, blank=True)
    started_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("invoicerun"),
            models.UniqueConstraint(fields=["tenant", "seller", "first_day"], name="invoicerun_period"),
            one_of("invoicerun", "state", ("draft", "final")),
            models.CheckConstraint(condition=Q(last_day__gt=models.F("first_day")), name="invoicerun_forward"),
        ]


class Invoice(TenantOwned):
    """A document of a seller to a bill-to. Draft: can be rebuilt; final: frozen, numbered, hashed; void: cancelled.

    ``held`` lists, in sentences, what a person must decide before it can be finalised (missing days, changed basis).
    ``taxes`` are the sums of each tax category and rate (``billing.taxes``); ``tax_rate`` is the bill-to's own rate.
    ``snapshot`` is everything a final document shows; ``content_hash`` is its SHA-256. ``inputs`` is the fingerprint of
    what a draft was composed from (``billing.fingerprints``), "" if it was not read.
    """

    run = models.ForeignKey(InvoiceRun, on_delete=models.PROTECT, related_name="+", db_index=False)
    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="+", db_index=False)
    bill_to = models.ForeignKey(BillTo, on_delete=models.PROTECT, related_name="+", db_index=False)
    currency = models.CharField(max_length=3)
    kind = models.CharField(max_length=10, default="regular")
    state = models.CharField(max_length=8, default="draft")
    first_day = models.DateField()
    last_day = models.DateField()
    net = models.DecimalField(max_digits=18, decimal_places=4, default=0)
    tax = models.DecimalField(max_digits=18, decimal_places=4, default=0)
    total = models.DecimalField(max_digits=18, decimal_places=4, default=0)
    tax_rate = models.DecimalField(max_digits=6, decimal_places=5, default=0)
    taxes = models.JSONField(default=list)
    held = models.JSONField(default=list)
    decisions = models.JSONField(default=list)
    number = models.CharField(max_length=60, blank=True)
    issued_on = models.DateField(null=True)
    due_on = models.DateField(null=True)
    finalised_at = models.DateTimeField(null=True)
    finalised_by = models.CharField(max_length=200, blank=True)
    approved_by = models.CharField(max_length=200, blank=True)
    voided_at = models.DateTimeField(null=True)
    void_reason = models.TextField(blank=True)
    replaces = models.ForeignKey("self", on_delete=models.PROTECT, related_name="+", db_index=False, null=True)
    credits = models.ForeignKey("self", on_delete=models.PROTECT, related_name="+", db_index=False, null=True)
    credit_reason = models.TextField(blank=True)
    snapshot = models.JSONField(null=True)
    content_hash = models.CharField(max_length=64, blank=True)
    draft_hash = models.CharField(max_length=64, blank=True)
    inputs = models.CharField(max_length=100, blank=True, default="", db_default="")
    created_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("invoice"),
            models.UniqueConstraint(
                fields=["tenant", "seller", "bill_to", "currency", "kind", "first_day"],
                name="invoice_period",
                condition=Q(kind="regular") & ~Q(state="void"),
            ),
            models.UniqueConstraint(
                fields=["tenant", "seller", "number"], name="invoice_number", condition=~Q(number="")
            ),
            one_of("invoice", "kind", ("regular", "credit")),
            models.CheckConstraint(
                condition=Q(kind="credit", credits__isnull=False) | ~Q(kind="credit") & Q(credits__isnull=True),
                name="invoice_credits_one",
            ),
            one_of("invoice", "state", ("draft", "final", "void")),
            models.CheckConstraint(condition=Q(state="draft") | ~Q(number=""), name="invoice_numbered"),
        ]
        indexes = [
            models.Index(fields=["tenant", "-first_day"], name="invoice_month"),
            models.Index(fields=["tenant", "credits"], name="invoice_credits", condition=Q(credits__isnull=False)),
        ]


class InvoiceLine(TenantOwned):
    """A line with its working. ``evidence`` lists days with the run and receipt behind each figure.

    ``kind`` says what it charges: usage of a subscription, or something of its own (then ``subscription`` is empty).
    ``tax_category`` is the code of UNCL 5305 that EN 16931 uses (S standard, Z zero, AE reverse charge, ...).
    """

    invoice = models.ForeignKey(Invoice, on_delete=models.CASCADE, related_name="+", db_index=False)
    position = models.IntegerField()
    kind = models.CharField(max_length=10, default="usage")
    subscription = models.ForeignKey(
        Subscription, on_delete=models.PROTECT, related_name="+", db_index=False, null=True
    )
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+", db_index=False, null=True)
    description = models.CharField(max_length=300)
    quantity = models.DecimalField(max_digits=24, decimal_places=6)
    unit = models.CharField(max_length=8)
    amount = models.DecimalField(max_digits=18, decimal_places=4)
    tax_category = models.CharField(max_length=2, default="S")
    tax_rate = models.DecimalField(max_digits=6, decimal_places=5, default=0)
    working = models.JSONField()
    evidence = models.JSONField(default=list)
    credits = models.ForeignKey("self", on_delete=models.PROTECT, related_name="+", db_index=False, null=True)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("invoiceline"),
            models.UniqueConstraint(fields=["tenant", "invoice", "position"], name="invoiceline_position"),
            one_of("invoiceline", "kind", LINE_KINDS),
            one_of("invoiceline", "tax_category", TAX_CATEGORIES),
            models.CheckConstraint(
                condition=~Q(kind__in=("usage", "percentage")) | Q(subscription__isnull=False),
                name="invoiceline_subscribed",
            ),
        ]


class InvoiceSeries(TenantOwned):
    """The next number of a series; locked last, in a short finalising transaction, so there are no gaps."""

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="+", db_index=False)
    series = models.CharField(max_length=20)
    next_number = models.IntegerField(default=1)

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("invoiceseries"),
            models.UniqueConstraint(fields=["tenant", "seller", "series"], name="invoiceseries_key"),
        ]


class Collection(TenantOwned):
    """How a final invoice is collected through a payment service: wanted and confirmed state of the object there.

    ``amount_paid`` is what the service says has been paid, in the invoice's currency; ``paid_at`` when it was whole.
    """

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="+", db_index=False)
    service = models.CharField(max_length=12, default="stripe")
    wanted_state = models.CharField(max_length=10, default="open")
    confirmed_state = models.CharField(max_length=10, default="none")
    external_ids = models.JSONField(default=dict)
    external_url = models.CharField(max_length=500, blank=True)
    amount_paid = models.DecimalField(max_digits=18, decimal_places=4, default=0, db_default=0)
    paid_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("collection"),
            models.UniqueConstraint(fields=["tenant", "invoice", "service"], name="collection_invoice"),
            one_of("collection", "wanted_state", ("open", "void")),
            one_of("collection", "confirmed_state", ("none", "draft", "open", "paid", "void")),
        ]


# further models of this app, each topic in a file of its own; Django looks for them here
from billing import models_psa as models_psa  # noqa: E402
from billing.models_adjusting import Discount as Discount  # noqa: E402
from billing.models_adjusting import OneOff as OneOff  # noqa: E402
from billing.models_approving import ApprovalRequest as ApprovalRequest  # noqa: E402
from billing.models_exporting import ExportSettings as ExportSettings  # noqa: E402
from billing.models_mailing import DocumentMail as DocumentMail  # noqa: E402
from billing.models_payments import Payment as Payment  # noqa: E402
from billing.models_payments import PaymentAllocation as PaymentAllocation  # noqa: E402
from billing.models_portal import PortalLink as PortalLink  # noqa: E402
from billing.models_reconciling import Reconciliation as Reconciliation  # noqa: E402
from billing.models_taxes import TaxRate as TaxRate  # noqa: E402
from billing.models_usage import UsageImport as UsageImport  # noqa: E402
from billing.models_usage import UsageNames as UsageNames  # noqa: E402
