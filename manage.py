#!/usr/bin/env python
"""Django's command line for Backledger."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "msp.settings")
    if sys.argv[1:2] == ["parse"]:
        # stores nothing: neither settings nor a database need be there
        from msp.management.commands.parse import Command

        Command().run_from_argv(sys.argv)
        return
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
