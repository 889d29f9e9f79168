"""CSV as it comes: which encoding, which delimiter, and records with their text as it stood.

Owns the reading of dirty files, line by line in bounded memory. A record that cannot be read is
told as such, with its text, and never takes its neighbours with it. Knows nothing of customers.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from charset_normalizer import from_bytes

# The encodings that spreadsheets of this world save in, where it is not Unicode.
LEGACY_ENCODINGS = ["gb18030", "big5", "cp1256", "cp1252", "cp1251"]
DELIMITERS = ",;\t|"
# A quote that does not close within this many lines is taken for a stray one.
LONGEST_RECORD_LINES = 50
_SAMPLE_BYTES = 1 << 20
_GUESSED_FROM_BYTES = 1 << 15


@dataclass(frozen=True, slots=True)
class Record:
    """`line` is where it begins, from 1; `text` is its text as it stood, with the line's end.

    `problem` says why it cannot be read; `fields` are then empty.
    """

    line: int
    text: str
    fields: list[str]
    problem: str = ""


def encoding_of(path: Path) -> str:
    """The encoding of the file, as Python names it: by its mark, by its form, or by its letters."""
    with path.open("rb") as file:
        sample = file.read(_SAMPLE_BYTES)
        if sample.startswith(b"\xef\xbb\xbf"):
            return "utf-8-sig"
        if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
            return "utf-16"
        if b"\0" in sample:
            # Half of the bytes of Western text are zero: in which half says the byte order.
            return "utf-16-le" if sample[1::2].count(0) >= sample[0::2].count(0) else "utf-16-be"
        wrong_lines = right_lines = 0
        telling: list[bytes] = []
        file.seek(0)
        for line in file:
            if line.isascii():
                continue
            try:
                line.decode()
                right_lines += 1
            except UnicodeDecodeError:
                wrong_lines += 1
                if sum(map(len, telling)) < _GUESSED_FROM_BYTES:
                    telling.append(line)
            if right_lines + wrong_lines >= 10_000:
                break
    # A few broken letters do not make a Unicode file another one.
    if wrong_lines == 0 or wrong_lines * 10 < right_lines:
        return "utf-8"
    best = from_bytes(b"".join(telling), cp_isolation=LEGACY_ENCODINGS).best()
    return best.encoding if best is not None else "cp1252"


def delimiter_of(heading: str) -> str:
    """The delimiter that the heading line uses most, outside of quotes."""
    plain = "".join(heading.split('"')[0::2])
    return max(DELIMITERS, key=plain.count)


class CsvFile:
    """A file to be read once, from its heading on. Close it, or use it in a with statement.

    Bytes that are no letters of `encoding` are kept: `text` encodes to the very bytes again
    (except in UTF-16, where a broken unit becomes U+FFFD).
    """

    def __init__(
        self, path: Path, encoding: str | None = None, delimiter: str | None = None
    ) -> None:
        self.encoding = encoding or encoding_of(path)
        self.errors = "replace" if self.encoding.startswith("utf-16") else "surrogateescape"
        self._file = path.open(encoding=self.encoding, errors=self.errors, newline="")
        self._line = 0
        self._waiting: deque[str] = deque()
        heading = self._next_line()
        while heading and not heading.strip():
            heading = self._next_line()
        if heading.lower().startswith("sep=") and len(heading.strip()) == 5:
            delimiter = delimiter or heading[4]
            heading = self._next_line()
        self.heading_text = heading
        self.delimiter = delimiter or delimiter_of(heading)
        self.heading = [field.strip() for field in self._fields(heading, strict=False)]

    def __enter__(self) -> CsvFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def records(self) -> Iterator[Record]:
        """The records after the heading; blank lines are none."""
        while text := self._next_line():
            if text.strip():
                yield self._record(text)

    def _record(self, text: str) -> Record:
        line = self._line
        lines = [text]
        while '"' in text:
            try:
                return self._read(line, text, self._fields(text, strict=True))
            except csv.Error as error:
                unfinished = "unexpected end of data" in str(error)
            if not unfinished and len(lines) == 1:
                break
            more = self._next_line() if unfinished and len(lines) < LONGEST_RECORD_LINES else ""
            if not more:
                # What was swallowed by the stray quote is read again, as lines of its own.
                self._waiting.extendleft(reversed(lines[1:]))
                self._line = line
                return Record(line, lines[0], [], "a quote is opened and never closed")
            lines.append(more)
            text += more
        try:
            return self._read(line, text, self._fields(text, strict=False))
        except csv.Error as error:
            return Record(line, text, [], str(error))

    def _read(self, line: int, text: str, fields: list[str]) -> Record:
        if not _is_clean(text):
            return Record(line, text, [], f"bytes that are no {self.encoding} letters")
        return Record(line, text, fields)

    def _fields(self, text: str, *, strict: bool) -> list[str]:
        rows = list(csv.reader([text], delimiter=self.delimiter, strict=strict))
        return rows[0] if rows else []

    def _next_line(self) -> str:
        line = self._waiting.popleft() if self._waiting else self._file.readline()
        self._line += bool(line)
        return line


def _is_clean(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\ufffd" not in text
