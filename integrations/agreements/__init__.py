"""Agreements in PSA systems: one module for each, with the functions that ``contract.AgreementSystem`` names.

The push of quantities looks a system up in ``SYSTEMS`` by the kind of a destination of tickets, whose configuration
and client it takes: there is one place for the credentials of a system. Adding one touches its file and one line here.
"""

from __future__ import annotations

from integrations.agreements import autotask, connectwise, halopsa
from integrations.agreements.contract import AgreementLine, AgreementSystem, Place

SYSTEMS: dict[str, AgreementSystem] = {"autotask": autotask, "connectwise": connectwise, "halopsa": halopsa}

__all__ = ["SYSTEMS", "AgreementLine", "AgreementSystem", "Place"]
