"""Attachments: files that came with a message, or go with one; kept by their content.

Owns what may be kept: the content says what a file is, not its name; an archive is looked into and
never unpacked; a picture's size is known before anybody decodes it; a name leads nowhere. A file is
on disk, synced, before its row is written. Refuses to know messages: a file that two of them have
is there once.
"""

from __future__ import annotations

import asyncio
import bz2
import gzip
import hashlib
import io
import lzma
import os
import re
import time
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import ParamSpec, TypeVar

import puremagic
from PIL import Image, UnidentifiedImageError

P = ParamSpec("P")
T = TypeVar("T")

LONGEST_NAME = 150

_EXECUTABLE_STARTS = (
    b"MZ",
    b"\x7fELF",
    b"\xca\xfe\xba\xbe",
    b"\xcf\xfa\xed\xfe",
    b"\xce\xfa\xed\xfe",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"#!/",
    b"L\0\0\0\x01\x14\x02\0",
)
# fmt: off
_EXECUTABLE_NAMES = {
    "appimage", "apk", "application", "appref-ms", "bat", "chm", "class", "cmd", "com", "cpl",
    "deb", "desktop", "dll", "dmg", "elf", "exe", "hta", "inf", "ins", "iso", "jar", "js", "jse",
    "jnlp", "lnk", "msc", "msi", "msix", "msp", "mst", "pif", "pkg", "ps1", "psm1", "reg", "rpm",
    "scf", "scr", "sct", "settingcontent-ms", "sh", "shb", "sys", "url", "vb", "vbe", "vbs",
    "vhd", "vhdx", "ws", "wsc", "wsf", "wsh", "xll",
}
# fmt: on
_STARTS = {
    b"PK\x03\x04": "application/zip",
    b"PK\x05\x06": "application/zip",
    b"\x1f\x8b": "application/gzip",
    b"BZh": "application/x-bzip2",
    b"\xfd7zXZ\0": "application/x-xz",
    b"%PDF-": "application/pdf",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
    b"ID3": "audio/mpeg",
    b"OggS": "audio/ogg",
}
_OFFICE = {
    "word/": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xl/": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ppt/": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
_TEXTS = {"csv": "text/csv", "ics": "text/calendar", "vcf": "text/vcard"}
_STREAMS = {"application/gzip", "application/x-bzip2", "application/x-xz"}
# What a compressor of ours may take while a stream is looked into.
_STREAM_MEMORY = 100_000_000
_PICTURES = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")
_UNSAFE = re.compile(r'[<>:"|?*]')
_PIECE = 1 << 20
_KEPT = re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is kept at most. An archive may hold `archive_ratio` times its own size, but always
    `archive_free_bytes`, and never more than `archive_bytes`."""

    file_bytes: int = 25_000_000
    message_bytes: int = 50_000_000
    files: int = 100
    picture_pixels: int = 50_000_000
    archive_bytes: int = 250_000_000
    archive_free_bytes: int = 20_000_000
    archive_ratio: int = 100
    archive_entries: int = 10_000
    archive_depth: int = 3

    def holds(self, packed: int) -> int:
        """How many bytes an archive of that size may hold."""
        return min(self.archive_bytes, max(self.archive_free_bytes, packed * self.archive_ratio))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """A file that is kept as `file` (relative to the folder); or was not, and `reason` says why:
    too_large, too_many, message_too_large, executable, archive_bomb, archive_damaged or
    picture_too_large."""

    name: str
    media_type: str
    size: int
    sha256: str
    file: str = ""
    reason: str = ""


class AttachmentFiles:
    """The folder of attachments and raw mails. It is made with the first file."""

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._folder = folder
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="attachments")

    async def keep(self, files: Sequence[tuple[str, bytes]]) -> list[KeptFile]:
        """Check one message's files (names and contents) and keep those that may be, in order.

        They are on disk when this returns. Raises OSError if they cannot be written.
        """
        return await self._in_thread(self._keep_all, files) if files else []

    async def keep_raw(self, content: bytes) -> str:
        """Keep a mail as it came; its file. Raises OSError."""
        return await self._in_thread(self._write, content, hashlib.sha256(content).hexdigest())

    def path(self, file: str) -> Path:
        """Where a kept file lies. Raises ValueError for what cannot be one."""
        if not _KEPT.fullmatch(file):
            raise ValueError("that is no kept file")
        return self._folder / file

    async def remove(self, files: Iterable[str], *, idle_s: float = 0.0) -> None:
        """Delete files that no row speaks of any more, but for those that were kept, or kept again,
        in the last `idle_s` seconds. What is gone already is no error."""
        await self._in_thread(_unlink, [self.path(file) for file in files], idle_s)

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)

    async def _in_thread(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        # Threads of our own: a slow disk holds nobody up who waits for another one's.
        return await asyncio.wrap_future(self._threads.submit(work, *arguments, **named))

    def _keep_all(self, files: Sequence[tuple[str, bytes]]) -> list[KeptFile]:
        kept = []
        total = 0
        for number, (name, content) in enumerate(files):
            reason = ""
            if number >= self.limits.files:
                reason = "too_many"
            elif total + len(content) > self.limits.message_bytes:
                reason = "message_too_large"
            media_type = sniffed(content, name)
            reason = reason or why_refused(content, name, media_type, self.limits)
            sha256 = hashlib.sha256(content).hexdigest()
            if not reason:
                total += len(content)
            kept.append(
                KeptFile(
                    name=safe_name(name),
                    media_type=media_type,
                    size=len(content),
                    sha256=sha256,
                    file="" if reason else self._write(content, sha256),
                    reason=reason,
                )
            )
        return kept

    def _write(self, content: bytes, sha256: str) -> str:
        file = f"{sha256[:2]}/{sha256}"
        path = self._folder / file
        with suppress(FileNotFoundError):
            # Whoever deletes what is nobody's sees that it is somebody's again.
            os.utime(path)
            return file
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Whole or not at all: what has its name is complete, whenever we are killed.
        with NamedTemporaryFile(dir=path.parent, prefix="new-", delete=False) as written:
            try:
                written.write(content)
                written.flush()
                os.fsync(written.fileno())
                Path(written.name).replace(path)
            except BaseException:
                Path(written.name).unlink(missing_ok=True)
                raise
        _sync_folder(path.parent)
        return file


# ---- what a file is, and whether it may be kept --------------------------------------------------


def sniffed(content: bytes, name: str = "") -> str:
    """The media type that the content shows; the name only tells kinds of plain text apart."""
    for start, media_type in _STARTS.items():
        if content.startswith(start):
            return _office(content) if media_type == "application/zip" else media_type
    extension = _extension(name)
    with suppress(puremagic.PureError, ValueError):
        matches = [match for match in puremagic.magic_string(content) if match.mime_type]
        # A short mark is met by chance: it counts only where the name says the same.
        for match in matches:
            if match.confidence >= 0.5 or match.extension.lstrip(".").lower() == extension:
                return str(match.mime_type)
    if _is_text(content):
        return _TEXTS.get(extension, "text/plain")
    return "application/octet-stream"


def why_refused(content: bytes, name: str, media_type: str, limits: Limits) -> str:
    """Nothing for a file that may be kept, else the reason (KeptFile's)."""
    if len(content) > limits.file_bytes:
        return "too_large"
    if content.startswith(_EXECUTABLE_STARTS) or _extension(name) in _EXECUTABLE_NAMES:
        return "executable"
    if media_type.startswith("image/"):
        return _why_no_picture(content, limits)
    if content.startswith(b"PK"):
        return _why_no_zip(content, limits, _Budget(limits.holds(len(content))), 0)
    if media_type in _STREAMS:
        return _why_no_stream(content, media_type, limits.holds(len(content)))
    return ""


def safe_name(name: str) -> str:
    """The name as it may be shown and saved: no folder, nothing invisible, nothing that turns the
    reading direction, at most LONGEST_NAME characters with its extension kept."""
    plain = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode())
    last = re.split(r"[/\\]", plain)[-1]
    # Cc, Cf, Cs, Co, Cn: controls, direction marks, halves of surrogates, and what is none.
    shown = "".join(c for c in last if unicodedata.category(c)[0] != "C")
    shown = _UNSAFE.sub("_", " ".join(shown.split())).strip(". ")
    if len(shown) > LONGEST_NAME:
        stem, dot, extension = shown.rpartition(".")
        if not stem or len(extension) > 20:
            stem, dot, extension = shown, "", ""
        shown = stem[: LONGEST_NAME - len(dot + extension)].rstrip(". ") + dot + extension
    return shown or "file"


def _extension(name: str) -> str:
    return safe_name(name).rpartition(".")[2].lower() if "." in name else ""


def _is_text(content: bytes) -> bool:
    if b"\0" in content and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    return not any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in content[:4096])


def _most_entries(content: bytes) -> int:
    """An archive has no more entries than this. Counted before zipfile opens it, which makes an
    object of each, of a directory that may pack to nothing."""
    return content.count(b"PK\x01\x02")


def _office(content: bytes) -> str:
    if _most_entries(content) > Limits().archive_entries:
        return "application/zip"
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return "application/zip"
    if "[Content_Types].xml" not in names:
        return "application/zip"
    found = (kind for start, kind in _OFFICE.items() if any(n.startswith(start) for n in names))
    return next(found, "application/zip")


def _why_no_picture(content: bytes, limits: Limits) -> str:
    """Pillow reads the header alone here; what it does not know is never decoded by us."""
    try:
        with Image.open(io.BytesIO(content), formats=_PICTURES) as picture:
            width, height = picture.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return "picture_too_large"
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, Warning):
        return ""
    return "picture_too_large" if width * height > limits.picture_pixels else ""


@dataclass(slots=True)
class _Budget:
    """How many bytes an archive, with all that lie in it, may still hold."""

    left: int


def _why_no_zip(content: bytes, limits: Limits, budget: _Budget, depth: int) -> str:
    if _most_entries(content) > limits.archive_entries:
        return "archive_bomb"
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            budget.left -= sum(entry.file_size for entry in entries)
            if budget.left < 0:
                return "archive_bomb"
            for entry in entries:
                if _extension(entry.filename) in _EXECUTABLE_NAMES:
                    return "executable"
                if not entry.filename.lower().endswith(".zip") or entry.flag_bits & 1:
                    continue
                if depth == limits.archive_depth:
                    return "archive_bomb"
                # Read no further than the entry said, whatever it really holds.
                with archive.open(entry) as packed:
                    inner = packed.read(entry.file_size)
                why = _why_no_zip(inner, limits, budget, depth + 1)
                if why:
                    return why
    except (NotImplementedError, RuntimeError):
        # A way of packing that is not known here: nothing of ours will ever unpack it.
        return ""
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError):
        return "archive_damaged"
    return ""


def _why_no_stream(content: bytes, media_type: str, allowed: int) -> str:
    """Unpacks into nothing, and stops at what is allowed."""
    held = 0
    try:
        for piece in _unpacked(content, media_type):
            held += piece
            if held > allowed:
                return "archive_bomb"
    except (zlib.error, lzma.LZMAError, EOFError, OSError, ValueError):
        return "archive_damaged"
    return ""


def _unpacked(content: bytes, media_type: str) -> Iterator[int]:
    """The sizes of its pieces, one after another; several streams may follow each other."""
    if media_type == "application/gzip":
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            while piece := stream.read(_PIECE):
                yield len(piece)
        return
    while content:
        unpacking: bz2.BZ2Decompressor | lzma.LZMADecompressor
        if media_type == "application/x-bzip2":
            unpacking = bz2.BZ2Decompressor()
        else:
            unpacking = lzma.LZMADecompressor(memlimit=_STREAM_MEMORY)
        yield len(unpacking.decompress(content, _PIECE))
        while not unpacking.eof:
            if unpacking.needs_input:
                raise EOFError
            yield len(unpacking.decompress(b"", _PIECE))
        content = unpacking.unused_data


def _unlink(paths: Sequence[Path], idle_s: float) -> None:
    before = time.time() - idle_s
    for path in paths:
        with suppress(FileNotFoundError):
            if path.stat().st_mtime <= before:
                path.unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
