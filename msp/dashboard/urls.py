"""Addresses of the dashboard. A run's address carries its month, since runs are kept by month."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, path

from msp.dashboard import money_urls, settings_urls
from msp.dashboard.views import (
    clients,
    entry,
    inbox,
    incidents,
    incidents_several,
    jobs,
    morning,
    overview,
    runs,
    search,
    selections,
    tickets,
)

urlpatterns: list[URLPattern] = [
    path("login/", entry.Login.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("choose/", entry.choose_tenant, name="choose-tenant"),
    path("no-access/", entry.no_tenant, name="no-tenant"),
    path("", overview.show_overview, name="overview"),
    path("fleet/", overview.show_fleet, name="fleet"),
    path("morning/", morning.show_morning, name="morning"),
    path("morning/sign/", morning.sign, name="morning-sign"),
    path("morning/reviews/", morning.list_reviews, name="reviews"),
    path("morning/verdicts.csv", morning.export_verdicts, name="verdicts-csv"),
    path("clients/", clients.list_all, name="clients"),
    path("clients/<uuid:uid>/", clients.show_client, name="client"),
    path("jobs/<uuid:uid>/", jobs.show_job, name="job"),
    path("selections/<uuid:uid>/", selections.show_selection, name="selection"),
    path("selections/<uuid:uid>/measure/", selections.measure_selection, name="selection-measure"),
    path("selections/<uuid:uid>/define/", selections.define_selection, name="selection-define"),
    path("selections/<uuid:uid>/restore-test/", selections.record_test, name="selection-test"),
    path("runs/<str:month>/<uuid:uid>/", runs.show_run, name="run"),
    path("runs/<str:month>/<uuid:uid>/log.txt", runs.download_log, name="run-log"),
    path("incidents/", incidents.list_all, name="incidents"),
    path("incidents/several/", incidents_several.act_on_ticked, name="incidents-several"),
    path("incidents/<uuid:uid>/", incidents.show_incident, name="incident"),
    path("incidents/<uuid:uid>/acknowledge/", incidents.acknowledge, name="incident-acknowledge"),
    path("incidents/<uuid:uid>/unacknowledge/", incidents.unacknowledge, name="incident-unacknowledge"),
    path("incidents/<uuid:uid>/snooze/", incidents.snooze, name="incident-snooze"),
    path("incidents/<uuid:uid>/assign/", incidents.assign, name="incident-assign"),
    path("incidents/<uuid:uid>/unassign/", incidents.unassign, name="incident-unassign"),
    path("incidents/<uuid:uid>/accept/", incidents.accept, name="incident-accept"),
    path("incidents/<uuid:uid>/close/", incidents.close, name="incident-close"),
    path("tickets/", tickets.list_all, name="tickets"),
    path("tickets/<uuid:uid>/", tickets.show_ticket, name="ticket"),
    path("tickets/<uuid:uid>/looked-up/", tickets.say_whether_it_exists, name="ticket-looked-up"),
    path("tickets/<uuid:uid>/send-again/", tickets.send_again, name="ticket-send-again"),
    path("inbox/", inbox.list_all, name="inbox"),
    path("inbox/settle/", inbox.settle, name="inbox-settle"),
    path("inbox/jobs/", inbox.offer_jobs, name="inbox-jobs"),
    path("inbox/<uuid:uid>/", inbox.show_item, name="inbox-item"),
    path("inbox/<uuid:uid>/assign/", inbox.assign, name="inbox-assign"),
    path("search/", search.show_search, name="search"),
    *money_urls.urlpatterns,
    *settings_urls.urlpatterns,
]
