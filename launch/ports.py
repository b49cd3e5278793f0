"""Finds free TCP ports.

A port found free can be taken a moment later, so whoever uses one checks afterwards that its own server answers there.
"""

from __future__ import annotations

import socket

from launch.failure import LaunchError


def free_port(host: str = "127.0.0.1") -> int:
    with socket.create_server((host, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def is_free(host: str, *, port: int) -> bool:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server((host, port), family=family):
            return True
    except OSError:
        return False


def choose_port(wanted: str, *, host: str, default: int = 8000) -> tuple[int, str]:
    """The web server's port and a remark for the person; a port asked for by name is never replaced in silence."""
    if wanted == "":
        if is_free(host, port=default):
            return default, ""
        port = free_port(host)
        return port, f"Port {default} is taken, so this start uses {port}. PORT=... chooses another."
    if not (wanted.isascii() and wanted.isdigit()) or int(wanted) > 65535:
        raise LaunchError(f"PORT is {wanted!r}: set it to a number up to 65535, or 0 for any free port.")
    if int(wanted) == 0:
        return free_port(host), ""
    if not is_free(host, port=int(wanted)):
        raise LaunchError(f"port {wanted} on {host} cannot be used: it is taken or not allowed. Choose another PORT.")
    return int(wanted), ""
