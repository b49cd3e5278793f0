"""Addresses of the money pages, below /billing/."""

from __future__ import annotations

from django.urls import URLPattern, path

from msp.dashboard.views import billing_adjusting as adjusting
from msp.dashboard.views import billing_approvals as approvals
from msp.dashboard.views import billing_changes as changes
from msp.dashboard.views import billing_comparing as comparing
from msp.dashboard.views import billing_contract as contracts
from msp.dashboard.views import billing_corrections as corrections
from msp.dashboard.views import billing_credits as credits
from msp.dashboard.views import billing_exports as exports
from msp.dashboard.views import billing_forecast as forecasts
from msp.dashboard.views import billing_invoices as invoices
from msp.dashboard.views import billing_leakage as leakage
from msp.dashboard.views import billing_mailing as mailing
from msp.dashboard.views import billing_measuring as measuring
from msp.dashboard.views import billing_parties as parties
from msp.dashboard.views import billing_payments as payments
from msp.dashboard.views import billing_plans as plans
from msp.dashboard.views import billing_psa as psa
from msp.dashboard.views import billing_runs as runs
from msp.dashboard.views import billing_subscriptions as subscriptions
from msp.dashboard.views import billing_taxes as taxes
from msp.dashboard.views import billing_usage as usage
from msp.dashboard.views import billing_wrong_days as wrong_days

urlpatterns: list[URLPattern] = [
    path("billing/", invoices.list_invoices, name="invoices"),
    path("billing/invoices/<uuid:uid>/", invoices.show_invoice, name="invoice"),
    path("billing/invoices/<uuid:uid>/lines/<uuid:line_uid>/", invoices.show_line, name="invoice-line"),
    path("billing/invoices/<uuid:uid>/meters/", comparing.show, name="invoice-meters"),
    path(
        "billing/invoices/<uuid:uid>/lines/<uuid:line_uid>/days/<uuid:selection_uid>/<str:day>/",
        wrong_days.correct_day,
        name="wrong-day",
    ),
    path("billing/invoices/<uuid:uid>/change/", changes.show_document_change, name="invoice-change"),
    path("billing/invoices/<uuid:uid>/lines/<uuid:line_uid>/change/", changes.show_line_change, name="line-change"),
    path("billing/corrections/", corrections.list_corrections, name="corrections"),
    path("billing/measuring/", measuring.list_unapproved, name="measuring"),
    path("billing/measuring/approve/", measuring.approve, name="measuring-approve"),
    path("billing/invoices/<uuid:uid>/days.csv", invoices.download_annex, name="invoice-annex"),
    path("billing/invoices/<uuid:uid>/document.pdf", invoices.download_pdf, name="invoice-pdf"),
    path("billing/invoices/<uuid:uid>/factur-x.pdf", invoices.download_hybrid, name="invoice-factur-x"),
    path("billing/invoices/<uuid:uid>/<slug:syntax>.xml", invoices.download_einvoice, name="invoice-xml"),
    path("billing/invoices/<uuid:uid>/finalise/", invoices.finalise, name="invoice-finalise"),
    path("billing/invoices/<uuid:uid>/decide/", invoices.decide, name="invoice-decide"),
    path("billing/invoices/<uuid:uid>/void/", invoices.void, name="invoice-void"),
    path("billing/invoices/<uuid:uid>/credit/", credits.credit_invoice, name="invoice-credit"),
    path("billing/invoices/<uuid:uid>/proforma/", credits.show_proforma, name="invoice-proforma"),
    path("billing/invoices/<uuid:uid>/pay/", payments.pay_invoice, name="invoice-pay"),
    path("billing/approvals/", approvals.list_approvals, name="approvals"),
    path("billing/approvals/<uuid:uid>/", approvals.decide, name="approval-decide"),
    path("billing/payments/", payments.list_payments, name="payments"),
    path("billing/payments/upload/", payments.upload, name="payments-upload"),
    path("billing/payments/<uuid:uid>/", payments.show_payment, name="payment"),
    path("billing/payments/<uuid:uid>/settle/", payments.settle, name="payment-settle"),
    path("billing/months/", runs.list_runs, name="invoice-runs"),
    path("billing/months/start/", runs.start_run, name="invoice-run-start"),
    path("billing/months/<uuid:uid>/", runs.show_run, name="invoice-run"),
    path("billing/months/<uuid:uid>/redraft/", runs.redraft, name="invoice-run-redraft"),
    path("billing/months/<uuid:uid>/mail/", mailing.send_month, name="invoice-run-mail"),
    path("billing/invoices/<uuid:uid>/mail/", mailing.send, name="invoice-mail"),
    path("billing/sellers/<uuid:uid>/mail/", mailing.edit_server, name="seller-mail"),
    path("billing/months/<uuid:uid>/finalise/", runs.finalise_ready, name="invoice-run-finalise"),
    path("billing/exports/", exports.make, name="exports"),
    path("billing/exports/<uuid:uid>/<slug:exporter>/", exports.edit_settings, name="export-settings"),
    path("billing/psa/", psa.show, name="psa"),
    path("billing/psa/<uuid:uid>/push/", psa.push, name="psa-push"),
    path("billing/psa/<uuid:uid>/clients/<uuid:client_uid>/", psa.choose, name="psa-lines"),
    path("billing/leakage/", leakage.show, name="leakage"),
    path("billing/forecast/", forecasts.show, name="forecast"),
    path("billing/plans/", plans.list_plans, name="plans"),
    path("billing/plans/new/", plans.new_plan, name="plan-new"),
    path("billing/plans/preview/", plans.preview, name="plan-preview"),
    path("billing/plans/<uuid:uid>/version/", plans.new_version, name="plan-version"),
    path("billing/subscriptions/", subscriptions.list_subscriptions, name="subscriptions"),
    path("billing/subscriptions/new/", subscriptions.new_subscription, name="subscription-new"),
    path("billing/subscriptions/<uuid:uid>/plan/", subscriptions.change_subscription, name="subscription-change"),
    path("billing/subscriptions/<uuid:uid>/end/", subscriptions.end_subscription, name="subscription-end"),
    path("billing/adjustments/", adjusting.list_adjustments, name="adjustments"),
    path("billing/charges/new/", adjusting.new_charge, name="charge-new"),
    path("billing/charges/<uuid:uid>/withdraw/", adjusting.withdraw_charge, name="charge-withdraw"),
    path("billing/discounts/new/", adjusting.new_discount, name="discount-new"),
    path("billing/discounts/<uuid:uid>/end/", adjusting.end_discount, name="discount-end"),
    path("billing/parties/", parties.list_parties, name="parties"),
    path("billing/usage/", usage.list_files, name="usage-files"),
    path("billing/usage/upload/", usage.upload, name="usage-upload"),
    path("billing/usage/<uuid:uid>/", usage.show_file, name="usage-file"),
    path("billing/usage/<uuid:uid>/settle/", usage.settle_file, name="usage-settle"),
    path("billing/size-contract/<str:version>/", contracts.show_size_contract, name="size-contract"),
    path("billing/sellers/new/", parties.edit_seller, name="seller-new"),
    path("billing/sellers/<uuid:uid>/", parties.edit_seller, name="seller"),
    path("billing/sellers/<uuid:uid>/stripe/", parties.edit_stripe, name="seller-stripe"),
    path("billing/sellers/<uuid:uid>/tax-rates/", taxes.edit_rates, name="seller-tax-rates"),
    path("billing/bill-tos/new/", parties.edit_bill_to, name="bill-to-new"),
    path("billing/bill-tos/<uuid:uid>/", parties.edit_bill_to, name="bill-to"),
    path("billing/agreements/new/", parties.edit_agreement, name="agreement-new"),
    path("billing/agreements/<uuid:uid>/", parties.edit_agreement, name="agreement"),
]
