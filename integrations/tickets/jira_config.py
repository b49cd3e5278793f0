"""The settings of the gateway to Jira, and what about them can be judged before any call is made.

Priorities, types and statuses are each project's own in Jira, so they are settings whose values are looked up there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from integrations.configuration import BadConfig, setting
from integrations.tickets.json_api import check_address


@dataclass(frozen=True)
class Config:
    """One Jira site and how issues are opened in it."""

    url: str = setting("Address", help="Such as https://yourname.atlassian.net")
    token: str = setting("API token", secret=True, help="On Data Center a personal access token.")
    project: str = setting("Project", help="Its key, such as OPS.", looked_up=True)
    hosting: str = setting(
        "Hosting", default="cloud", choices=(("cloud", "Jira Cloud"), ("data-center", "Jira Data Center"))
    )
    email: str = setting("Account's email", default="", help="Whose token it is; only for Jira Cloud.")
    issue_type: str = setting("Issue type", default="Task", looked_up=True)
    organization_field: str = setting(
        "Field of organizations", default="", help="Such as customfield_10002. Empty: none are set.", looked_up=True
    )
    default_company: str = setting(
        "Organization if a client has none", default="", help="Empty: the issue gets none.", looked_up=True
    )
    priority_low: str = setting("Priority for low", default="Low", help="Empty: not set.", looked_up=True)
    priority_normal: str = setting("Priority for normal", default="Medium", looked_up=True)
    priority_high: str = setting("Priority for high", default="High", looked_up=True)
    priority_urgent: str = setting("Priority for urgent", default="Highest", looked_up=True)
    closed_status: str = setting(
        "Status to close with", default="", help="Empty: the first one that counts as done.", looked_up=True
    )
    reopened_status: str = setting(
        "Status to reopen with", default="", help="Empty: the first one that does not count as done.", looked_up=True
    )
    fields: object = setting(
        "Further fields", kind="json", default={}, help='Such as the request type: {"customfield_10010": "25"}'
    )
    public: bool = setting("Show our messages to the customer", kind="switch", default=False)
    webhook_secret: str = setting("Secret of the webhook", default="", secret=True, help="16 characters or more.")

    def __post_init__(self) -> None:
        check_address(self.url, field="url")
        if self.hosting == "cloud" and "@" not in self.email:
            raise BadConfig("email", "Jira Cloud needs the mail address of the account whose token it is.")
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,254}", self.project):
            raise BadConfig("project", "This must be the project's key: letters, digits and underscores.")
        if not re.fullmatch(r"(customfield_[0-9]{1,18})?", self.organization_field):
            raise BadConfig("organization_field", "This must be like customfield_10002.")
        if not re.fullmatch(r"[0-9]{0,18}", self.default_company):
            raise BadConfig("default_company", "This must be the number that Jira gives the organization.")
        if not isinstance(self.fields, dict):
            raise BadConfig("fields", "This must be a JSON object of field ids and values.")
        if self.webhook_secret and len(self.webhook_secret) < 16:
            raise BadConfig("webhook_secret", "The secret must have 16 characters or more.")
