"""Letters: the mail that is made of a message from the outbox.

Owns its form (plain and HTML from the same text, signature, files) and its headers, of which each
is one line whatever stands in it: what thread it is in, that a machine wrote it, how to hear no
more. Refuses to know how it is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import policy
from email.errors import MessageError
from email.headerregistry import Address, HeaderRegistry
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from channels.mail.mail_headers import without_line_ends
from channels.senders import Outgoing, Refused

UNSUBSCRIBE = "unsubscribe"
"""The subject by which a mail to us says so."""

REPEAT = "X-Deskbell-Repeat"
"""Says of a mail that its recipient may have it already: nobody knows."""

MOST_REFERENCES = 20
_BY_MACHINES = {"notice", "code", "promotion", "transcript", "automatic"}
# Whoever writes a message may set these; the rest are ours.
_GIVEN = {"in-reply-to", "references", "list-unsubscribe", "list-id", "importance"}
_RIGHT_TO_LEFT = {"fa", "ar", "he", "ur"}
_NO_MORE = {
    "en": "I do not want such mails any more",
    "zh": "不再接收此类邮件",
    "es": "No quiero recibir más correos como este",
    "fa": "دیگر چنین ایمیل‌هایی نمی‌خواهم",
}
_LINK = re.compile(r"https?://[^\s<>\"'()]{3,2000}[^\s<>\"'().,;:!?]")
_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
)


class _HeaderClasses(HeaderRegistry):
    """Python makes a new class for each header of each mail, which is a third of a letter's time;
    one for each name does. Only names of ours come here."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[str, type] = {}

    def __getitem__(self, name: str) -> type:
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = super().__getitem__(name)
        return made


_ASCII = policy.SMTP.clone(header_factory=_HeaderClasses())
_UTF8 = policy.SMTPUTF8.clone(header_factory=_HeaderClasses())


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterhead:
    """Whose letters they are. `address` is what they come from where the message names none.

    `signatures` are the house's by language, lines of text; English stands in for those that are
    missing. `unsubscribe_link` makes the page of an address that wants no more promotions.
    """

    house: str
    address: str
    signatures: Mapping[str, str] = field(default_factory=dict)
    unsubscribe_link: Callable[[str], str] | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail as SMTP takes it. `needs_utf8` says that an address is beyond ASCII (RFC 6531)."""

    sender: str
    recipient: str
    content: bytes
    needs_utf8: bool


def compose(message: Outgoing, head: Letterhead) -> Letter:
    """The mail of a message; reads its files. The same message gives the same Message-ID.

    Raises Refused when no mail can be addressed to `message.to`, or a file is gone.
    """
    sender = message.our_address or head.address
    recipient = _on_the_wire(message.to)
    needs_utf8 = not recipient.isascii()
    letter = EmailMessage(policy=_UTF8 if needs_utf8 else _ASCII)
    unsubscribe = ""
    if message.purpose == "promotion" and head.unsubscribe_link is not None:
        unsubscribe = head.unsubscribe_link(message.to)
    try:
        letter["From"] = Address(display_name=_line(head.house), addr_spec=sender)
        if needs_utf8:
            local, _, domain = recipient.rpartition("@")
            letter["To"] = Address(username=local, domain=domain)
        else:
            letter["To"] = Address(addr_spec=recipient)
        for name, value in _headers(message, sender, unsubscribe).items():
            letter[name] = value
    except (ValueError, MessageError, IndexError) as error:
        raise Refused("no mail can be addressed so", bad_address=True) from error
    signature = _signature(message, head)
    letter.set_content(_plain(message, signature, unsubscribe), charset="utf-8")
    letter.add_alternative(_html(message, signature, unsubscribe), subtype="html", charset="utf-8")
    for file in message.files:
        kind, _, subtype = file.media_type.partition("/")
        try:
            content = file.path.read_bytes()
        except OSError as error:
            raise Refused("an attachment is gone") from error
        letter.add_attachment(
            content,
            maintype=kind if subtype and kind != "message" else "application",
            subtype=subtype if subtype and kind != "message" else "octet-stream",
            filename=_line(file.name),
        )
    return Letter(sender, recipient, letter.as_bytes(), needs_utf8)


def _headers(message: Outgoing, sender: str, unsubscribe: str) -> dict[str, str]:
    given = {
        name: value
        for name, value in without_line_ends(message.headers).items()
        if name.lower() in _GIVEN and value
    }
    if "References" in given:
        ids = given["References"].split()
        # The first names the thread; the latest are what mail programs look for.
        given["References"] = " ".join(
            ids if len(ids) <= MOST_REFERENCES else [ids[0], *ids[1 - MOST_REFERENCES :]]
        )
    headers = {
        "Subject": _line(message.subject),
        "Date": format_datetime(datetime.now(UTC)),
        "Message-ID": message.message_id,
        **given,
    }
    if message.purpose in _BY_MACHINES:
        # RFC 3834: nobody's machine is to answer ours.
        is_answer = message.purpose == "automatic"
        headers["Auto-Submitted"] = "auto-replied" if is_answer else "auto-generated"
        headers["X-Auto-Response-Suppress"] = "All"
    if message.purpose == "promotion":
        headers["Precedence"] = "bulk"
        if "List-Unsubscribe" not in given:
            ways = [f"<{unsubscribe}>"] if unsubscribe else []
            headers["List-Unsubscribe"] = ", ".join(
                [*ways, f"<mailto:{sender}?subject={UNSUBSCRIBE}>"]
            )
        if "<https://" in headers.get("List-Unsubscribe", given.get("List-Unsubscribe", "")):
            headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    if message.is_repeat:
        headers[REPEAT] = "yes"
    return headers


def _line(text: str) -> str:
    return without_line_ends({"": text})[""]


def _on_the_wire(address: str) -> str:
    """An address with its domain as DNS has it."""
    local, _, domain = address.rpartition("@")
    if not domain.isascii():
        try:
            domain = domain.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise Refused("there can be no such domain", bad_address=True) from error
    return f"{local}@{domain}"


def _signature(message: Outgoing, head: Letterhead) -> list[str]:
    """The agent's name, then the house's lines."""
    house = head.signatures.get(message.language) or head.signatures.get("en") or head.house
    name = [_line(message.author_name)] if message.author_name else []
    return [*name, *(line for line in house.splitlines() if line.strip())]


def _plain(message: Outgoing, signature: list[str], unsubscribe: str) -> str:
    parts = [message.text.rstrip()]
    if signature:
        parts.append("-- \n" + "\n".join(signature))
    if unsubscribe:
        parts.append(f"{_words(_NO_MORE, message.language)}: {unsubscribe}")
    return "\n\n".join(parts) + "\n"


def _html(message: Outgoing, signature: list[str], unsubscribe: str) -> str:
    return _environment.get_template("letter.html.j2").render(
        subject=_line(message.subject),
        language=message.language or "en",
        direction="rtl" if message.language in _RIGHT_TO_LEFT else "ltr",
        # What is given as HTML was made by us or cleaned before.
        body=Markup(message.html) if message.html else _paragraphs(message.text),  # noqa: S704
        signature=signature,
        unsubscribe=unsubscribe,
        unsubscribe_words=_words(_NO_MORE, message.language),
    )


def _words(by_language: Mapping[str, str], language: str) -> str:
    return by_language.get(language) or by_language["en"]


def _paragraphs(text: str) -> Markup:
    return Markup("\n").join(
        Markup('<p dir="auto">{}</p>').format(
            Markup("<br>\n").join(map(_linked, paragraph.split("\n")))
        )
        for paragraph in re.split(r"\n\s*\n", text.strip())
    )


def _linked(line: str) -> Markup:
    pieces: list[Markup] = []
    at = 0
    for link in _LINK.finditer(line):
        pieces += [
            escape(line[at : link.start()]),
            Markup('<a href="{0}">{0}</a>').format(link[0]),
        ]
        at = link.end()
    return Markup("").join([*pieces, escape(line[at:])])
