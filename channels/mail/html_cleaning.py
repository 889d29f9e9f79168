"""Foreign HTML, made fit to be shown beside our own.

Owns what is left of it: structure, links that tell nobody where they were clicked, and images that
are fetched only when asked for. No scripts, no styles, no forms, no names that our pages could take
for theirs; so it also follows our light and dark colours. In what `clean` gives, an image from
elsewhere has `data-src` in place of `src`, one that came with the mail `data-cid`; `with_images`
gives them their addresses when the mail is shown.
"""

from __future__ import annotations

import html as entities
import re
from collections.abc import Mapping
from html.parser import HTMLParser

import nh3

from channels.mail.mail_headers import printable

LONGEST_HTML = 1_000_000
DEEPEST = 1_000
LONGEST_TEXT = 200_000
MOST_AMPERSANDS = 150_000
"""Each costs the parser time as all before it did: a million of them 20 seconds. A long letter in
Chinese of which every sign is written by its number has fewer."""

# fmt: off
_TAGS = {
    "a", "abbr", "b", "bdi", "bdo", "blockquote", "br", "caption", "cite", "code", "col",
    "colgroup", "dd", "del", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i",
    "img", "ins", "li", "ol", "p", "pre", "q", "rp", "rt", "ruby", "s", "small", "span", "strong",
    "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul",
}
_DROPPED_WHOLE = {
    "script", "style", "title", "head", "template", "noscript", "svg", "math", "object", "iframe",
    "select", "textarea", "audio", "video", "canvas", "applet", "frameset",
}
# These are closed by the next of their kind, or hold nothing.
_NEVER_DEEP = {
    "area", "base", "br", "col", "dd", "dt", "hr", "img", "input", "li", "link", "meta", "option",
    "p", "source", "tbody", "td", "tfoot", "th", "thead", "tr", "wbr",
}
_LINES = {
    "blockquote", "br", "caption", "dd", "div", "dl", "dt", "h1", "h2", "h3", "h4", "h5", "h6",
    "hr", "li", "ol", "p", "pre", "table", "tr", "ul",
}
# fmt: on
_APART = {"blockquote", "dl", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "p", "table", "ul"}
_QUOTES = ("gmail_quote", "yahoo_quoted", "protonmail_quote", "moz-cite-prefix", "quoted")
_OPENING = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]*)")
_IMAGE = re.compile(r"<img [^<>]*>")
_SOURCE = re.compile(r' src="(remote|cid):([^"]*)"')
_DATA = re.compile(r' data-(src|cid)="([^"]*)"')


def _attribute(tag: str, name: str, value: str) -> str | None:
    """An attribute as it is kept; None drops it."""
    if tag == "img" and name == "src":
        if value[:4].lower() == "cid:":
            return "cid:" + value[4:]
        return "remote:" + value if value[:4].lower() == "http" else None
    if name == "href":
        value = value.strip()
        return value if re.match(r"(https?|mailto|tel):", value, re.I) else None
    if name == "class":
        return "quoted" if any(mark in value.split() for mark in _QUOTES) else None
    if name == "dir":
        return value if value.lower() in ("ltr", "rtl", "auto") else None
    if name in ("width", "height", "colspan", "rowspan", "start"):
        return value if re.fullmatch(r"\d{1,4}", value) else None
    return value


_cleaner = nh3.Cleaner(
    tags=_TAGS,
    clean_content_tags=_DROPPED_WHOLE,
    attributes={
        "*": {"dir", "lang"},
        "a": {"href"},
        "img": {"src", "alt", "width", "height"},
        "td": {"colspan", "rowspan"},
        "th": {"colspan", "rowspan"},
        "ol": {"start"},
        "div": {"class"},
        "blockquote": {"class"},
    },
    attribute_filter=_attribute,
    url_schemes={"http", "https", "mailto", "tel", "cid"},
    url_relative="deny",
    link_rel="noopener noreferrer nofollow",
    set_tag_attribute_values={"a": {"target": "_blank"}},
)


def clean(html: str) -> str:
    """HTML that does nothing and fetches nothing by itself; "" if there is nothing in it to show.

    Raises ValueError for what is nested so deeply that nobody could show it, and for what is made
    to take its time.
    """
    html = printable(html[:LONGEST_HTML])
    if html.count("&") > MOST_AMPERSANDS:
        raise ValueError(f"HTML with more than {MOST_AMPERSANDS} ampersands")
    if _depth(html) > DEEPEST:
        raise ValueError(f"HTML nested more than {DEEPEST} deep")
    cleaned = _cleaner.clean(html).strip()
    cleaned = _IMAGE.sub(lambda image: _SOURCE.sub(_laid_by, image[0]), cleaned)
    return cleaned if _IMAGE.search(cleaned) or text_of(cleaned) else ""


def _laid_by(source: re.Match[str]) -> str:
    return f' data-{"cid" if source[1] == "cid" else "src"}="{source[2]}"'


def _depth(html: str) -> int:
    deepest = depth = 0
    for tag in _OPENING.finditer(html):
        if tag[2].lower() not in _NEVER_DEEP:
            depth = max(0, depth - 1) if tag[1] else depth + 1
            deepest = max(deepest, depth)
    return deepest


def with_images(html: str, files: Mapping[str, str], *, remote: bool = False) -> str:
    """Cleaned HTML with the images that came along (`files`: content id → our address of it); with
    `remote` also those from elsewhere, which tells their server that the mail is being read."""

    def shown(data: re.Match[str]) -> str:
        if data[1] == "src":
            return f' src="{data[2]}"' if remote else data[0]
        address = files.get(entities.unescape(data[2]))
        return f' src="{entities.escape(address)}"' if address else data[0]

    return _IMAGE.sub(lambda image: _DATA.sub(shown, image[0]), html)


def has_remote_images(html: str) -> bool:
    """Whether cleaned HTML has images that must be asked for."""
    return any(' data-src="' in image[0] for image in _IMAGE.finditer(html))


def text_of(html: str) -> str:
    """The text of cleaned HTML; what it quotes begins with `> `."""
    reader = _TextReader()
    reader.feed(html)
    reader.close()
    return reader.text()[:LONGEST_TEXT]


class _TextReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = []
        self._line = ""
        self._quoted = 0
        self._kept_as_is = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _LINES:
            self._end_line(apart=tag in _APART)
        if tag == "blockquote":
            self._quoted += 1
        elif tag == "pre":
            self._kept_as_is += 1
        elif tag == "li":
            self._line = "- "
        elif tag in ("td", "th") and self._line:
            self._line += "  "
        elif tag == "img" and (said := dict(attrs).get("alt")):
            self._line += f"[{said}]"

    def handle_endtag(self, tag: str) -> None:
        if tag in _LINES:
            self._end_line(apart=tag in _APART)
        if tag == "blockquote":
            self._quoted = max(0, self._quoted - 1)
        elif tag == "pre":
            self._kept_as_is = max(0, self._kept_as_is - 1)

    def handle_data(self, data: str) -> None:
        if self._kept_as_is:
            *whole, self._line = (self._line + data).split("\n")
            self._lines += [self._mark() + line for line in whole]
            return
        words = " ".join(data.split())
        begins_apart = data[:1].isspace() and self._line and not self._line.endswith(" ")
        if words or begins_apart:
            self._line += (" " if begins_apart else "") + words
            if words and data[-1:].isspace():
                self._line += " "

    def _mark(self) -> str:
        return ">" * min(self._quoted, 5) + (" " if self._quoted else "")

    def _end_line(self, *, apart: bool) -> None:
        if self._line.strip():
            self._lines.append(self._mark() + self._line.rstrip())
        if apart and self._lines and self._lines[-1].strip("> "):
            self._lines.append(self._mark().rstrip())
        self._line = ""

    def text(self) -> str:
        self._end_line(apart=False)
        while self._lines and not self._lines[-1].strip("> "):
            self._lines.pop()
        return "\n".join(self._lines).strip("\n")
