"""The AGI protocol without a socket: bytes in, what Asterisk says out; words in, a command out.

Owns where a header and an answer end, how a command is quoted, and the limits. Refuses to know who
waits for an answer and what it means.

- Text is UTF-8; a line that is not is read as Latin-1. Nothing in the bytes raises but what breaks
  a limit, or is no AGI at all from its first line.
- Control characters in what is read become spaces. Of a header's name that comes twice the first
  one counts: Asterisk writes what it knows before what a caller may have chosen.
- `HANGUP` may come anywhere, also glued to the answer behind it (Asterisk up to 1.8 sent it as
  urgent data, whose last byte is lost); the answer it interrupts still comes.
- An answer is one line, or `520-` … `520 `, or a value in parentheses that has line ends in it.
- A command can't be longer, nor hold another: quotes, backslashes and line ends are made harmless.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MAX_LINE: Final = 8 * 1024
"""Bytes of one line read. Asterisk's own buffer for a variable's value has 4,096."""

MAX_HEADER_LINES: Final = 200
"""Asterisk writes some 20, and one for each of at most 127 arguments."""

MAX_HEADER: Final = 64 * 1024
"""Bytes of the header."""

MAX_ANSWER: Final = 64 * 1024
"""Bytes of one answer. The longest usage text has about 2,000."""

MAX_STRAY: Final = 64 * 1024
"""Bytes of lines that are neither an answer nor HANGUP, in one session."""

MAX_COMMAND: Final = 2_000
"""Bytes of a command. Asterisk's buffer (AGI_BUF_LEN) has 2,048 and cuts silently."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_ANSWER: Final = re.compile(
    r"(?P<code>\d{3})(?P<more>[ -])(?:result=(?P<result>[^\s(]*))?"
    r"(?: ?\((?P<data>.*?)\)(?= endpos=\d+\Z|\Z))?(?: endpos=(?P<endpos>\d{1,18})\Z)?",
    re.S,
)
_OPEN_VALUE: Final = re.compile(r"\d{3} result=[^\s(]* \(")
_CLOSED_VALUE: Final = re.compile(r"\)(?: endpos=\d+)?\Z")


class ProtocolBroken(Exception):
    """What came is no AGI, or more of it than anybody may send."""


class BadCommand(ValueError):
    """A command that Asterisk would not read as it was meant."""


@dataclass(frozen=True, slots=True)
class Header:
    """What Asterisk says of the call before the first command, by name without `agi_`."""

    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """Asterisk's answer to a command.

    `code` 200 is done, 510 unknown command, 511 the caller is gone, 520 wrong usage. `result` and
    `data` are as in `200 result=RESULT (DATA) endpos=ENDPOS`; `text` is the whole.
    """

    code: int
    result: str = ""
    data: str = ""
    endpos: int | None = None
    text: str = ""

    @property
    def number(self) -> int:
        """`result` as a number, 0 if it is none."""
        return int(self.result) if re.fullmatch(r"-?\d{1,9}", self.result, re.A) else 0


@dataclass(frozen=True, slots=True)
class HangUpNotice:
    """The caller is gone; an answer that is waited for still comes."""


class AgiReader:
    """Reads what one Asterisk channel sends. `stray` counts bytes that were no answer."""

    def __init__(self) -> None:
        self.stray = 0
        self._rest = bytearray()
        self._header: dict[str, str] | None = {}
        self._header_lines = self._header_bytes = 0
        self._block: list[str] = []
        self._block_code = ""
        self._block_bytes = 0

    @property
    def in_header(self) -> bool:
        return self._header is not None

    def feed(self, data: bytes) -> list[Header | Answer | HangUpNotice]:
        """What `data` completes, in order. Raises ProtocolBroken; then nothing more can be read."""
        self._rest += data
        found: list[Header | Answer | HangUpNotice] = []
        start = 0
        while (end := self._rest.find(b"\n", start)) >= 0:
            if end - start > MAX_LINE:
                raise ProtocolBroken("a line is too long")
            line = bytes(self._rest[start:end])
            start = end + 1
            if self._header is not None:
                found += self._header_line(line)
            else:
                found += self._answer_line(line)
        del self._rest[:start]
        if len(self._rest) > MAX_LINE:
            raise ProtocolBroken("a line is too long")
        if self._header is not None:
            self._check_first_letters()
        return found

    def _header_line(self, line: bytes) -> list[Header | Answer | HangUpNotice]:
        assert self._header is not None
        if not line.strip(b"\r"):
            values, self._header = self._header, None
            return [Header(values)]
        self._header_lines += 1
        self._header_bytes += len(line)
        if self._header_lines > MAX_HEADER_LINES or self._header_bytes > MAX_HEADER:
            raise ProtocolBroken("the header is too long")
        name, colon, value = _text(line).partition(":")
        if colon and name.startswith("agi_"):
            self._header.setdefault(name[4:], value.removeprefix(" "))
        elif self._header_lines == 1:
            raise ProtocolBroken("this is no AGI")
        return []

    def _check_first_letters(self) -> None:
        """Whoever speaks another protocol is known by the first bytes, without waiting."""
        if not self._header_lines and not b"agi_".startswith(self._rest[:4]):
            raise ProtocolBroken("this is no AGI")

    def _answer_line(self, line: bytes) -> list[Header | Answer | HangUpNotice]:
        text = _text(line)
        notice: list[Header | Answer | HangUpNotice] = []
        if text == "HANGUP" or re.match(r"HANGUP\d{3}[ -]", text, re.A):
            notice = [HangUpNotice()]
            text = text[6:]
            if not text:
                return notice
        if self._block:
            return notice + self._block_line(text, len(line))
        found = re.match(r"(\d{3})([ -])", text, re.A)
        if not found:
            self._stray(len(line))
            return notice
        opened = _OPEN_VALUE.match(text) and not _CLOSED_VALUE.search(text)
        if found[2] == "-" or opened:
            self._block, self._block_bytes = [text], len(line)
            self._block_code = found[1] if found[2] == "-" else ""
            return notice
        return [*notice, _answer(text)]

    def _block_line(self, text: str, length: int) -> list[Header | Answer | HangUpNotice]:
        self._block.append(text)
        self._block_bytes += length
        if self._block_bytes > MAX_ANSWER:
            raise ProtocolBroken("an answer is too long")
        if self._block_code:
            ended = text.startswith(self._block_code + " ")
        else:
            ended = bool(_CLOSED_VALUE.search(text))
        if not ended:
            return []
        whole, self._block = "\n".join(self._block), []
        return [_answer(whole)]

    def _stray(self, length: int) -> None:
        self.stray += length + 1
        if self.stray > MAX_STRAY:
            raise ProtocolBroken("too much that is no answer")


def command(verb: str, *arguments: str) -> bytes:
    """The bytes of a command: `verb` as it stands ("STREAM FILE"), each argument quoted.

    Control characters in arguments become spaces. Raises BadCommand if it is too long, or `verb`
    is anything but capital words.
    """
    if not re.fullmatch(r"[A-Z]+(?: [A-Z]+)*", verb):
        raise BadCommand(f"{verb!r} is no command")
    quoted = "".join(f' "{_harmless(argument)}"' for argument in arguments)
    line = f"{verb}{quoted}\n".encode("utf-8", "replace")
    if len(line) > MAX_COMMAND:
        raise BadCommand(f"{verb} with {len(line)} bytes is longer than Asterisk reads")
    return line


def _harmless(argument: str) -> str:
    return _CONTROL.sub(" ", argument).replace("\\", "\\\\").replace('"', '\\"')


def _text(line: bytes) -> str:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = line.decode("latin-1")
    return _CONTROL.sub(" ", text.removesuffix("\r"))


def _answer(text: str) -> Answer:
    found = _ANSWER.match(text)
    assert found is not None
    endpos = found["endpos"]
    return Answer(
        code=int(found["code"]),
        result=found["result"] or "",
        data=found["data"] or "",
        endpos=int(endpos) if endpos else None,
        text=text,
    )
