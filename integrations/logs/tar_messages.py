"""The words of GNU tar and bsdtar in English, German, French and Spanish, and what each line of them means.

Taken from the translations of tar and libc; other tools print libc's words, too. Tells what a line is (total,
difference, notice, warning, end, error), which path it names, and whether the file was gone, locked or unreadable.
"""

from __future__ import annotations

import re
from typing import Literal

from integrations.logs.joblog import ErrorKind
from integrations.logs.troubles import kind_of

Meaning = Literal["notice", "warning", "end", "error"]

TOTAL = re.compile(
    r"(Total bytes written|Gesamtzahl geschriebener Bytes|Nombre total d['’]octets écrits|Bytes escritos en total"
    r"|Total bytes read|Gesamtzahl gelesener Bytes|Nombre total d['’]octets lus|Bytes leídos en total) ?: ([0-9]{1,19})"
)
_READ_WORDS = ("read", "gelesener", "lus", "leídos")
PREFIX = re.compile(r"(?:/\S{0,200}/)?(?:bsd|g|busybox )?tar(?:\.exe)?(?: \([^()]{1,40}\))?: ")
DIFFERENCE = re.compile(
    r"(.{1,4000}?) ?: (?:(?:Mod time|Size|Mode|Uid|Gid|Symlink|File type|Device number) differs|Contents differ"
    r"|Not linked to .{1,2000}"
    r"|(?:Änderungszeit|Größe|Modus|Benutzerkennung|Gruppenkennung|Symbolische Verknüpfung) ist unterschiedlich"
    r"|Unterschiedliche (?:Inhalte|Dateitypen|Gerätenummern)"
    r"|(?:Les contenus|La taille|La date|Le mode|Le type|Le numéro|Le lien|Le GID|L['’]UID) .{0,60}différente?s?\."
    r"|(?:Nicht mit „|N'est pas lié à |No se enlaza a ).{1,2000}"
    r"|(?:La fecha|El tamaño|El modo|El uid|El gid|El contenido|El enlace|El tipo|El número).{0,60} es distint[oa]) ?$"
)
_NOTICES = (
    "Removing leading", "Entferne führende", "Suppression de «", "Eliminando la `", "Directory is new", "ist neu.",
    "le répertoire est nouveau", "El directorio es nuevo", "Directory has been renamed", "Verzeichnis wurde von",
    "Verzeichnis wurde umbenannt",
    "le répertoire a été renommé", "El directorio ha sido renombrado", "; not dumped", "nicht gesichert",
    "fichier non archivé", "no se vuelca", "socket ignored", "Socket ignoriert", "socket ignorée", "`socket'",
    "door ignored", "contains a cache directory tag", "Cache-Verzeichnis", "étiquette de répertoire cache",
    "marca de directorio caché", "implausibly old time stamp", "unplausibel alter", "trop vieux pour être",
    "sospechosamente antigua",
    "is in the future", "in der Zukunft", "dans le futur",
    "en el futuro", "Record size = ", "Ignoring unknown extended header", "Write checkpoint", "Read checkpoint",
    "not a regular file, file ignored", "removing leading '/'", "Skipping pax header", "contents not dumped",
    "directory not dumped", "contenu non archivé", "répertoire non archivé", "Klappe ignoriert", "porte ignorée",
)  # fmt: skip
_LATER = (
    "file changed as we read it", "Datei hat sich beim Lesen geändert", "fichier modifié pendant sa lecture",
    "el fichero cambió mientras", "File removed before we read it", "gelöscht, bevor sie gelesen", "supprimé avant",
    "fue borrado antes de leerlo", "File shrank by", "geschrumpft", "fichier réduit de", "ha disminuido en",
    "Warning: ", "Warnung: ", "AVERTISSEMENT", "Atención: ", "A lone zero block", "einzelner Nullblock",
    "Bloc zéro solitaire", "bloque de ceros aislado", "file size changed",
)  # fmt: skip
_REMOVED = ("File removed before", "gelöscht, bevor", "supprimé avant", "fue borrado antes")
_ENDS = (
    "Exiting with failure status", "Error is not recoverable", "Beende mit Fehlerstatus", "Arrêt avec code d",
    "Se sale con estado de fallo", "Error exit delayed",
)  # fmt: skip
_KINDS: tuple[tuple[str, ErrorKind], ...] = (
    ("Keine Berechtigung", "unreadable"),
    ("Permission non accordée", "unreadable"),
    ("Permiso denegado", "unreadable"),
    ("Die Operation ist nicht erlaubt", "unreadable"),
    ("Opération non permise", "unreadable"),
    ("Operación no permitida", "unreadable"),
    ("Eingabe-/Ausgabefehler", "unreadable"),
    ("Erreur d'entrée/sortie", "unreadable"),
    ("Error de entrada/salida", "unreadable"),
    ("Datei oder Verzeichnis nicht gefunden", "vanished"),
    ("Aucun fichier ou dossier de ce", "vanished"),
    ("No existe el fichero o el directorio", "vanished"),
    ("No existe el archivo o el directorio", "vanished"),
    ("Das Gerät oder die Ressource ist belegt", "locked"),
    ("Périphérique ou ressource occupé", "locked"),
    ("Dispositivo o recurso ocupado", "locked"),
)
_PATH = re.compile(r"([^:]{1,4000}?) ?: \S")
_QUOTED = re.compile(r"[Cc]an't (?:open|stat|remove old file|create \w+) [`'](.{1,4000}?)'(?::|$)")
_GERMAN = re.compile(r"Datei (.{1,4000}) ist um ")
_NO_PATH = (
    "write error",
    "short read",
    "Cannot ",
    "Option ",
    "Child ",
    "Read error",
    "Warning",
    "Error ",
    "Failed ",
    "option ",
    "Couldn't ",
)


def total_of(line: str) -> tuple[bool, int] | None:
    """Whether a line of totals tells of reading, and its bytes; None for any other line."""
    match = TOTAL.match(line)
    return (any(word in match.group(1) for word in _READ_WORDS), int(match.group(2))) if match else None


def meaning_of(words: str) -> Meaning:
    """What tar means by a line, its own name taken off."""
    if any(sign in words for sign in _ENDS):
        return "end"
    if any(sign in words for sign in _NOTICES):
        return "notice"
    return "warning" if any(sign in words for sign in _LATER) else "error"


def path_of(words: str) -> str | None:
    """The path that a line begins with; None where it names none."""
    named = _QUOTED.match(words) or _GERMAN.match(words)
    if named is not None:
        return named.group(1)
    match = _PATH.match(words)
    return None if match is None or words.startswith(_NO_PATH) else match.group(1)


def trouble_kind(words: str) -> ErrorKind:
    """What kind of trouble, in any of the languages."""
    if any(sign in words for sign in _REMOVED):
        return "vanished"
    return next((kind for sign, kind in _KINDS if sign in words), None) or kind_of(words)
