"""Addresses of the settings pages, below /settings/, and of the link that sets a first password."""

from __future__ import annotations

from django.urls import URLPattern, path

from msp.dashboard.views import connecting
from msp.dashboard.views import settings_assignment as assignment
from msp.dashboard.views import settings_audit as audit
from msp.dashboard.views import settings_bulk as bulk
from msp.dashboard.views import settings_clients as clients
from msp.dashboard.views import settings_companies as companies
from msp.dashboard.views import settings_destinations as destinations
from msp.dashboard.views import settings_enabling as enabling
from msp.dashboard.views import settings_guess as guess
from msp.dashboard.views import settings_hub as hub
from msp.dashboard.views import settings_jobs as jobs
from msp.dashboard.views import settings_keys as keys
from msp.dashboard.views import settings_life as life
from msp.dashboard.views import settings_machines as machines
from msp.dashboard.views import settings_mail as mail
from msp.dashboard.views import settings_people as people
from msp.dashboard.views import settings_pulling as pulling
from msp.dashboard.views import settings_reports as reports
from msp.dashboard.views import settings_resellers as resellers
from msp.dashboard.views import settings_routes as routes
from msp.dashboard.views import settings_rules as rules
from msp.dashboard.views import settings_servers as servers
from msp.dashboard.views import settings_silences as silences
from msp.dashboard.views import settings_trying as trying
from msp.dashboard.views import settings_words as words

urlpatterns: list[URLPattern] = [
    path("set-password/<uidb64>/<token>/", people.SetPassword.as_view(), name="set-password"),
    path("settings/", hub.show_hub, name="settings"),
    path("settings/rules/", rules.show_tenant_rules, name="rules"),
    path("settings/rules/many/", bulk.edit_bulk, name="rules-bulk"),
    path("settings/rules/<str:level>/<uuid:uid>/", rules.show_rules, name="rules-of"),
    path("settings/rules/<str:level>/<uuid:uid>/<slug:kind>/", rules.change_rule, name="rule-change"),
    path("settings/rules/<str:level>/<uuid:uid>/<slug:kind>/try/", trying.try_rule, name="rule-try"),
    path("settings/routes/", routes.list_routes, name="routes"),
    path("settings/routes/try/", routes.try_routes, name="routes-try"),
    path("settings/routes/new/", routes.edit_route, name="route-new"),
    path("settings/routes/<uuid:uid>/", routes.edit_route, name="route"),
    path("settings/routes/<uuid:uid>/move/", routes.move_route, name="route-move"),
    path("settings/routes/<uuid:uid>/delete/", routes.delete_route, name="route-delete"),
    path("settings/assignment/", assignment.list_rules, name="assignment-rules"),
    path("settings/assignment/new/", assignment.edit_rule, name="assignment-rule-new"),
    path("settings/assignment/new/preview/", assignment.preview, name="assignment-preview-new"),
    path("settings/assignment/proposed/", assignment.show_proposed, name="proposed-jobs"),
    path("settings/assignment/proposed/<uuid:uid>/", assignment.decide_proposed, name="proposed-decide"),
    path("settings/assignment/<uuid:uid>/", assignment.edit_rule, name="assignment-rule"),
    path("settings/assignment/<uuid:uid>/preview/", assignment.preview, name="assignment-preview"),
    path("settings/assignment/<uuid:uid>/read/", assignment.read_again, name="assignment-read"),
    path("settings/assignment/<uuid:uid>/move/", assignment.move, name="assignment-move"),
    path("settings/assignment/<uuid:uid>/delete/", assignment.delete, name="assignment-delete"),
    path("settings/destinations/", destinations.list_destinations, name="destinations"),
    path("settings/destinations/new/<slug:gateway>/", destinations.new_destination, name="destination-new"),
    path("settings/destinations/<uuid:uid>/", destinations.edit_destination, name="destination"),
    path("settings/destinations/<uuid:uid>/check/", destinations.check, name="destination-check"),
    path("settings/destinations/<uuid:uid>/values/", destinations.read_values, name="destination-values"),
    path("settings/destinations/<uuid:uid>/companies/", companies.edit_companies, name="destination-companies"),
    path("settings/destinations/<uuid:uid>/test-ticket/", destinations.send_test, name="destination-test"),
    path("settings/destinations/<uuid:uid>/pause/", destinations.pause, name="destination-pause"),
    path("settings/words/", words.list_words, name="words"),
    path("settings/words/language/", words.choose_language, name="words-language"),
    path("settings/words/preview/", words.preview, name="words-preview"),
    path("settings/words/new/", words.edit_template, name="words-new"),
    path("settings/words/<uuid:uid>/", words.edit_template, name="words-template"),
    path("settings/words/<uuid:uid>/reset/", words.reset, name="words-reset"),
    path("settings/enable-tickets/", enabling.everything, name="enable-all"),
    path("settings/clients/<uuid:uid>/enable-tickets/", enabling.client, name="enable-client"),
    path("settings/jobs/<uuid:uid>/enable-tickets/", enabling.job, name="enable-job"),
    path("settings/incidents/", life.edit_life, name="life"),
    path("settings/silences/", silences.list_silences, name="silences"),
    path("settings/silences/new/", silences.new_silence, name="silence-new"),
    path("settings/silences/preview/", silences.preview, name="silence-preview"),
    path("settings/silences/<uuid:uid>/end/", silences.end, name="silence-end"),
    path("settings/reports/", reports.list_reports, name="reports"),
    path("settings/reports/new/", reports.edit_report, name="report-new"),
    path("settings/reports/<uuid:uid>/", reports.edit_report, name="report"),
    path("settings/reports/<uuid:uid>/send/", reports.send_one, name="report-send"),
    path("settings/servers/", servers.list_servers, name="servers"),
    path("settings/servers/connect/", connecting.pick_product, name="connect"),
    path("settings/servers/connect/<slug:name>/", connecting.name_server, name="connect-server"),
    path("settings/servers/<uuid:uid>/connect/<slug:name>/", connecting.show_ways, name="connect-ways"),
    path("settings/servers/<uuid:uid>/connect/<slug:name>/new/", connecting.show_arrivals, name="connect-arrivals"),
    path("settings/servers/<uuid:uid>/", servers.edit_server, name="server"),
    path("settings/servers/<uuid:uid>/key/", servers.rotate_key, name="server-key"),
    path("settings/servers/<uuid:uid>/mail/", mail.show_addresses, name="mail-addresses"),
    path("settings/servers/<uuid:uid>/mail/change/", mail.change_addresses, name="mail-addresses-change"),
    path("settings/machines/", machines.list_machines, name="machines"),
    path("settings/machines/new/", machines.new_machine, name="machine-new"),
    path("settings/machines/<uuid:uid>/", machines.edit_machine, name="machine"),
    path("settings/machines/<uuid:uid>/waive/", machines.waive, name="machine-waive"),
    path("settings/jobs/<uuid:uid>/gone/", machines.settle, name="job-settle"),
    path("settings/mailboxes/", mail.list_mailboxes, name="mailboxes"),
    path("settings/mailboxes/new/", mail.new_mailbox, name="mailbox-new"),
    path("settings/mailboxes/<uuid:uid>/", mail.edit_mailbox, name="mailbox"),
    path("settings/mailboxes/<uuid:uid>/check/", mail.check, name="mailbox-check"),
    path("settings/mailboxes/<uuid:uid>/pause/", mail.pause, name="mailbox-pause"),
    path("settings/pulling/", pulling.list_sources, name="pull-sources"),
    path("settings/pulling/new/<slug:kind>/", pulling.new_source, name="pull-source-new"),
    path("settings/pulling/<uuid:uid>/", pulling.edit_source, name="pull-source"),
    path("settings/pulling/<uuid:uid>/check/", pulling.check, name="pull-source-check"),
    path("settings/pulling/<uuid:uid>/change/", pulling.change, name="pull-source-change"),
    path("settings/clients/new/", clients.new_client, name="client-new"),
    path("settings/clients/<uuid:uid>/", clients.edit_client, name="client-edit"),
    path("settings/clients/<uuid:uid>/state/", clients.change_state, name="client-state"),
    path("settings/clients/<uuid:uid>/reseller/", clients.change_reseller, name="client-reseller"),
    path("settings/jobs/<uuid:uid>/", jobs.edit_job, name="job-edit"),
    path("settings/jobs/<uuid:uid>/upcoming/", trying.show_upcoming, name="job-upcoming"),
    path("settings/jobs/<uuid:uid>/guess/use/", guess.use_guess, name="guess-use"),
    path("settings/jobs/<uuid:uid>/guess/refuse/", guess.refuse_guess, name="guess-refuse"),
    path("settings/jobs/<uuid:uid>/try/", trying.try_schedule, name="job-try"),
    path("settings/people/", people.list_people, name="people"),
    path("settings/people/invite/", people.invite, name="person-invite"),
    path("settings/people/<uuid:uid>/", people.edit_person, name="person"),
    path("settings/people/<uuid:uid>/link/", people.new_link, name="person-link"),
    path("settings/people/<uuid:uid>/remove/", people.remove, name="person-remove"),
    path("settings/keys/", keys.list_keys, name="keys"),
    path("settings/keys/new/", keys.new_key, name="key-new"),
    path("settings/keys/<uuid:uid>/revoke/", keys.revoke, name="key-revoke"),
    path("settings/resellers/", resellers.list_resellers, name="resellers"),
    path("settings/resellers/new/", resellers.edit_reseller, name="reseller-new"),
    path("settings/resellers/<uuid:uid>/", resellers.edit_reseller, name="reseller"),
    path("settings/branding/", resellers.edit_branding, name="branding"),
    path("settings/audit/", audit.list_entries, name="audit"),
]
