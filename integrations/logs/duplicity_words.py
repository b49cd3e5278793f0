"""duplicity's commands, and its words in five languages: what lines begin with, and patterns that take them apart.

Read by the format alone; taken from duplicity's sources and its translations. Patterns are bounded.
"""

from __future__ import annotations

import re

from integrations.logs.joblog import Operation

OPERATIONS: dict[str, tuple[Operation, str]] = {
    **dict.fromkeys(("full", "incr", "inc", "incremental", "backup"), ("backup", "")),
    **dict.fromkeys(("restore", "fetch"), ("restore", "")),
    "verify": ("verify", ""),
    **dict.fromkeys(
        ("cleanup", "remove-older-than", "remove-all-but-n-full", "remove-all-inc-of-but-n-full"), ("prune", "")
    ),
    **dict.fromkeys(("collection-status", "list-current-files"), ("inventory", "list")),
    "replicate": ("copy", ""),
}
VALUED = frozenset({
    "-v", "--verbosity", "-t", "--time", "--restore-time", "--file-to-restore", "-r", "--path-to-restore", "--volsize",
    "--full-if-older-than", "--name", "--archive-dir", "--tempdir", "--include", "--exclude", "--include-filelist",
    "--exclude-filelist", "--exclude-regexp", "--include-regexp", "--exclude-if-present", "--encrypt-key",
    "--encrypt-secret-keyring", "--sign-key", "--encrypt-sign-key", "--hidden-encrypt-key", "--gpg-options",
    "--gpg-binary", "--num-retries", "--timeout", "--log-file", "--log-fd", "--ssh-options", "--rsync-options",
    "--s3-endpoint-url", "--s3-region-name", "--file-prefix", "--max-blocksize", "--backend-retry-delay",
    "--file-changed", "--concurrency", "--ssl-cacert-file", "--imap-mailbox", "--par2-options", "--rename",
})  # fmt: skip
STATISTICS = (
    "Backup Statistics", "Sicherungsstatistiken", "Statistiques de sauvegarde", "Estadísticas de respaldo",
    "Statistiche del backup",
)  # fmt: skip
LAST_FULL = (
    "Last full backup date:", "Letzte vollständige Sicherung:", "Date de la dernière sauvegarde complète",
    "Fecha del último respaldo completo:", "Data dell'ultimo backup completo:", "Data dell’ultimo backup completo:",
)  # fmt: skip
BEGINS = (
    "Local and Remote metadata are synchronized", "Synchronizing remote metadata to local cache",
    "Lokale und entfernte Metadaten sind", "Les métadonnées locales et distantes",
    "Los metadatos en local y remoto", "I metadati locali e remoti",
)  # fmt: skip
SIGNS = re.compile(
    r"^(?:\. )?(?:RawDeltaSize [0-9]|(?:" + "|".join(re.escape(words) for words in (*LAST_FULL, *BEGINS)) + r")"
    r"|-{10,20}\[ (?:" + "|".join(STATISTICS) + r") \]-{10,20}$|duplicity [0-9]+\.[0-9]+\.[0-9]"
    r"|Verify complete: [0-9]+ files? compared, |Backup source (?:directory|path) .{1,1000} does not exist\.$)",
    re.M,
)
OTHERS = ("backupninja", "borgmatic", "restic", "rclone")
BACKUPNINJA = re.compile(r"^.{0,40}Info: >>>> starting action", re.M)

FIGURE = re.compile(
    r"(StartTime|EndTime|ElapsedTime|SourceFiles|SourceFileSize|NewFiles|DeletedFiles|ChangedFiles|RawDeltaSize"
    r"|TotalDestinationSizeChange|Errors) (-?[0-9]{1,18}(?:\.[0-9]{1,9})?)(?: \(.*)?$"
)
STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,6})?:? ")
MACHINE = re.compile(r"(ERROR|WARNING|NOTICE|INFO|DEBUG|PROGRESS) ([0-9]{1,4})(?: |$)")
ASCTIME = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) +([0-9]{1,2}) ([0-9]{2}:[0-9]{2}:[0-9]{2}) ([0-9]{4})")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
NONE = re.compile(r": ?(?:none|Keine|aucune|ninguna|nessuna)$", re.I)
VERIFIED = re.compile(
    r"(?:Verify complete|Überprüfung vollständig|Vérification complète|Verificación completa|Verifica completata) ?: "
    r"([0-9]{1,12}) [^,]{1,60}, ([0-9]{1,12}) "
)
FILE_TROUBLE = re.compile(
    r"(?:Error accessing possibly locked file|Error initializing file|Error listing directory"
    r"|Fehler beim Zugriff auf möglicherweise gesperrte Datei|Fehler beim Auflisten des Ordners"
    r"|Error al acceder a un archivo posiblemente bloqueado) (.+)$"
    r"|Erreur d'accès au fichier (.+) éventuellement verrouillé$"
    r"|Errore durante l'accesso al file (.+) probabilmente bloccato$"
    r"|Error .{1,1000}? (?:getting delta for|processing|patching) (.+)$|Skipping (.+) because of previous error$"
)
FATAL = re.compile(
    r"(?:Giving up after|Nach [0-9]+ Versuchen wird aufgegeben|Abandonner après|Desistiendo tras|Terminazione dopo) "
    r"|GPGError: |GPG Failed|Fatal Error|BackendException: |CollectionsError: |UserError: |Command line error"
    r"|Another (?:duplicity )?instance is already running|Unable to (?:start incremental|get free space|get max open)"
    r"|Backup source (?:directory|path) |Sicherungsquellverzeichnis |Le dossier source de sauvegarde "
    r"|El directorio de origen de respaldo |La directory sorgente di backup "
    r"|Restore destination (?:directory|path) |Temp space has [0-9]+ available, backup needs"
    r"|No backup chains(?! with active signatures found)"
    r"|.{1,1000} not found in archive|No files found in archive|Failed to read |Invalid data - SHA1|Max open files of "
    r"|(?:File|Volume) .{1,1000} (?:was corrupted during upload|was signed by key)|Connection failed"
    r"|Bad URL|Unsupported"
)
MISSING = re.compile(
    r"(?:Backup source (?:directory|path)|Sicherungsquellverzeichnis|Le dossier source de sauvegarde"
    r"|El directorio de origen de respaldo|La directory sorgente di backup) (.+?) "
    r"(?:does not exist|existiert nicht|n'existe pas|no existe|non esiste)"
)
RETRY = re.compile(r"Attempt (?:[0-9]+|of .{1,200} Nr\. [0-9]+) failed|Versuch [0-9]+ |Tentative [0-9]+ ")
PRUNED = re.compile(
    r"No old backup sets found|Deleting backup (?:chain|set)|Found old backup |Deleting (?:this|these) file"
    r"|No extraneous files found|Keine alten Sicherungss|Aucun ancien jeu de sauvegarde|No se encontraron respaldos"
    r"|Nessun vecchio set di backup"
)
COLLECTION = ("Collection Status", "Sammlungszustand", "État de la collection", "Estado de la colección")
NOISE = ("Warning: Password input may be echoed", "passwd = ", "GnuPG passphrase")
SETS = re.compile(r"(?:Number of contained backup sets|Anzahl enthaltener Sicherungssätze): ?([0-9]{1,9})$")
FULL_ROW = re.compile(r"(?:Full|Vollständig|Complète|Completo) +([A-Z][a-z]{2} [A-Z][a-z]{2} .{16,20}?) +[0-9]+$")
