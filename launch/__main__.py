"""``python3 -m launch COMMAND``: what the Makefile calls.

Checks the Python version and prepares the virtual environment first, then goes on in the Python of that environment.
Runs on any Python 3 as far as the sentence that names the wanted versions.
"""

from __future__ import annotations

import os
import sys

OLDEST = (3, 11)
NEWEST = (3, 13)
COMMANDS = {
    "run": False,
    "manage": False,
    "test": True,
    "test-gateways": True,
    "lint": True,
    "bench": True,
    "fuzz": True,
    "simulate": True,
    "lock": None,
}  # needs development packages?


def main(arguments: list[str]) -> int:
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        found = ".".join(str(part) for part in sys.version_info[:3])
        print(f"Backledger needs Python 3.11, 3.12 or 3.13; this is Python {found}. Install one of them and try again.")
        return 1
    if not arguments or arguments[0] not in COMMANDS or (len(arguments) > 1 and arguments[0] != "manage"):
        print(f"usage: python3 -m launch {'|'.join(COMMANDS)}")
        return 2
    from launch.failure import LaunchError

    try:
        return perform(arguments[0], *arguments[1:])
    except LaunchError as error:
        print(f"\nbackledger: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def perform(command: str, *further: str) -> int:
    from launch import bootstrap

    needs_development = COMMANDS[command]
    if needs_development is None:
        return bootstrap.lock_requirements()
    python = bootstrap.prepare_environment(development=needs_development)
    if not bootstrap.runs_inside(python):
        sys.stdout.flush()
        os.execv(python, [str(python), "-m", "launch", command, *further])  # noqa: S606  (our own interpreter)
    return start(command, *further)


def start(command: str, *further: str) -> int:
    if command == "run":
        from launch.run import run

        return run()
    if command == "manage":
        from launch.manage import manage

        return manage(further)
    if command == "lint":
        from launch.lint import lint

        return lint()
    from launch import test

    by_name = {
        "test": test.test, "test-gateways": test.test_gateways, "bench": test.bench, "fuzz": test.fuzz,
        "simulate": test.simulate,
    }  # fmt: skip
    return by_name[command]()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
