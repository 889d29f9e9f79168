"""A mail's headers as people and machines read them.

Owns encoded words (RFC 2047), names and charsets that lie, addresses, Message-IDs, dates, who wrote
a mail by itself (RFC 3834) and whether its sender was proven (RFC 8601). Every reading has a bound
in length and never raises: a mail is hostile. Refuses to know what is done with any of it.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import quopri
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime

from charset_normalizer import from_bytes

LONGEST_HEADER = 20_000
LONGEST_SUBJECT = 500
LONGEST_ADDRESS = 320
MOST_REFERENCES = 50
MOST_RECIPIENTS = 100

AUTO_REPLY = "auto_reply"
LIST = "list"
BOUNCE = "bounce"
COMPLAINT = "complaint"

_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]{0,10000})\?=")
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,400}>")
_ADDRESS = re.compile(r"[^\s@<>\"(),:;\[\]\\\x00-\x1f]{1,200}@[^\s@<>\"(),:;\\\x00-\x1f]{1,200}")
_SINGLE = re.compile(r'([^<>"]*|"(?:[^"\\]|\\.)*+"\s*)<([^<>\s]+)>\s*$')
_NOBODY = re.compile(r"(no|not|do-?not)[-_.]?reply|mailer-daemon|postmaster|bounces?\b", re.I)
_DAEMON = re.compile(r"(mailer-daemon|postmaster)@", re.I)
_DOMAIN = re.compile(r"\b(?:header\.(?:d|i)|smtp\.mailfrom)=(?:[^\s;@]*@)?([\w.-]+)")
# In these a server repeats what the sender chose.
_REPEATED = re.compile(r'"[^"]*"|\([^()]*\)')
# What senders call an encoding, and what they mean by it.
_MEANT = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "big5": "big5hkscs",
    "iso-8859-1": "cp1252",
    "latin-1": "cp1252",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "shift_jis": "cp932",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-9": "cp1254",
    "unicode-1-1-utf-7": "utf-7",
}
# Codecs of Python's that are no encoding of a text that somebody wrote, or slow on purpose.
_NO_CHARSETS = {"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs"}
_GUESSED_FROM = 8_000


def printable(text: str) -> str:
    """Without what no text has: control characters, halves of letters, what turns the reading round
    (U+202A to U+202E, U+2066 to U+2069). Line ends are `\\n`."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNPRINTABLE.sub("", text)


_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
)


def decode_bytes(content: bytes, charset: str) -> tuple[str, bool]:
    """Text of bytes, and whether it is as the sender meant it: a charset may be missing or wrong.

    What cannot be read is U+FFFD.
    """
    name = charset.strip().strip("\"'").lower()
    name = _MEANT.get(name, name)
    for candidate in (name, "utf-8"):
        if (text := _strictly(content, candidate)) is not None:
            return text, candidate == name or content.isascii()
    # A whole letter may be cut at the end of the sample: only the sample's own encoding counts.
    guess = from_bytes(content[:_GUESSED_FROM]).best() if not _is_charset(name) else None
    meant = guess.encoding if guess else name if _is_charset(name) else "cp1252"
    return content.decode(meant, "replace"), False


def _is_charset(name: str) -> bool:
    try:
        found = codecs.lookup(name)
        b"".decode(name)
    except (LookupError, ValueError):
        return False
    return found.name.replace("-", "_") not in _NO_CHARSETS


def _strictly(content: bytes, charset: str) -> str | None:
    if not _is_charset(charset):
        return None
    try:
        return content.decode(charset)
    except ValueError:
        return None


def decode_words(value: str) -> str:
    """A header's value as it was meant: unfolded, encoded words decoded, on one line."""
    value = value[:LONGEST_HEADER]
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        value, _ = decode_bytes(value.encode("utf-8", "surrogateescape"), "utf-8")
    pieces: list[str] = []
    pending: list[tuple[str, bytes]] = []
    at = 0
    for word in _ENCODED_WORD.finditer(value):
        between = value[at : word.start()]
        if between.strip() or not pending:
            pieces += [_joined(pending), between]
            pending = []
        charset = word[1].partition("*")[0].lower()
        content = _word_bytes(word[2], word[3])
        # Senders cut words within a letter; only words of one charset can be put together again.
        if pending and pending[-1][0] == charset:
            content = pending.pop()[1] + content
        pending.append((charset, content))
        at = word.end()
    pieces += [_joined(pending), value[at:]]
    return " ".join(printable("".join(pieces)).split())


def _joined(words: Iterable[tuple[str, bytes]]) -> str:
    return "".join(decode_bytes(content, charset)[0] for charset, content in words)


def _word_bytes(encoding: str, text: str) -> bytes:
    plain = text.encode("ascii", "replace")
    if encoding in "qQ":
        return quopri.decodestring(plain, header=True)
    try:
        return base64.b64decode(plain + b"=" * (-len(plain) % 4))
    except (binascii.Error, ValueError):
        return plain


def values(message: Message, name: str) -> list[str]:
    """All raw values of a header, as they came."""
    wanted = name.lower()
    return [str(value) for key, value in message.raw_items() if key.lower() == wanted]


def value(message: Message, name: str) -> str:
    """The first value of a header, decoded; "" without one."""
    found = values(message, name)
    return decode_words(found[0]) if found else ""


def subject(message: Message) -> str:
    return value(message, "Subject")[:LONGEST_SUBJECT]


def addresses(message: Message, *names: str) -> list[tuple[str, str]]:
    """Name and address (lower case) of each mailbox in these headers, in order."""
    found: list[tuple[str, str]] = []
    for raw in (raw for name in names for raw in values(message, name)):
        unfolded = " ".join(raw[:LONGEST_HEADER].split())
        single = _SINGLE.match(unfolded)
        # Names hold commas, colons and addresses of others, bare or in encoded words.
        if single and "@" not in _ENCODED_WORD.sub("", single[1]):
            name = decode_words(re.sub(r"\\(.)", r"\1", single[1].strip().strip('"')))
            if address := mail_address(single[2]):
                found.append((name[:200], address))
                continue
        try:
            pairs = getaddresses([unfolded])
        except (RecursionError, ValueError, IndexError, TypeError, AttributeError):
            pairs = []
        usable = [(decode_words(name)[:200], mail_address(address)) for name, address in pairs]
        usable = [(name, address) for name, address in usable if address]
        if not usable and (loose := mail_address(unfolded)):
            usable = [("", loose)]
        found += usable
    return list(dict.fromkeys(found))[:MOST_RECIPIENTS]


def mail_address(text: str) -> str:
    """The mail address in a text, in lower case; "" without one."""
    found = _ADDRESS.search(text[:LONGEST_HEADER])
    if not found or len(found[0]) > LONGEST_ADDRESS:
        return ""
    return unicodedata.normalize("NFC", printable(found[0])).lower()


def sender(message: Message) -> tuple[str, str]:
    """Name and address of who wrote it. A form on a website writes as nobody and names the customer
    in Reply-To: then it is who is named there."""
    written_by = addresses(message, "From") or addresses(message, "Sender")
    answers_to = addresses(message, "Reply-To")
    if not written_by:
        return (answers_to or addresses(message, "Return-Path") or [("", "")])[0]
    if answers_to and _NOBODY.match(written_by[0][1]):
        return answers_to[0]
    return written_by[0]


def message_id(message: Message) -> str:
    """The mail's own Message-ID with its `<>`, "" if it has none that one can refer to."""
    found = _MESSAGE_ID.search(value(message, "Message-ID"))
    return found[0] if found else ""


def answered_ids(message: Message) -> list[str]:
    """The Message-IDs that it answers, the nearest last."""
    found: list[str] = []
    for name in ("References", "In-Reply-To"):
        for raw in values(message, name):
            found += _MESSAGE_ID.findall(decode_words(raw[-LONGEST_HEADER:]))
    nearest_first = dict.fromkeys(reversed(found))
    return list(nearest_first)[:MOST_REFERENCES][::-1]


def sent_at(message: Message) -> datetime | None:
    """By the sender's own clock; None if that cannot be read."""
    try:
        found = parsedate_to_datetime(value(message, "Date"))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def language(message: Message, text: str) -> str:
    """en, zh, es or fa: as the mail says of itself, else as its letters show; else ""."""
    said = value(message, "Content-Language").lower()[:2]
    if said in ("en", "zh", "es", "fa"):
        return said
    sample = text[:2_000]
    letters = sum(map(str.isalpha, sample))
    han = len(re.findall(r"[\u4e00-\u9fff]", sample))
    if han * 3 > letters and not re.search(r"[\u3040-\u30ff]", sample):
        return "zh"
    return "fa" if len(re.findall(r"[\u0600-\u06ff]", sample)) * 2 > letters > 0 else ""


def automatic(message: Message, from_address: str, our_addresses: Sequence[str]) -> str:
    """Why it must not be answered by a machine; "" for what a person wrote.

    Besides RFC 3834's own header these are the signs that are in use: lists, newsletters, mails
    without a return path, and what comes from our own addresses.
    """
    kind = message.get_content_type()
    report = str(message.get_param("report-type", "")).lower() if kind.endswith("/report") else ""
    if report == "feedback-report":
        return COMPLAINT
    has_return_path = any(mail_address(raw) for raw in values(message, "Return-Path"))
    returned_to_nobody = bool(values(message, "Return-Path")) and not has_return_path
    if report == "delivery-status" or _DAEMON.match(from_address):
        return BOUNCE
    marks = {
        name: value(message, name).lower()
        for name in ("Auto-Submitted", "Precedence", "X-Auto-Response-Suppress")
    }
    said = marks["Auto-Submitted"].partition(";")[0].strip()
    if (said and said != "no") or _has_any(message, "X-Autoreply", "X-Autorespond"):
        return AUTO_REPLY
    if "auto" in marks["Precedence"] or report == "disposition-notification":
        return AUTO_REPLY
    if _has_any(message, "List-Id", "List-Unsubscribe", "Feedback-ID"):
        return LIST
    if marks["Precedence"] in ("bulk", "list", "junk"):
        return LIST
    if {"all", "autoreply", "oof"} & set(re.split(r"[\s,]+", marks["X-Auto-Response-Suppress"])):
        return LIST
    ours = from_address in our_addresses or bool(_NOBODY.match(from_address))
    return AUTO_REPLY if returned_to_nobody or ours else ""


def _has_any(message: Message, *names: str) -> bool:
    return any(values(message, name) for name in names)


def is_authenticated(message: Message, from_address: str, checked_by: str) -> bool | None:
    """Whether the sender's address was proven, by the word of the server named `checked_by`.

    None if that server said nothing, or nobody is trusted (""): anyone can write such a header.
    """
    if not checked_by:
        return None
    domain = from_address.rpartition("@")[2]
    for raw in values(message, "Authentication-Results"):
        said = _REPEATED.sub("", raw[:LONGEST_HEADER].lower())
        server, _, results = said.partition(";")
        if not domain or server.split()[:1] != [checked_by.lower()]:
            continue
        # DMARC speaks of From alone: the sender may be whom a Reply-To names.
        in_from = {address.rpartition("@")[2] for _, address in addresses(message, "From")}
        is_from = in_from == {domain}
        return any(_proves(result, domain, is_from=is_from) for result in results.split(";"))
    return None


def _proves(result: str, domain: str, *, is_from: bool) -> bool:
    if re.match(r"\s*dmarc\s*=\s*pass\b", result):
        about = re.search(r"\bheader\.from=([\w.-]+)", result)
        return is_from and (about is None or about[1] == domain)
    if not re.match(r"\s*(dkim|spf)\s*=\s*pass\b", result):
        return False
    return any(
        proven == domain or (domain.endswith("." + proven) and "." in proven)
        for proven in _DOMAIN.findall(result)
    )


def without_line_ends(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers that cannot begin another one, whatever stands in their values."""
    return {
        re.sub(r"[^A-Za-z0-9-]", "", name): " ".join(printable(text).split())
        for name, text in headers.items()
    }
