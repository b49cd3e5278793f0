"""Opening a delivery: out of the wrapping it came in, to the log itself.

Called by ``read`` before any format looks. A mail, a web form with one log in it, a byte order mark and UTF-16 are
undone here, once, so that a parser sees what the tool wrote. What cannot be opened stays as it is, with a problem.
"""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import parse_qsl

from integrations.logs.bytes_to_text import without_byte_order_mark
from integrations.logs.joblog import Delivery
from integrations.logs.mail import BadMail, is_mail, open_mail

_FORM = re.compile(rb"^(?:message|body|payload|log|data|result)=[A-Za-z0-9%+._~*!'()-]")
_FORM_FIELDS = ("message", "body", "payload", "log", "data", "result")
_CRON = re.compile(r"^Cron <(?P<user>[^<>@\s]{1,64})@(?P<host>[^<>\s]{1,255})> (?P<command>.+)$")


def open_delivery(delivery: Delivery) -> Delivery:
    """The delivery with its log laid open: never raises."""
    opened = replace(
        delivery,
        stdout=without_byte_order_mark(delivery.stdout),
        stderr=without_byte_order_mark(delivery.stderr),
    )
    if is_mail(opened.stdout, opened.content_type):
        return _open_mail(opened)
    return _open_form(opened)


def _open_mail(delivery: Delivery) -> Delivery:
    try:
        mail = open_mail(delivery.stdout)
    except BadMail as error:
        return replace(delivery, problems=(*delivery.problems, f"The mail was not opened: {error}."))
    opened = replace(
        delivery,
        stdout=without_byte_order_mark(mail.body),
        attachments=(*delivery.attachments, *mail.attachments),
        content_type="text/plain",
        subject=mail.subject,
        sender=mail.sender,
        sent_at=mail.sent_at,
        problems=(*delivery.problems, *mail.problems),
        notes=(*delivery.notes, *mail.notes),
    )
    return _with_cron_subject(opened)


def _with_cron_subject(delivery: Delivery) -> Delivery:
    """Cron's mails name host and command in the subject."""
    match = _CRON.match(delivery.subject)
    if match is None:
        return delivery
    return replace(delivery, command=delivery.command or match["command"], host=delivery.host or match["host"])


def _open_form(delivery: Delivery) -> Delivery:
    is_form = delivery.content_type.lower().startswith("application/x-www-form-urlencoded")
    if not is_form and not _FORM.match(delivery.stdout[:100]):
        return delivery
    try:
        fields = dict(parse_qsl(delivery.stdout.decode("ascii"), max_num_fields=50))
    except ValueError:
        return delivery
    found = next((fields[name] for name in _FORM_FIELDS if fields.get(name)), None)
    if found is None:
        return delivery
    return replace(delivery, stdout=found.encode("utf-8", "backslashreplace"), content_type="text/plain")
