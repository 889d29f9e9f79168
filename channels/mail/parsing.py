"""A mail's bytes, read as well as can be: never an error, never more time than its size is worth.

Owns the way through MIME: which part is the text, which are files, what is a picture within the
text. What could not be read is named in `problems`, and the bytes are kept as they came. Refuses to
know how the mail arrived and what is done with it.

Problems: `cut` (longer than we read), `nested` (parts within parts within parts), `broken` (against
the rules of MIME), `charset` (letters guessed or lost), `html` (not shown), `too_many_files`,
`unreadable`.
"""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email import policy
from email.message import Message
from email.parser import BytesParser
from html import escape

from channels.incoming import Incoming, IncomingFile
from channels.mail import html_cleaning, mail_headers, quoted_text
from channels.mail.mail_headers import decode_bytes, decode_words, printable
from crm_store.models import Channel

LARGEST_MAIL = 60_000_000
"""Bytes; with base64 that is a file of 40 MB. What is beyond is not read."""
MOST_LINES = 1_000_000
DEEPEST = 20
MOST_BODIES = 200
MOST_FILES = 100
LONGEST_TEXT = 200_000
_LARGEST_HEAD = 500_000
_LONGEST_FIELD = 4_000
_LONGEST_LINE_END = re.compile(rb"\r?\n[ \t]*\r?\n")
# A part that may hold others. Python's parser goes into each, with a call of its own.
_CONTAINER = re.compile(
    rb"(?im)^content-type(?=[ \t]*+:(?:[ \t]|\r?\n[ \t])*+(?:multipart|message)\b)"
)
_SERIOUS = ("Boundary", "Base64", "Multipart", "Separator")


@dataclass(frozen=True, slots=True)
class _Body:
    """A part to be read. Those with the same `choice` say the same in different ways."""

    choice: int
    is_html: bool
    text: str


@dataclass(slots=True)
class _Found:
    """What is gathered on the way through the parts."""

    bodies: list[_Body] = field(default_factory=list)
    files: list[IncomingFile] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    room: int = html_cleaning.LONGEST_HTML

    def problem(self, name: str) -> None:
        if name not in self.problems:
            self.problems.append(name)


def parse(
    raw: bytes,
    *,
    received_at: datetime,
    our_addresses: Sequence[str],
    return_path: str | None = None,
    checked_by: str = "",
) -> Incoming:
    """The mail as an `Incoming`. The first of `our_addresses` counts when the mail names none.

    `return_path` is SMTP's MAIL FROM ("" for a bounce's, None when unknown); `checked_by` is the
    server whose Authentication-Results are believed, "" for none.
    """
    try:
        message, found = _read(raw)
        if return_path is not None:
            del message["Return-Path"]
            message["Return-Path"] = f"<{return_path.strip('<>')}>"
        _take_parts(message, found)
        name, sender = mail_headers.sender(message)
        message_id = mail_headers.message_id(message)
        recipients, our_address = _reached(message, our_addresses)
        text, quoted, html = _body(found)
        return Incoming(
            channel=Channel.MAIL,
            external_key=_key(message_id, sender, raw),
            sender=sender,
            sender_name=name,
            our_address=our_address,
            recipients=recipients,
            subject=mail_headers.subject(message),
            text=text,
            quoted=quoted,
            html=html,
            language=mail_headers.language(message, text),
            received_at=received_at,
            sent_at=mail_headers.sent_at(message),
            message_id=message_id,
            reply_to=mail_headers.answered_ids(message),
            files=found.files,
            raw=raw,
            problems=found.problems,
            automatic=mail_headers.automatic(message, sender, our_addresses),
            is_authenticated=mail_headers.is_authenticated(message, sender, checked_by),
        )
    except Exception:
        # Whatever a mail does to the parser, the mail is kept.
        return unreadable(raw, received_at=received_at, our_addresses=our_addresses)


def read_message(raw: bytes) -> Message:
    """The parts of a mail, within our bounds. Raises whatever Python's parser does."""
    return _read(raw)[0]


def _read(raw: bytes) -> tuple[Message, _Found]:
    found = _Found()
    if len(raw) > LARGEST_MAIL:
        raw = raw[:LARGEST_MAIL]
        found.problem("cut")
    if raw.count(b"\n") > MOST_LINES:
        raw = b"\n".join(raw.split(b"\n", MOST_LINES)[:MOST_LINES])
        found.problem("cut")
    end = _LONGEST_LINE_END.search(raw)
    if (end.start() if end else len(raw)) > _LARGEST_HEAD:
        raw = raw[:_LARGEST_HEAD] + (raw[end.start() :] if end else b"")
        found.problem("cut")
    containers = 0

    def within_bounds(name: re.Match[bytes]) -> bytes:
        nonlocal containers
        containers += 1
        return name[0] if containers <= DEEPEST else b"X-" + name[0]

    raw = _CONTAINER.sub(within_bounds, raw)
    if containers > DEEPEST:
        found.problem("nested")
    return BytesParser(policy=policy.compat32).parsebytes(raw), found


def _reached(message: Message, our_addresses: Sequence[str]) -> tuple[list[str], str]:
    """To whom it says it goes, and which of our addresses that is."""
    recipients = [address for _, address in mail_headers.addresses(message, "To", "Cc")]
    passed_on = ("Delivered-To", "X-Original-To", "Envelope-To")
    reached = [*recipients, *(a for _, a in mail_headers.addresses(message, *passed_on))]
    ours = [address for address in reached if address in our_addresses]
    return recipients, next(iter([*ours, *our_addresses]), "")


def _key(message_id: str, sender: str, raw: bytes) -> str:
    """The same for the same mail, however often it is delivered. Without a Message-ID its content
    counts, but not the lines that each server on its way adds on top."""
    if not message_id:
        head, _, body = raw.partition(b"\n\n" if b"\n\n" in raw[:_LARGEST_HEAD] else b"\r\n\r\n")
        kept = re.findall(rb"(?im)^(?:from|date|subject|to):.*$", head[:_LARGEST_HEAD])
        message_id = f"<{hashlib.sha256(b''.join(kept) + body).hexdigest()}>"
    return f"{message_id} {sender}"


def unreadable(raw: bytes, *, received_at: datetime, our_addresses: Sequence[str]) -> Incoming:
    """A mail of which nothing is known but its bytes, and perhaps its sender."""
    head = raw[:_LARGEST_HEAD].decode("utf-8", "replace")
    line = re.search(r"(?im)^from:([^\r\n]*)", head)
    sender = mail_headers.mail_address(line[1]) if line else ""
    return Incoming(
        channel=Channel.MAIL,
        external_key=_key("", sender, raw),
        sender=sender,
        our_address=next(iter(our_addresses), ""),
        received_at=received_at,
        raw=raw,
        problems=["unreadable"],
        automatic=mail_headers.AUTO_REPLY,
    )


def _take_parts(message: Message, found: _Found) -> None:
    """All parts that hold something, in order; a mail within the mail is a file."""
    choices = 0
    pending: list[tuple[Message, int]] = [(message, 0)]
    while pending:
        part, choice = pending.pop()
        for name in ("Content-Type", "Content-Disposition", "Content-ID"):
            given = next(iter(mail_headers.values(part, name)), "")
            if len(given) > _LONGEST_FIELD or not given.isascii():
                as_bytes = given[:_LONGEST_FIELD].encode("utf-8", "surrogateescape")
                part.replace_header(name, decode_bytes(as_bytes, "utf-8")[0])
        payload = part.get_payload() if part.is_multipart() else None
        if part.get_content_maintype() == "multipart" and isinstance(payload, list):
            if not choice and part.get_content_subtype() == "alternative":
                choice = choices = choices + 1
            within = [inner for inner in payload if isinstance(inner, Message)]
            pending += [(inner, choice) for inner in reversed(within)]
        else:
            _take(part, choice, found)
        if any(word in type(defect).__name__ for defect in part.defects for word in _SERIOUS):
            found.problem("broken")


def _take(part: Message, choice: int, found: _Found) -> None:
    kind = part.get_content_type()
    disposition = str(part.get("Content-Disposition", "")).partition(";")[0].strip().lower()
    name = _file_name(part)
    is_shown = disposition != "attachment" and not (name and disposition != "inline")
    if is_shown and kind in ("text/plain", "text/html"):
        text, is_certain = _text(part, kind)
        if len(text) > html_cleaning.LONGEST_HTML:
            text = text[: html_cleaning.LONGEST_HTML]
            found.problem("cut")
        if not is_certain:
            found.problem("charset")
        if kind == "text/plain" and _param(part, "format") == "flowed":
            text = _flowing(text, part)
        if len(text) > found.room or len(found.bodies) >= MOST_BODIES:
            found.problem("cut")
        elif text:
            found.bodies.append(_Body(choice, kind == "text/html", text))
            found.room -= len(text)
        return
    content = _file_content(part)
    if not content and not name:
        return
    if len(found.files) >= MOST_FILES:
        found.problem("too_many_files")
        return
    found.files.append(
        IncomingFile(
            name=name or _name_for(part, kind, len(found.files) + 1),
            media_type=kind,
            content=content,
            content_id=_content_id(part),
        )
    )


def _body(found: _Found) -> tuple[str, str, str]:
    """Text, what it quotes, and HTML ("" where no part has any).

    Where a mail says one thing as text and another as HTML, both have both.
    """
    wholes: dict[int, list[_Body]] = {}
    for at, body in enumerate(found.bodies):
        wholes.setdefault(body.choice or -1 - at, []).append(body)
    texts: list[str] = []
    htmls: list[str] = []
    for bodies in wholes.values():
        plain = "\n\n".join(body.text.strip("\n") for body in bodies if not body.is_html).strip(
            "\n"
        )
        html = "<hr>".join(filter(None, (_cleaned(body, found) for body in bodies if body.is_html)))
        texts.append(plain if plain.strip() else html_cleaning.text_of(html))
        htmls.append(html or "<br>".join(map(escape, plain.splitlines())))
    text = "\n\n".join(filter(str.strip, texts))
    if len(text) > LONGEST_TEXT:
        found.problem("cut")
    own, quoted = quoted_text.split(text[:LONGEST_TEXT])
    has_html = any(body.is_html and body.text.strip() for body in found.bodies)
    return own, quoted, "<hr>".join(filter(None, htmls)) if has_html else ""


def _cleaned(body: _Body, found: _Found) -> str:
    try:
        return html_cleaning.clean(body.text)
    except ValueError:
        found.problem("html")
        return ""


def _text(part: Message, kind: str) -> tuple[str, bool]:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return "", True
    charset = _param(part, "charset")
    if not charset and kind == "text/html":
        named = re.search(
            rb"(?i)<meta[^>]{0,200}charset\s*=\s*[\"']?([\w.-]{1,40})", content[:4_000]
        )
        charset = named[1].decode("ascii", "replace") if named else ""
    text, is_certain = decode_bytes(content, charset or "utf-8")
    return printable(text), is_certain


def _param(part: Message, name: str) -> str:
    """A parameter of Content-Type, also as RFC 2231 writes it; "" without it."""
    found = part.get_param(name, "")
    if isinstance(found, tuple):
        found = found[2]
    return decode_words(str(found)).strip().lower()[:100]


def _flowing(text: str, part: Message) -> str:
    """Paragraphs of format=flowed (RFC 3676) on lines of their own."""
    glue = "" if _param(part, "delsp") == "yes" else " "
    lines: list[str] = []
    pieces: list[str] = []
    open_depth = -1
    for raw in text.split("\n"):
        depth = len(raw) - len(raw.lstrip(">"))
        line = raw[depth:].removeprefix(" ")
        if pieces and depth != open_depth:
            lines.append(_quoted(open_depth, glue.join(pieces)))
            pieces = []
        open_depth = depth
        if line.endswith(" ") and line != "-- ":
            pieces.append(line[:-1])
            continue
        lines.append(_quoted(depth, glue.join([*pieces, line])))
        pieces = []
    if pieces:
        lines.append(_quoted(open_depth, glue.join(pieces)))
    return "\n".join(lines)


def _quoted(depth: int, line: str) -> str:
    return f"{'>' * depth} {line}" if depth else line


def _content_id(part: Message) -> str:
    return decode_words(str(part.get("Content-ID", ""))).strip().strip("<>")[:300]


def _file_name(part: Message) -> str:
    """As the sender calls it, without a way that leads anywhere."""
    found = part.get_param("filename", None, "content-disposition") or part.get_param("name", "")
    if isinstance(found, tuple):
        charset, _, value = found
        text, _ = decode_bytes(str(value).encode("latin-1", "replace"), charset or "utf-8")
    else:
        text = decode_words(str(found))
    return re.split(r"[/\\]", " ".join(printable(text).split()))[-1].strip(". ")[:200]


def _name_for(part: Message, kind: str, number: int) -> str:
    if kind == "message/rfc822":
        within = part.get_payload() if part.is_multipart() else None
        inner = within[0] if isinstance(within, list) and within else None
        title = mail_headers.subject(inner) if isinstance(inner, Message) else ""
        return (re.sub(r"[/\\]", " ", title).strip(". ")[:100] or f"mail-{number}") + ".eml"
    if kind == "text/calendar":
        return "invitation.ics"
    return f"file-{number}{mimetypes.guess_extension(kind) or ''}"


def _file_content(part: Message) -> bytes:
    within = part.get_payload() if part.is_multipart() else None
    if isinstance(within, list):
        return b"\n".join(bytes(inner) for inner in within if isinstance(inner, Message))
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""
