"""What stands around a dump in a home-made script: the file that ``ls -l`` shows, and the shell's own complaints.

Used by the formats of dump tools and of scripts. A dump is usually piped into a compressor and listed afterwards: the
pipe hides the exit code, the listing tells the size. Nothing is taken from a listing unless it is certain which file
the run wrote.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from integrations.logs.command_line import invocations
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, ErrorKind, Outcome

_LISTED = re.compile(
    r"-[rwxsStT-]{9}[.+@]? +[0-9]{1,9} +\S{1,64} +(?:\S{1,64} +)??([0-9]{1,18}) "
    r"(?:[A-Za-z.]{2,6}\.? +[0-9]{1,2}\.? +[0-9:]{4,5}|[0-9]{1,2}\.? [^\s0-9]{2,6} +[0-9:]{4,5}"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:.]{5,18}(?: [+-][0-9]{4})?) (/?\S.{0,1000})$"
)
_SHELL = re.compile(
    r"(?:(?:-?(?:ba|da|z|k|a)?sh|/\S{1,200}): (?:line )?(?:[0-9]{1,6}: )?)(\S.{0,400}?): "
    r"(?:(?:command )?not found|Kommando nicht gefunden\.?|Befehl nicht gefunden\.?|commande introuvable"
    r"|orden no encontrada|no se encontró la orden|No such file or directory"
    r"|Datei oder Verzeichnis nicht gefunden|Aucun fichier ou dossier de ce (?:type|nom)"
    r"|No existe el (?:archivo|fichero) o el directorio"
    r"|Permission denied|Keine Berechtigung|Permission non accordée|Permiso denegado|cannot create|Is a directory)"
)
_FULL = re.compile(
    r"No space left on device|Auf dem Gerät ist kein Speicherplatz mehr verfügbar"
    r"|Aucun espace disponible sur le périphérique"
    r"|No queda espacio en el dispositivo|Disk quota exceeded|Read-only file system"
)
_KILLED = re.compile(
    r"(?:.{0,200}: line [0-9]{1,6}: +[0-9]{1,9} )?(?:Killed|Terminated|Segmentation fault|Aborted|Getötet|Abgebrochen"
    r"|Speicherzugriffsfehler|Processus arrêté|Terminado \(killed\))(?: +\(core dumped\))?(?:  .{0,400})?$"
)
_DENIED = re.compile(r"\S.{0,600}: (?:Permission denied|Keine Berechtigung|Permission non accordée|Permiso denegado)$")


def listed_file(line: str) -> tuple[str, int] | None:
    """Path and exact bytes of a regular file in a line of ``ls -l``; None for any other line, also of ``ls -lh``."""
    if not line.startswith("-"):
        return None
    match = _LISTED.match(line)
    return (match.group(2), int(match.group(1))) if match else None


def shell_error(line: str) -> tuple[str, ErrorKind] | None:
    """What a shell or a compressor says when a command is missing, killed, not allowed or has no room left."""
    if _FULL.search(line):
        return line, "other"
    if _SHELL.match(line) or _KILLED.match(line):
        return line, "other"
    return (line, "unreadable") if _DENIED.match(line) else None


def is_masked(body: Delivery, names: Collection[str]) -> bool:
    """True where an exit code of 0 need not be the tool's: behind a pipe, before ``;``, or inside of a script."""
    calls = invocations(body.command, names)
    return any(call.masked for call in calls) if calls else bool(body.command)


def size_of_dump(listed: dict[str, int], command: str) -> int | None:
    """Bytes of the one file that the run wrote, out of those listed; None where it is not certain which that is."""
    named = {path: size for path, size in listed.items() if command.count(path) > 1 or _is_written(path, command)}
    found = named if command else listed
    return next(iter(found.values())) if len(found) == 1 else None


def _is_written(path: str, command: str) -> bool:
    return (
        re.search(rf"(?:>|-f|--file[= ]|-r|--result-file[= ])\s*[\"']?{re.escape(path)}(?![^\s\"';|&])", command)
        is not None
    )


def dump_outcome(*, code: int | None, masked: bool, errors: int, warnings: int, finished: bool) -> Outcome:
    """The outcome of a dump: never success but by the tool's own end or its own exit code.

    ``finished``: the tool said itself that it came to its end. ``errors`` are lines that end a dump or spoil it.
    """
    if errors or code not in (None, 0):
        return "failure"
    if finished or (code == 0 and not masked):
        return "warning" if warnings else "success"
    return "unknown"


_MARKER = re.compile(r"^[> \t]{0,16}BACKLEDGER [a-z_]{2,30}=", re.M)


def tells_itself(head: Head) -> bool:
    """True where a script tells its outcome by a line of its own (``BACKLEDGER outcome=..``): that then counts."""
    return "BACKLEDGER " in head.everything and (head.has(_MARKER) or _MARKER.search(head.tail) is not None)
