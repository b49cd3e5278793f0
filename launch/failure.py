"""The one error the launcher raises on purpose: a sentence for the person at the terminal.

``launch.__main__`` prints it without a traceback and exits with 1. Anything else that is raised is a bug and shows one.
"""

from __future__ import annotations


class LaunchError(Exception):
    """Something a person must change; the text says what was found and what to do."""
