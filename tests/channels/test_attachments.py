from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from channels.attachments import (
    LONGEST_NAME,
    AttachmentFiles,
    Limits,
    safe_name,
    sniffed,
    why_refused,
)

pytestmark = pytest.mark.unit

LIMITS = Limits(
    file_bytes=200_000,
    message_bytes=300_000,
    files=5,
    picture_pixels=10_000,
    archive_bytes=2_000_000,
    archive_free_bytes=100_000,
    archive_ratio=10,
    archive_entries=50,
)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[AttachmentFiles]:
    kept = AttachmentFiles(tmp_path / "attachments", LIMITS)
    yield kept
    kept.close()


def picture(width: int = 20, height: int = 10, kind: str = "PNG") -> bytes:
    written = io.BytesIO()
    Image.new("L", (width, height)).save(written, kind)
    return written.getvalue()


def zipped(**entries: bytes) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name.replace("__", "."), content)
    return written.getvalue()


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def reason(content: bytes, name: str = "file") -> str:
    return why_refused(content, name, sniffed(content, name), LIMITS)


async def test_a_file_is_kept_once_whoever_sends_it(files: AttachmentFiles) -> None:
    content = picture()
    first, second = await files.keep([("a.png", content), ("b.png", content)])
    (again,) = await files.keep([("c.png", content)])
    assert first.file == second.file == again.file
    assert (first.name, first.media_type, first.size) == ("a.png", "image/png", len(content))
    path = files.path(first.file)
    assert path.read_bytes() == content
    assert files_in(path.parent) == [path]
    await files.remove([first.file, first.file])
    assert files_in(path.parent) == []


async def test_what_is_refused_is_named_and_not_kept(files: AttachmentFiles) -> None:
    kept = await files.keep(
        [
            ("photo.jpg", b"MZ\x90\0" + b"\0" * 100),
            ("big.txt", b"a" * 200_001),
            ("first.txt", b"b" * 190_000),
            ("second.txt", b"c" * 190_000),
            ("small.txt", b"d"),
            ("sixth.txt", b"e"),
        ]
    )
    assert [file.reason for file in kept] == [
        "executable",
        "too_large",
        "",
        "message_too_large",
        "",
        "too_many",
    ]
    assert [bool(file.file) for file in kept] == [not file.reason for file in kept]
    assert kept[0].name == "photo.jpg"


async def test_nothing_half_written_ever_has_a_files_name(
    files: AttachmentFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(OSError, match="No space"):
        await files.keep_raw(b"a mail")
    assert files_in(tmp_path) == []


def test_a_file_is_what_it_holds_not_what_it_is_called() -> None:
    assert sniffed(picture(), "letter.txt") == "image/png"
    assert sniffed(b"%PDF-1.7 ...", "photo.jpg") == "application/pdf"
    assert sniffed(b"<!DOCTYPE html><script>alert(1)</script>", "photo.jpg") == "text/html"
    assert sniffed(b'<svg xmlns="http://www.w3.org/2000/svg">', "a.txt") == "image/svg+xml"
    assert sniffed(b"a,b\n1,2\n", "list.csv") == "text/csv"
    assert sniffed("退货".encode(), "a.bin") == "text/plain"
    assert sniffed(b"\x00\x01\x02\x03", "a.txt") == "application/octet-stream"
    assert sniffed(b"", "a.exe") == "text/plain"
    office = zipped(**{"[Content_Types]__xml": b"x", "word/document__xml": b"y"})
    assert sniffed(office).endswith("wordprocessingml.document")
    assert sniffed(zipped(a__txt=b"x")) == "application/zip"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\x7fELF\x02\x01\x01", "holiday.pdf"),
        (b"#!/bin/sh\nrm -rf /", "notes"),
        (b"text", "invoice.pdf.exe"),
        (b"text", "invoice.pdf.exe. . "),
        (b"text", "evil\u202efdp.scr"),
        (b"WScript", "report.VBS"),
        (b"text", "../../x.js"),
        (zipped(doc__pdf=b"1", run__js=b"2"), "documents.zip"),
    ],
)
def test_programs_are_refused_however_they_are_dressed(content: bytes, name: str) -> None:
    assert reason(content, name) == "executable"


def test_archives_are_looked_into() -> None:
    assert reason(zipped(a__txt=b"hello" * 100)) == ""
    assert reason(zipped(a__txt=b"\0" * 1_900_000)) == "archive_bomb"
    assert reason(zipped(**{f"f{number}": b"" for number in range(51)})) == "archive_bomb"
    assert reason(zipped(a__txt=b"x")[:30]) == "archive_damaged"
    assert reason(b"PK\x03\x04 nonsense") == "archive_damaged"


def test_a_directory_of_very_many_is_not_even_read() -> None:
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, *[0] * 7, 1, *[0] * 6) + b"a"
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65_535, 65_535, 60_000 * len(entry), 0, 0)
    directory = b"PK\3\4" + entry * 60_000 + end
    for bomb in (directory, zipped(inner__zip=directory)):
        tracemalloc.start()
        try:
            assert sniffed(bomb) == "application/zip"
            assert why_refused(bomb, "bomb.zip", "application/zip", Limits()) == "archive_bomb"
            assert tracemalloc.get_traced_memory()[1] < 10_000_000
        finally:
            tracemalloc.stop()


def test_archives_in_archives_share_one_allowance() -> None:
    inner = zipped(a__txt=b"\0" * 90_000)
    assert reason(zipped(one__zip=inner)) == ""
    assert reason(zipped(one__zip=inner, two__zip=inner)) == "archive_bomb"
    deep = zipped(a__txt=b"x")
    for _ in range(3):
        deep = zipped(inner__zip=deep)
    assert reason(deep) == ""
    assert reason(zipped(inner__zip=deep)) == "archive_bomb"


def test_an_entry_that_lies_about_its_size_is_read_no_further_than_it_said() -> None:
    bomb = zipped(inner__zip=b"PK\x03\x04" + b"\0" * 90_000)
    # Local header and central directory both say that it is 10 bytes long.
    told = bomb.replace(struct.pack("<L", 90_004), struct.pack("<L", 10))
    assert told != bomb
    assert reason(told) == "archive_damaged"


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_streams_are_unpacked_into_nothing_and_only_so_far(pack: object) -> None:
    assert callable(pack)
    assert reason(pack(os.urandom(1000))) == ""
    assert reason(pack(b"a" * 50_000) + pack(b"b" * 40_000)) == ""
    assert reason(pack(b"a" * 60_000) + pack(b"b" * 60_000)) == "archive_bomb"
    assert reason(pack(os.urandom(1000))[:-20]) == "archive_damaged"


def test_a_picture_that_would_fill_the_memory_is_known_by_its_header() -> None:
    assert reason(picture(100, 100)) == ""
    assert reason(picture(101, 100)) == "picture_too_large"
    assert reason(picture(101, 100, "TIFF")) == "picture_too_large"
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    huge = picture().replace(picture()[12:33], header + struct.pack(">I", zlib.crc32(header)))
    assert reason(huge) == "picture_too_large"
    assert reason(b"\x89PNG\r\n\x1a\n broken") == ""


@pytest.mark.parametrize(
    ("given_name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\wang\\letter.pdf", "letter.pdf"),
        ("a\r\nContent-Type: text/html.txt", "html.txt"),
        ("photo\u202egnp.exe", "photognp.exe"),
        ("  spaced   name .pdf ", "spaced name .pdf"),
        ("...", "file"),
        ("", "file"),
        ("退货单.pdf", "退货单.pdf"),
        ("x\ud800y.txt", "x_y.txt"),
        ("a" * 300 + ".pdf", "a" * (LONGEST_NAME - 4) + ".pdf"),
    ],
)
def test_names_lead_nowhere_and_show_what_they_are(given_name: str, safe: str) -> None:
    assert safe_name(given_name) == safe


@given(st.text(max_size=400))
def test_no_name_is_unsafe(name: str) -> None:
    safe = safe_name(name)
    assert 0 < len(safe) <= LONGEST_NAME
    assert not set(safe) & set('/\\<>:"|?*\0\r\n\t\u202e\u202d\u2066\u200f')
    assert safe == safe.strip()
    assert not safe.startswith(".")
    assert safe_name(safe) == safe


@given(st.binary(max_size=300), st.sampled_from(["", "PK\x03\x04", "\x1f\x8b", "BZh9", "II*\0"]))
def test_looking_at_any_bytes_never_fails(content: bytes, start: str) -> None:
    whole = start.encode("latin-1") + content
    assert isinstance(reason(whole), str)


def test_a_path_is_only_ever_that_of_a_kept_file(files: AttachmentFiles) -> None:
    for file in ("../secret", "ab/../../x", "/etc/passwd", "ab/" + "g" * 64, ""):
        with pytest.raises(ValueError, match="no kept file"):
            files.path(file)
