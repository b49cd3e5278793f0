"""Unpacks gz and zip attachments, within limits that hold whatever the archive claims of itself.

Used by ``mail``. Every byte that comes out is counted as it comes, a directory of very many entries is not even read,
and an archive within an archive stays closed. What is not unpacked is told in a sentence.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass, field

from integrations.logs.bytes_to_text import clean
from integrations.logs.joblog import Attachment

#: All that comes out of the archives of one mail together, and how many files.
MAX_UNPACKED = 16 * 1024 * 1024
MAX_FILES = 20
MAX_DIRECTORY = 256 * 1024
_CHUNK = 64 * 1024
_GZIP, _ZIP, _ZIP_END = b"\x1f\x8b\x08", b"PK\x03\x04", b"PK\x05\x06"
_OTHERS = (b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"BZh", b"\xfd7zXZ\x00")


class TooMuch(ValueError):
    """The archive breaks a limit; the text follows its name."""


@dataclass
class Unpacking:
    """What came out of the archives of one mail so far, and what did not, in sentences."""

    files: list[Attachment] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    left: int = MAX_UNPACKED

    def take(self, attachment: Attachment) -> None:
        """Keep an attachment as it is, or what is in it."""
        try:
            if attachment.content.startswith(_GZIP):
                self._gunzip(attachment)
            elif attachment.content.startswith(_ZIP):
                self._unzip(attachment)
            elif attachment.content.startswith(_OTHERS):
                raise TooMuch("is an archive of a kind that is not opened: send gz or zip")
            else:
                self.files.append(attachment)
        except TooMuch as refused:
            self._tell(attachment, str(refused))
        except (zlib.error, zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError, OSError):
            self._tell(attachment, "is a broken archive")

    def _tell(self, attachment: Attachment, words: str) -> None:
        self.problems.append(f"The attachment {clean(attachment.name, 100)} {words}.")

    def _gunzip(self, attachment: Attachment) -> None:
        inflater = zlib.decompressobj(wbits=31)
        name = attachment.name.removesuffix(".gz")
        self._keep(name, self._read(inflater, attachment.content))

    def _read(self, inflater: zlib._Decompress, packed: bytes) -> bytes:
        out, waiting = bytearray(), packed
        while waiting and not inflater.eof:
            out += inflater.decompress(waiting, _CHUNK)
            waiting = inflater.unconsumed_tail
            if len(out) > self.left:
                raise TooMuch(f"unpacks to more than {MAX_UNPACKED // 2**20} MiB and was left closed")
        if not inflater.eof:
            raise zlib.error("cut off")
        return bytes(out)

    def _unzip(self, attachment: Attachment) -> None:
        _refuse_large_directory(attachment.content)
        with zipfile.ZipFile(io.BytesIO(attachment.content)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(entries) + len(self.files) > MAX_FILES:
                raise TooMuch(f"holds more than {MAX_FILES} files and was left closed")
            for entry in entries:
                if entry.flag_bits & 1:
                    raise TooMuch("is locked by a password and was left closed")
                self._keep(entry.filename, self._read_entry(archive, entry))

    def _read_entry(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise TooMuch("is packed in a way that is not opened: send gz or plain zip")
        out = bytearray()
        with archive.open(entry) as file:
            while piece := file.read(_CHUNK):
                out += piece
                if len(out) > self.left:
                    raise TooMuch(f"unpacks to more than {MAX_UNPACKED // 2**20} MiB and was left closed")
        return bytes(out)

    def _keep(self, name: str, content: bytes) -> None:
        if content.startswith((_GZIP, _ZIP, *_OTHERS)):
            raise TooMuch("holds another archive, which was left closed")
        self.left -= len(content)
        self.files.append(Attachment(name=clean(name, 200), content=content))


def _refuse_large_directory(packed: bytes) -> None:
    """The directory at a zip's end is read whole by the library: look at its size first."""
    at = packed.rfind(_ZIP_END, max(0, len(packed) - 66_000))
    size = int.from_bytes(packed[at + 12 : at + 16], "little") if at != -1 else 0
    if at == -1:
        raise zipfile.BadZipFile
    if size > MAX_DIRECTORY:
        raise TooMuch(f"holds more than {MAX_FILES} files and was left closed")
