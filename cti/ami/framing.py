"""AMI framing: bytes in, messages out, without a socket.

Owns where a message ends, which ones are worth parsing, and how its text is read. Refuses to know
what a message means, who waits for it or where the bytes come from: a live socket and a recorded
file give the same messages, however the bytes were cut.

A message is a plain dict of header name (as Asterisk writes it) to value:

- A header that stands several times (`ChanVariable`, `Output`) is one value, joined with a line
  feed. Since AMI ends lines with CRLF, a bare CR or LF can only be part of a value; it is read as a
  space, so that a line feed in a value always means "the next one".
- An empty header is "", also as the last one of its message.
- Text is UTF-8; a line that is not is read as Latin-1. Nothing in the bytes raises.
- Lines without a colon, and blocks that are neither event nor response, are left out.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

log = logging.getLogger(__name__)

LINE_END: Final = b"\r\n"
BLOCK_END: Final = b"\r\n\r\n"
BANNER: Final = b"Asterisk Call Manager/"

MAX_BLOCK: Final = 2 * 1024 * 1024
"""Bytes of one message. `Command` answers of a big PBX reach some 100 kB; no event comes near."""

MAX_SHAPES: Final = 1024
"""Header orders learnt, one pattern each. An Asterisk uses about 200; hostile peers, endless."""

MAX_SHAPE_LINES: Final = 100
"""A message of more lines is read line by line. Asterisk's longest events have about 60."""

LEARN_AFTER: Final = 16
"""Sightings before a header order gets its pattern: compiling one takes as long as 500 messages."""

ALWAYS_WANTED: Final = frozenset({"FullyBooted", "OriginateResponse", "Shutdown"})
"""Events that are never filtered out: the link itself or whoever dialled depends on them."""

_EVENT: Final = b"Event: "
_ACTION_ID: Final = b"\r\nActionID: "
_OVERLAP: Final = len(BLOCK_END) - 1


@dataclass(slots=True)
class _Shape:
    """One header order of one event, known by its name and its number of line feeds.

    `fullmatch` is None until the order was seen often enough. Its pattern has every header name and
    line end as a literal, and no value may hold a CR; the line feeds being counted, none can hold
    an LF either. So what it matches is just what `_read_lines` would read.
    """

    names: list[str]
    template: dict[str, str]
    sightings: int = 1
    fullmatch: Callable[[str], re.Match[str] | None] | None = None


class AmiFramer:
    """Cuts one AMI byte stream into messages, dropping unwanted events before they are parsed.

    `wanted` are the names of the events to keep beside ALWAYS_WANTED; None keeps all. `only_with`
    narrows some of them to those with one of the header lines given, as in
    `{"VarSet": ["Variable: QUEUESTATUS"]}`. Responses are always kept, and so is an event whose
    ActionID is in `awaited` (its answer is waited for). `headers` are those that somebody reads:
    others may be missing from events that answer no action.

    `max_block` is the longest message in bytes. A longer one is skipped to the next blank line with
    one warning; no more than this is ever held.

    Counters of messages since the start: `parsed` and handed out, `dropped` as not wanted,
    `malformed` (neither event nor response), `oversized`; `seen` is their sum. `banner` is
    Asterisk's greeting ("Asterisk Call Manager/9.0.0"), "" before the first message came.
    """

    def __init__(
        self,
        wanted: frozenset[str] | None = None,
        max_block: int = MAX_BLOCK,
        only_with: Mapping[str, Collection[str]] | None = None,
        headers: frozenset[str] | None = None,
    ) -> None:
        self.awaited: set[str] = set()
        self.banner = ""
        self.parsed = self.dropped = self.malformed = self.oversized = 0
        self._wanted = wanted if wanted is None else wanted | ALWAYS_WANTED
        self._only_with = {name: frozenset(lines) for name, lines in (only_with or {}).items()}
        self._needles = {
            _EVENT + name.encode(): [LINE_END + line.encode() + LINE_END for line in lines]
            for name, lines in self._only_with.items()
        }
        self._headers = headers if headers is None else headers | {"Event"}
        self._max_block = max_block
        self._rest = bytearray()
        self._skipping = False
        self._shapes: dict[bytes, dict[int, _Shape]] = {
            _EVENT + name.encode(): {} for name in self._wanted or ()
        }
        self._shape_count = 0

    @property
    def seen(self) -> int:
        return self.parsed + self.dropped + self.malformed + self.oversized

    @property
    def mid_message(self) -> bool:
        """True if the last bytes fed were not the end of a message."""
        return bool(self._rest) or self._skipping

    def wants(self, message: dict[str, str]) -> bool:
        """True if `message` would be handed out though nobody waits for it as an answer."""
        name = message.get("Event")
        if name is None:
            return True
        if self._wanted is not None and name not in self._wanted:
            return False
        lines = self._only_with.get(name)
        return lines is None or any(f"{key}: {value}" in lines for key, value in message.items())

    def start_over(self) -> None:
        """Forget an unfinished message: the bytes to come are those of a new connection."""
        self._rest.clear()
        self._skipping = False
        self.banner = ""

    def feed(self, data: bytes) -> list[dict[str, str]]:
        """The wanted messages that `data` completes, in the order of their bytes."""
        messages = []
        dropped = 0
        only_wanted = self._wanted is not None
        shapes_of = self._shapes
        needles = self._needles
        for block in self._complete_blocks(data):
            first_line = block.partition(LINE_END)[0]
            shapes = shapes_of.get(first_line)
            if shapes is None:
                if only_wanted and not self.awaited and first_line.startswith(_EVENT):
                    dropped += 1
                else:
                    messages += self._read_unknown(block)
                continue
            if first_line in needles and not self._has_one_of(needles[first_line], block):
                dropped += 1
                continue
            shape = shapes.get(block.count(b"\n"))
            if shape is not None and shape.fullmatch is not None:
                try:
                    match = shape.fullmatch(block.decode())
                except UnicodeDecodeError:
                    match = None
                if match is not None:
                    message = shape.template.copy()
                    message.update(zip(shape.names, match.groups()))  # noqa: B905 (equal, and 300 ns)
                    messages.append(message)
                    continue
            messages.append(self._read_and_learn(block, shapes))
        self.dropped += dropped
        self.parsed += len(messages)
        return messages

    def _complete_blocks(self, data: bytes) -> list[bytes]:
        rest = self._rest
        if rest:
            searched = max(0, len(rest) - _OVERLAP)
            rest += data
            if rest.find(BLOCK_END, searched) < 0:
                self._bound_the_rest()
                return []
            data = bytes(rest)
            rest.clear()
        blocks = data.split(BLOCK_END)
        if self._skipping:
            del blocks[0]  # the end of the block that was too long
            self._skipping = False
        rest += blocks.pop()
        self._bound_the_rest()
        if len(data) > self._max_block:
            kept = [block for block in blocks if len(block) <= self._max_block]
            for _ in range(len(blocks) - len(kept)):
                self._count_oversized()
            return kept
        return blocks

    def _bound_the_rest(self) -> None:
        # The last bytes may be the first ones of a blank line, which is not the block's own.
        if len(self._rest) > (0 if self._skipping else self._max_block) + _OVERLAP:
            if not self._skipping:
                self._skipping = True
                self._count_oversized()
            del self._rest[:-_OVERLAP]

    def _count_oversized(self) -> None:
        self.oversized += 1
        log.warning("an AMI message of more than %d bytes was skipped", self._max_block)

    def _read_unknown(self, block: bytes) -> list[dict[str, str]]:
        """No message or one, from a block that is no event with a wanted name: count or read it."""
        block = block.lstrip(LINE_END)
        if block.startswith(BANNER):
            banner, _, block = block.partition(LINE_END)
            self.banner = banner.decode("latin-1")
            block = block.lstrip(LINE_END)
        first_line = block.partition(LINE_END)[0]
        if first_line.startswith(b"Response: "):
            return [_read_lines(_decode(block))]
        if not first_line.startswith(_EVENT):
            self.malformed += bool(block)
            return []
        if self._wanted is None and len(self._shapes) < MAX_SHAPES:
            self._shapes.setdefault(first_line, {})
        if self._wanted is None or first_line in self._shapes:
            kept = self._has_one_of(self._needles.get(first_line, [LINE_END]), block)
        else:
            kept = self._awaits(block)
        if not kept:
            self.dropped += 1
            return []
        return [_read_lines(_decode(block))]

    def _has_one_of(self, needles: list[bytes], block: bytes) -> bool:
        ended = block + LINE_END
        return any(needle in ended for needle in needles) or self._awaits(block)

    def _awaits(self, block: bytes) -> bool:
        if not self.awaited:
            return False
        _, _, after = block.partition(_ACTION_ID)
        return after.partition(LINE_END)[0].decode("latin-1") in self.awaited

    def _read_and_learn(self, block: bytes, shapes: dict[int, _Shape]) -> dict[str, str]:
        message = _read_lines(_decode(block))
        line_feeds = block.count(b"\n")
        if len(message) != line_feeds + 1 or line_feeds >= MAX_SHAPE_LINES:
            return message  # repeated headers or stray line feeds: not worth a pattern
        shape = shapes.get(line_feeds)
        if shape is None:
            if self._shape_count < MAX_SHAPES:
                self._shape_count += 1
                shapes[line_feeds] = _Shape(list(message), dict.fromkeys(message, ""))
        elif shape.fullmatch is None:
            if shape.names != list(message):
                shapes[line_feeds] = _Shape(list(message), dict.fromkeys(message, ""))
            else:
                shape.sightings += 1
            if shape.sightings >= LEARN_AFTER:
                self._learn(shape)
        return message

    def _learn(self, shape: _Shape) -> None:
        read = set(shape.names)
        if self._headers is not None and "ActionID" not in read:
            read &= self._headers
        lines = (
            re.escape(name) + (": ([^\r]*+)" if name in read else ": [^\r]*+")
            for name in shape.names
        )
        shape.fullmatch = re.compile("\r\n".join(lines)).fullmatch
        shape.names = [name for name in shape.names if name in read]
        shape.template = dict.fromkeys(shape.names, "")


def _decode(block: bytes) -> str:
    try:
        return block.decode()
    except UnicodeDecodeError:
        return "\r\n".join(_decode_line(line) for line in block.split(LINE_END))


def _decode_line(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _read_lines(text: str) -> dict[str, str]:
    lines = text.split("\r\n")
    if text.count("\n") == text.count("\r") == len(lines) - 1:
        try:
            plain = dict([line.split(": ", 1) for line in lines])
        except ValueError:
            plain = {}  # a line without a colon, or a header without a blank behind it
        if len(plain) == len(lines):
            return plain
    return _read_odd_lines(lines)


def _read_odd_lines(lines: list[str]) -> dict[str, str]:
    message: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    for line in lines:
        name, colon, value = line.replace("\r", " ").replace("\n", " ").partition(": ")
        if not colon:
            if not name.endswith(":"):
                continue
            name = name[:-1]
        if name in message:
            repeated.setdefault(name, [message[name]]).append(value)
        else:
            message[name] = value
    for name, values in repeated.items():
        message[name] = "\n".join(values)
    return message
