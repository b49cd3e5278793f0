"""Systems that are asked for what their jobs did: one module each, with the functions of ``contract.Connector``.

The polling of pull sources looks a connector up in ``CONNECTORS`` by the kind stored with the source. Adding one
touches its own file, one line here, and its tests; forms, API schema and documentation come from its ``Config``.
"""

from integrations.pulling import comet, proxmox_backup_server, urbackup, vspc
from integrations.pulling.contract import Connector, Fetched, Pulled
from integrations.pulling.session import LoginRefused, Session

CONNECTORS: dict[str, Connector] = {
    "comet": comet,
    "proxmox-backup-server": proxmox_backup_server,
    "urbackup": urbackup,
    "vspc": vspc,
}

__all__ = ["CONNECTORS", "Connector", "Fetched", "LoginRefused", "Pulled", "Session"]
