"""Addresses of the REST API. The ingest door (``logs``, ``logs/batch``) stands before Django and is not here."""

from __future__ import annotations

from django.urls import URLPattern, path, re_path, register_converter

from msp.api.resources import (
    assignment,
    census,
    clients,
    formats,
    incidents,
    invoices,
    jobs,
    mail,
    me,
    previews,
    pulling,
    receipts,
    rules,
    runs,
    selections,
    servers,
    tickets,
)
from msp.api.resources.missing import MissingView
from msp.api.resources.shapes import MonthConverter
from msp.api.resources.usage import UsageView
from msp.api.schema import SchemaView

register_converter(MonthConverter, "month")

urlpatterns: list[URLPattern] = [
    path("me", me.MeView.as_view()),
    path("formats", formats.FormatsView.as_view()),
    path("clients", clients.ClientsView.as_view()),
    path("clients/<uuid:uid>", clients.ClientView.as_view()),
    path("servers", servers.ServersView.as_view()),
    path("servers/<uuid:uid>", servers.ServerView.as_view()),
    path("servers/<uuid:uid>/keys", servers.ServerKeysView.as_view()),
    path("servers/<uuid:uid>/mail-addresses", mail.MailAddressesView.as_view()),
    path("servers/<uuid:uid>/mail-addresses/<uuid:address>", mail.MailAddressView.as_view()),
    path("mailboxes", mail.MailboxesView.as_view()),
    path("mailboxes/<uuid:uid>", mail.MailboxView.as_view()),
    path("mailboxes/<uuid:uid>/check", mail.MailboxCheckView.as_view()),
    path("pull-sources", pulling.PullSourcesView.as_view()),
    path("pull-sources/<uuid:uid>", pulling.PullSourceView.as_view()),
    path("pull-sources/<uuid:uid>/check", pulling.PullSourceCheckView.as_view()),
    path("pull-sources/<uuid:uid>/pull", pulling.PullSourcePullView.as_view()),
    path("jobs", jobs.JobsView.as_view()),
    path("jobs/<uuid:uid>", jobs.JobView.as_view()),
    path("jobs/<uuid:uid>/runs", runs.RunsView.as_view()),
    path("selections/<uuid:uid>/inventory", selections.InventoryView.as_view()),
    path("runs/<month:month>/<uuid:uid>", runs.RunView.as_view()),
    path("receipts/<uuid:uid>", receipts.ReceiptView.as_view()),
    path("inbox", receipts.InboxView.as_view()),
    path("inbox/assign", assignment.InboxAssignView.as_view()),
    path("inbox/<uuid:uid>/suggestions", assignment.InboxSuggestionsView.as_view()),
    path("jobs/<uuid:uid>/decide", assignment.JobDecisionView.as_view()),
    path("assignment-rules", assignment.AssignmentRulesView.as_view()),
    path("assignment-rules/preview", assignment.AssignmentRulePreviewView.as_view()),
    path("assignment-rules/<uuid:uid>", assignment.AssignmentRuleView.as_view()),
    path("assignment-rules/<uuid:uid>/read-waiting", assignment.AssignmentRuleReadView.as_view()),
    path("incidents", incidents.IncidentsView.as_view()),
    path("incidents/<uuid:uid>", incidents.IncidentView.as_view()),
    path("incidents/<uuid:uid>/acknowledge", incidents.AcknowledgeView.as_view()),
    path("incidents/<uuid:uid>/unacknowledge", incidents.UnacknowledgeView.as_view()),
    path("incidents/<uuid:uid>/snooze", incidents.SnoozeView.as_view()),
    path("incidents/<uuid:uid>/close", incidents.CloseView.as_view()),
    path("tickets", tickets.TicketsView.as_view()),
    path("tickets/<uuid:uid>", tickets.TicketView.as_view()),
    path("rules", rules.RulesView.as_view()),
    path("rules/<str:kind>/preview", previews.RulePreviewView.as_view()),
    path("rule-settings", rules.RuleSettingsView.as_view()),
    path("rule-settings/<str:kind>/<str:scope>/<uuid:uid>", rules.RuleSettingView.as_view()),
    path("invoices", invoices.InvoicesView.as_view()),
    path("invoices/<uuid:uid>", invoices.InvoiceView.as_view()),
    path("invoice-lines/<uuid:uid>/explain", invoices.LineExplainView.as_view()),
    path("usage", UsageView.as_view()),
    path("health/census", census.CensusView.as_view()),
    path("schema", SchemaView.as_view()),
    re_path(r"^.*$", MissingView.as_view()),
]
