"""Verifies Stripe's callbacks: signed for this account within five minutes, or refused with a sentence.

An event is only a hint that an object changed; whoever takes it reads the object again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import stripe

from integrations.errors import PermanentFailure
from integrations.payments.stripe import Config

TOLERANCE_SECONDS = 300


@dataclass(frozen=True)
class StripeEvent:
    """A verified callback: a hint that ``object_id`` changed. ``event_id`` is the same in every repeated delivery.

    An event of something that belongs to an invoice (a credit note, a payment of it) is one of the invoice.
    """

    event_id: str
    kind: str
    object_id: str
    livemode: bool


def verify_webhook(config: Config, headers: Mapping[str, str], body: bytes, *, now: datetime) -> StripeEvent:
    """The event of a callback that Stripe has signed not more than five minutes ago; raises PermanentFailure."""
    header = next((value for name, value in headers.items() if name.lower() == "stripe-signature"), "")
    try:
        stripe.WebhookSignature.verify_header(body, header, config.webhook_secret)
        signed_at = int(dict(part.split("=", 1) for part in header.split(","))["t"])
        event = json.loads(body)
        about = event["data"]["object"]
        about_id = about["invoice"] if isinstance(about.get("invoice"), str) else about["id"]
        verified = StripeEvent(str(event["id"]), str(event["type"]), str(about_id), bool(event["livemode"]))
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        raise PermanentFailure("The callback's signature does not match the secret of callbacks.") from None
    except (AttributeError, KeyError, TypeError, ValueError):
        raise PermanentFailure("The callback is signed but is not an event of an object.") from None
    if abs(now.timestamp() - signed_at) > TOLERANCE_SECONDS:
        raise PermanentFailure("The callback was signed more than five minutes ago; it may be a replay.")
    return verified
