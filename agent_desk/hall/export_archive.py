"""A customer's data as an archive: for machines (JSON), for people (HTML), and the files.

Owns the archive's form. What belongs to the customer is the store's to say. It is made in a file
that has no name and is gone when it is closed: nothing of it stays on the disk.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

SPOOLED_BYTES = 4_000_000
"""A smaller archive never touches the disk."""

_READABLE = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """A file that goes along: where it is kept, and the name that it came by."""

    path: Path
    name: str


def write_archive(
    data: Mapping[str, Any], page: str, files: Sequence[ArchivedFile]
) -> tuple[IO[bytes], int]:
    """The archive, to be read from its beginning, and its size in bytes. Blocks: call it in a
    thread. A file that is gone is left out."""
    archive = tempfile.SpooledTemporaryFile(SPOOLED_BYTES)  # noqa: SIM115 - the caller closes it
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as zipped:
        zipped.writestr("data.json", orjson.dumps(data, option=_READABLE))
        zipped.writestr("index.html", page)
        for number, file in enumerate(files, 1):
            if file.path.is_file():
                zipped.write(file.path, f"files/{number}-{_plain(file.name)}")
    size = archive.tell()
    archive.seek(0)
    return archive, size


def _plain(name: str) -> str:
    """A name that any system can have a file by, and that leads nowhere else."""
    kept = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)
    return kept.strip(".")[-80:] or "file"
