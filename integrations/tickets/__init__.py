"""Ticket systems: one module each, with the functions that ``contract.Gateway`` names.

The lanes of the outbox look a gateway up in ``GATEWAYS`` by the kind stored with the destination. Adding one touches
its own file, one line here, and its tests; forms, API schema and documentation come from its ``Config``.
"""

from __future__ import annotations

from integrations.configuration import (
    BadConfig,
    Setting,
    config_from_json,
    config_to_json,
    describe,
    secrets_of,
)
from integrations.tickets import (
    autotask,
    connectwise,
    django_helpdesk,
    email,
    freshdesk,
    freshservice,
    glpi,
    halopsa,
    jira,
    kaseya_bms,
    opsgenie,
    osticket,
    pagerduty,
    redmine,
    request_tracker,
    rest,
    roundup,
    servicenow,
    syncro,
    zammad,
    zendesk,
)
from integrations.tickets.contract import (
    Ability,
    Call,
    Choice,
    Company,
    Created,
    Gateway,
    NewTicket,
    Priority,
    Reference,
    Remark,
    Standing,
    Thread,
    TicketEvent,
    TicketText,
)

GATEWAYS: dict[str, Gateway] = {
    "email": email,
    "rest": rest,
    "autotask": autotask,
    "connectwise": connectwise,
    "django-helpdesk": django_helpdesk,
    "freshdesk": freshdesk,
    "freshservice": freshservice,
    "glpi": glpi,
    "halopsa": halopsa,
    "jira": jira,
    "kaseya-bms": kaseya_bms,
    "opsgenie": opsgenie,
    "osticket": osticket,
    "pagerduty": pagerduty,
    "redmine": redmine,
    "request-tracker": request_tracker,
    "roundup": roundup,
    "servicenow": servicenow,
    "syncro": syncro,
    "zammad": zammad,
    "zendesk": zendesk,
}

__all__ = [
    "GATEWAYS",
    "Ability",
    "BadConfig",
    "Call",
    "Choice",
    "Company",
    "Created",
    "Gateway",
    "NewTicket",
    "Priority",
    "Reference",
    "Remark",
    "Setting",
    "Standing",
    "Thread",
    "TicketEvent",
    "TicketText",
    "config_from_json",
    "config_to_json",
    "describe",
    "secrets_of",
]
