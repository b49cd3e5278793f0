"""Runs the Stripe double by itself, for whoever integrates with Backledger or with Stripe: docs/stripe-double.md.

``python -m tests.doubles.stripe_server --callbacks http://127.0.0.1:8000/hooks/stripe/KEY/ --secret whsec_x``
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence

import requests

from tests.doubles.stripe_double import API_KEY, Json, StripeDouble

PATIENCE = 5


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until interrupted; callbacks come as Stripe sends them: late, doubled, in any order, until taken."""
    options = _read(arguments)
    chance = random.Random(options.seed)
    with StripeDouble(port=options.port) as stripe:
        print(f"Stripe double at {stripe.url}, secret key {API_KEY}", flush=True)
        waiting: list[Json] = []
        seen = 0
        while True:
            stripe.clock = int(time.time()) + options.ahead
            fresh, seen = stripe.events[seen:], len(stripe.events)
            waiting += [event for event in fresh for _ in range(2 if chance.random() < options.doubled else 1)]
            if options.callbacks:
                chance.shuffle(waiting)
                waiting = [event for event in waiting if not _send(stripe, event, options)]
            time.sleep(options.delay)


def _send(stripe: StripeDouble, event: Json, options: argparse.Namespace) -> bool:
    """Whether it was taken."""
    body, headers = stripe.signed(event, secret=options.secret)
    try:
        answer = requests.post(options.callbacks, data=body, headers=headers, timeout=PATIENCE)
    except requests.RequestException as error:
        print(f"{event['type']} {event['id']}: {error}", flush=True)
        return False
    print(f"{event['type']} {event['id']}: {answer.status_code}", flush=True)
    return answer.ok


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A stateful test double of Stripe's invoices.")
    parser.add_argument("--port", type=int, default=8420)
    parser.add_argument("--callbacks", default="", help="address that events are sent to")
    parser.add_argument("--secret", default="whsec_double", help="secret that callbacks are signed with")
    parser.add_argument("--delay", type=float, default=1.0, help="seconds between rounds of callbacks")
    parser.add_argument("--doubled", type=float, default=0.2, help="share of events that are sent twice")
    parser.add_argument("--ahead", type=int, default=0, help="seconds that its clock is ahead, to let keys expire")
    parser.add_argument("--seed", type=int, default=None, help="for the same order again")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
